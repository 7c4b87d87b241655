//! The file after a restart, after a crash, and when somebody else has written it.

use std::{fs, path::Path, time::Duration};

use session_core::{Entry, Owner, Revision, SchemaError, SessionId, Store, StoreError};
use session_sqlite::{
    SCHEMA, SqliteStore,
    sqlx::{self, Row, SqlitePool, sqlite::SqliteConnectOptions},
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes(*b"session-forty-42");

fn entry() -> Entry<'static> {
    Entry::new(Revision::from_bytes(*b"revision"), b"payload")
}

async fn pool(path: &Path) -> SqlitePool {
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap()
}

#[tokio::test]
async fn a_timeout_without_end_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(&folder.path().join("sessions.db")).await;
    let store = SqliteStore::builder().with_timeout(Duration::MAX).with_pool(pool);
    store.migrate().await.unwrap();
    store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    assert!(store.load(&ID).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_survives_a_restart_and_a_deleted_one_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let (user, deleted) = (Owner::from(42), SessionId::from_bytes([1; 16]));
    {
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(&ID, entry().with_owner(Some(&user)), HOUR, 2 * HOUR).await.unwrap();
        store.create(&deleted, entry().with_owner(Some(&user)), HOUR, 2 * HOUR).await.unwrap();
        assert!(store.delete(&deleted, entry().revision).await.unwrap());
    }
    let store = SqliteStore::open(&path).await.unwrap();
    let loaded = store.load(&ID).await.unwrap().unwrap();
    assert_eq!((loaded.revision, &*loaded.payload), (entry().revision, &b"payload"[..]));
    assert!(loaded.expires_in <= HOUR && loaded.expires_in > HOUR - Duration::from_secs(60), "{loaded:?}");
    assert!(loaded.ends_in <= 2 * HOUR && loaded.ends_in > HOUR, "{loaded:?}");
    assert_eq!(store.list(&user).await.unwrap().len(), 1);
    assert_eq!(store.load(&deleted).await.unwrap(), None);
}

/// The files are copied while the store is open and its log is not written back. A killed process leaves them like
/// that.
#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    let (folder, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(folder.path().join("sessions.db")).await.unwrap();
    for number in 0..20 {
        store.create(&SessionId::from_bytes([number; 16]), entry(), HOUR, HOUR).await.unwrap();
    }
    assert!(store.delete(&SessionId::from_bytes([7; 16]), entry().revision).await.unwrap());
    for file in ["sessions.db", "sessions.db-wal"] {
        fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
    }
    let store = SqliteStore::open(after.path().join("sessions.db")).await.unwrap();
    for number in 0..20 {
        let found = store.load(&SessionId::from_bytes([number; 16])).await.unwrap().is_some();
        assert_eq!(found, number != 7, "session {number} after the crash");
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    for path in ["", ":memory:", "file::memory:", "file:x?mode=memory"] {
        let error = SqliteStore::open(path).await.unwrap_err();
        assert!(matches!(error, StoreError::Backend { backend: "sqlite", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "Buy milk. ".repeat(1000);
    fs::write(&path, &notes).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { backend: "sqlite", .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

/// The sessions may all be there. So it is no reason to go on without one, as `WhenUnreadable` may have it of a corrupt row.
#[tokio::test]
async fn a_file_that_is_damaged_is_an_error_of_the_backend() {
    const PAGE: usize = 4096;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let whole = pool(&path).await;
    let store = SqliteStore::new(whole.clone());
    store.migrate().await.unwrap();
    store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    whole.close().await;
    let mut file = fs::read(&path).unwrap();
    // The first page has the schema.
    file[PAGE..].fill(0xff);
    fs::write(&path, file).unwrap();
    let store = SqliteStore::new(pool(&path).await);
    for answer in [store.load(&ID).await.map(drop), store.create(&ID, entry(), HOUR, HOUR).await] {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/folder");
    let error = SqliteStore::open(missing.join("sessions.db")).await.unwrap_err();
    let StoreError::Unavailable { backend: "sqlite", source } = error else { panic!("{error:?}") };
    let expected = format!("the folder {} does not exist: make it first", missing.display());
    assert_eq!(source.to_string(), expected);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_for_another_reason_says_what_the_driver_says() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(folder.path()).await.unwrap_err();
    let StoreError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    assert!(source.is::<sqlx::Error>(), "{source:?}");
}

#[tokio::test]
async fn a_foreign_row_is_corrupt_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(&folder.path().join("application.db")).await;
    // An application's own table, without STRICT and the checks.
    let table = "CREATE TABLE sessions (id PRIMARY KEY, revision, payload, owner, expires_at, ends_at, sweep_at)";
    sqlx::query(table).execute(&pool).await.unwrap();
    let rows = [
        "'twelve', x'00', unixepoch() * 1000 + 99000, unixepoch() * 1000 + 99000",
        "12, 'text', unixepoch() * 1000 + 99000, unixepoch() * 1000 + 'x'",
        "12, NULL, unixepoch() * 1000 + 99000, unixepoch() * 1000 + 99000",
        "12, x'00', 'tomorrow', 'never'",
        "12, x'00', unixepoch() * 1000 + 99000, unixepoch() * 1000 - 99000",
    ];
    let store = SqliteStore::new(pool.clone());
    let user = Owner::from(42);
    for row in rows {
        let insert = format!(
            "INSERT INTO sessions (revision, payload, expires_at, ends_at, id, owner, sweep_at) VALUES ({row}, ?, ?, 0)"
        );
        let insert = sqlx::query(sqlx::AssertSqlSafe(insert)).bind(&ID.as_bytes()[..]).bind(&b"42"[..]);
        insert.execute(&pool).await.unwrap();
        let before = content(&pool).await;
        let error = store.load(&ID).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { backend: "sqlite", .. }), "{row}: {error:?}");
        let error = store.list(&user).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { backend: "sqlite", .. }), "{row}: {error:?}");
        assert_eq!(store.purge(10).await.unwrap(), 0, "{row}");
        assert_eq!(content(&pool).await, before, "{row}");
        sqlx::query("DELETE FROM sessions").execute(&pool).await.unwrap();
    }
}

async fn content(pool: &SqlitePool) -> Vec<String> {
    let all = "SELECT quote(revision) || quote(payload) || quote(expires_at) || quote(ends_at) FROM sessions";
    sqlx::query(all).fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn without_its_table_the_store_says_migrate_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(pool(&folder.path().join("application.db")).await);
    for error in [store.load(&ID).await.unwrap_err(), store.purge(1).await.unwrap_err()] {
        assert!(matches!(error, StoreError::Schema(SchemaError::TableMissing { .. })), "{error:?}");
        assert!(error.to_string().starts_with("the table sessions is missing: call `migrate()`"), "{error}");
    }
    store.migrate().await.unwrap();
    assert_eq!(store.load(&ID).await.unwrap(), None);
}

#[tokio::test]
async fn the_schema_may_live_in_the_applications_migrations() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(&folder.path().join("application.db")).await;
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.load(&ID).await.unwrap().is_some(), "`migrate` again must change nothing");
}

/// Tables of well-known libraries that have the same default name.
#[tokio::test]
async fn migrate_refuses_a_table_of_somebody_else_s_and_names_the_column() {
    let missing = |column| SchemaError::ColumnMissing { table: "sessions".into(), column };
    let kind = |column, expected, found: &str| SchemaError::ColumnType {
        table: "sessions".into(),
        column,
        expected,
        found: found.into(),
    };
    for (columns, expected) in [
        ("sid TEXT PRIMARY KEY, expired INTEGER, sess TEXT", missing("id")),
        ("id TEXT PRIMARY KEY, data BLOB, expires_at INTEGER", kind("id", "BLOB", "TEXT")),
        ("id BLOB PRIMARY KEY, payload BLOB, owner BLOB, expires_at INTEGER", missing("revision")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("application.db");
        let pool = pool(&path).await;
        let table = sqlx::AssertSqlSafe(format!("CREATE TABLE sessions ({columns})"));
        sqlx::query(table).execute(&pool).await.unwrap();
        for error in [SqliteStore::new(pool.clone()).migrate().await, SqliteStore::open(&path).await.map(drop)] {
            let error = error.unwrap_err();
            assert!(matches!(&error, StoreError::Schema(error) if *error == expected), "{columns}: {error:?}");
        }
        let StoreError::Schema(error) = SqliteStore::new(pool.clone()).load(&ID).await.unwrap_err() else {
            panic!("{columns}")
        };
        assert_eq!(error, expected, "{columns}");
        // The index of the primary key has no text.
        let indexes = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        assert_eq!(sqlx::query(indexes).fetch_one(&pool).await.unwrap().get::<i64, _>(0), 0, "{columns}");
    }
}

#[tokio::test]
async fn a_table_without_the_column_for_the_purge_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let pool = pool(&path).await;
    let table = "CREATE TABLE sessions (id BLOB PRIMARY KEY, revision INTEGER, payload BLOB, owner BLOB, \
        expires_at INTEGER, ends_at INTEGER)";
    sqlx::query(table).execute(&pool).await.unwrap();
    let store = SqliteStore::new(pool.clone());
    for error in [
        SqliteStore::open(&path).await.map(drop),
        store.migrate().await,
        store.create(&ID, entry(), HOUR, HOUR).await,
        store.purge(1).await.map(drop),
    ] {
        let StoreError::Schema(error) = error.unwrap_err() else { panic!("the table was taken") };
        assert_eq!(error, SchemaError::ColumnMissing { table: "sessions".into(), column: "sweep_at" });
    }
    let schema = "SELECT group_concat(sql) FROM sqlite_schema WHERE sql IS NOT NULL";
    assert_eq!(sqlx::query(schema).fetch_one(&pool).await.unwrap().get::<String, _>(0), table);
}

#[test]
fn the_name_of_a_table_cannot_smuggle_anything_in() {
    for name in ["sessions", "_", "a", "s_42", &"a".repeat(48)] {
        assert!(SqliteStore::builder().with_table(name).is_ok(), "{name}");
    }
    for name in ["", "Sessions", "4two", "a b", "a\"", "a;", "é", "a.b", "a-b", "a\0", &"a".repeat(49)] {
        assert!(SqliteStore::builder().with_table(name).is_err(), "{name}");
    }
}
