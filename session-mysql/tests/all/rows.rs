//! The table that somebody else has made, and rows that somebody else has written.

use std::time::Duration;

use futures_util::future::join_all;
use session_conformance::servers;
use session_core::{Entry, Owner, Revision, SchemaError, SessionId, Store, StoreError};
use session_mysql::{
    MysqlStore, SCHEMA,
    sqlx::{self, AssertSqlSafe, MySqlPool, Row},
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes(*b"session-forty-42");

fn entry() -> Entry<'static> {
    Entry::new(Revision::from_bytes(*b"revision"), b"payload")
}

async fn pool() -> MySqlPool {
    MySqlPool::connect(servers::mysql().url()).await.unwrap()
}

async fn run(pool: &MySqlPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

async fn number(pool: &MySqlPool, sql: &str) -> i64 {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap().get(0)
}

fn store(pool: &MySqlPool, table: &str) -> MysqlStore {
    MysqlStore::builder().with_table(table).unwrap().with_pool(pool.clone())
}

/// Somebody has made the table without its checks, and has written rows that are not this store's.
#[tokio::test]
async fn a_foreign_row_is_corrupt_and_stays_as_it_is() {
    let pool = pool().await;
    let (table, user) = ("foreign_rows", Owner::from(42));
    let columns =
        "id BLOB, revision BIGINT, payload BLOB, owner BLOB, expires_at BIGINT, ends_at BIGINT, sweep_at BIGINT";
    run(&pool, &format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})")).await;
    let hour = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + 3600000000)";
    let rows = [
        format!("NULL, '', {hour}, {hour}"),
        format!("12, NULL, {hour}, {hour}"),
        format!("12, '', {hour}, NULL"),
        format!("12, '', {hour}, 0"),
        format!("12, '', {hour}, -9223372036854775808"),
        format!("12, '', {hour} + 1, {hour}"),
        format!("12, '', {hour} + 3600000000, {hour}"),
    ];
    for row in rows {
        let insert =
            format!("INSERT INTO {table} (revision, payload, expires_at, ends_at, id, owner) VALUES ({row}, ?, ?)");
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(&ID.as_bytes()[..]).bind(&b"42"[..]);
        insert.execute(&pool).await.unwrap();
        let good = SessionId::from_bytes([1; 16]);
        let live = format!(
            "INSERT INTO {table} (revision, payload, expires_at, ends_at, id) VALUES (1, '', {hour}, {hour}, ?)"
        );
        sqlx::query(AssertSqlSafe(live)).bind(&good.as_bytes()[..]).execute(&pool).await.unwrap();
        let content = async || -> String {
            let sql = "SELECT CONCAT_WS(',', HEX(id), COALESCE(revision, 'null'), HEX(payload), expires_at, ends_at) FROM foreign_rows \
                WHERE owner = '42'";
            sqlx::query(sql).fetch_one(&pool).await.unwrap().get(0)
        };
        let before = content().await;
        let store = store(&pool, table);
        let error = store.load(&ID).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { backend: "mysql", .. }), "{row}: {error:?}");
        let error = store.list(&user).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { backend: "mysql", .. }), "{row}: {error:?}");
        // The first goes alone, and the others go together. Each has its own answer.
        let answers = join_all([&good, &ID, &good].map(|id| store.load(id))).await;
        let [Ok(Some(_)), Err(StoreError::Corrupt { .. }), Ok(Some(_))] = &answers[..] else {
            panic!("{row}: {answers:?}");
        };
        assert_eq!(store.purge(10).await.unwrap(), 0, "{row}");
        assert_eq!(content().await, before, "{row}");
        run(&pool, &format!("TRUNCATE {table}")).await;
    }
    let row = format!("12, '', {hour}, {hour}, 'twelve', '42'");
    run(&pool, &format!("INSERT INTO {table} (revision, payload, expires_at, ends_at, id, owner) VALUES ({row})"))
        .await;
    let error = store(&pool, table).list(&user).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { backend: "mysql", .. }), "{error:?}");
}

#[tokio::test]
async fn a_table_of_other_types_is_corrupt() {
    let pool = pool().await;
    run(
        &pool,
        "DROP TABLE IF EXISTS foreign_types; CREATE TABLE foreign_types AS SELECT 'session-forty-42' AS id, 'one' AS revision, \
        12 AS payload, 9e18 AS expires_at, 9e18 AS ends_at",
    )
    .await;
    let error = store(&pool, "foreign_types").load(&ID).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { backend: "mysql", .. }), "{error:?}");
}

#[tokio::test]
async fn the_server_refuses_rows_that_no_store_writes() {
    let pool = pool().await;
    run(&pool, "DROP TABLE IF EXISTS checked").await;
    store(&pool, "checked").migrate().await.unwrap();
    for times in ["3, 2, 1", "1, 3, 2", "2, 2, 3"] {
        let (expires, ends, sweep) = match times {
            "3, 2, 1" => (3, 2, 1),
            "1, 3, 2" => (1, 3, 2),
            _ => (2, 2, 3),
        };
        let sql = format!("INSERT INTO checked VALUES ('{times}', 1, '', NULL, {expires}, {ends}, {sweep})");
        assert!(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.is_err(), "{times}");
    }
}

#[tokio::test]
async fn purge_passes_by_what_was_touched() {
    let pool = pool().await;
    run(&pool, "DROP TABLE IF EXISTS swept").await;
    let store = store(&pool, "swept");
    store.migrate().await.unwrap();
    // More touched sessions than a window holds, in front of five that have expired.
    let now = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
    let insert = |from: u32, to: u32, hours: i64, sweep: i64| {
        let times = format!("{now} + {hours} * 3600000000, {now} + {hours} * 3600000000, {now} - {sweep} * 3600000000");
        let rows: Vec<_> = (from..=to).map(|seq| format!("(UNHEX('{seq:032x}'), {seq}, '', NULL, {times})")).collect();
        format!("INSERT INTO swept VALUES {}", rows.join(", "))
    };
    run(&pool, &insert(1, 1200, 1, 3)).await;
    run(&pool, &insert(1201, 1205, -1, 2)).await;
    run(&pool, &insert(1206, 1210, 1, 1)).await;
    assert_eq!(store.purge(0).await.unwrap(), 0);
    assert_eq!(store.purge(3).await.unwrap(), 3);
    assert_eq!(store.purge(10).await.unwrap(), 2);
    assert_eq!(store.purge(10).await.unwrap(), 0);
    let left = format!("SELECT COUNT(*) FROM swept WHERE sweep_at = expires_at AND expires_at > {now}");
    assert_eq!(number(&pool, &left).await, 1205, "the touched ones are swept when they expire now");
}

#[tokio::test]
async fn without_its_table_the_store_says_migrate_first() {
    let pool = pool().await;
    run(&pool, "DROP TABLE IF EXISTS not_there").await;
    let store = store(&pool, "not_there");
    for error in [store.load(&ID).await.unwrap_err(), store.purge(1).await.unwrap_err()] {
        assert!(matches!(error, StoreError::Schema(SchemaError::TableMissing { .. })), "{error:?}");
        assert!(error.to_string().starts_with("the table not_there is missing: call `migrate()`"), "{error}");
    }
    store.migrate().await.unwrap();
    assert_eq!(store.load(&ID).await.unwrap(), None);
}

#[tokio::test]
async fn the_schema_may_live_in_the_applications_migrations() {
    let pool = pool().await;
    run(&pool, "DROP TABLE IF EXISTS sessions").await;
    run(&pool, SCHEMA).await;
    let store = MysqlStore::new(pool.clone());
    store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    store.migrate().await.unwrap();
    run(&pool, SCHEMA).await;
    assert!(store.load(&ID).await.unwrap().is_some(), "`migrate` again must change nothing");
}

/// Tables of well-known libraries that have the same default name.
#[tokio::test]
async fn migrate_refuses_a_table_of_somebody_else_s_and_names_the_column() {
    let pool = pool().await;
    let missing = |column| SchemaError::ColumnMissing { table: "others".into(), column };
    let kind = |column, expected, found: &str| SchemaError::ColumnType {
        table: "others".into(),
        column,
        expected,
        found: found.into(),
    };
    for (columns, expected) in [
        ("session_id varchar(128) PRIMARY KEY, expires int unsigned NOT NULL, data mediumtext", missing("id")),
        ("id varchar(255), payload longtext, last_activity int", kind("id", "binary(16)", "varchar(255)")),
        ("id binary(16) PRIMARY KEY, payload longblob, expires_at bigint", missing("revision")),
        (
            "id binary(16) PRIMARY KEY, revision bigint, payload blob, owner varbinary(255), expires_at bigint",
            kind("payload", "longblob", "blob"),
        ),
    ] {
        run(&pool, &format!("DROP TABLE IF EXISTS others; CREATE TABLE others ({columns})")).await;
        let error = store(&pool, "others").migrate().await.unwrap_err();
        assert!(matches!(&error, StoreError::Schema(error) if *error == expected), "{columns}: {error:?}");
    }
    run(&pool, "DROP TABLE others; CREATE TABLE others (id binary(16) PRIMARY KEY, data longblob)").await;
    let error = store(&pool, "others").load(&ID).await.unwrap_err();
    assert!(error.to_string().contains("has no column revision"), "{error}");
}

#[test]
fn the_name_of_a_table_cannot_smuggle_anything_in() {
    for name in ["sessions", "_", "a", "s_42", &"a".repeat(48)] {
        assert!(MysqlStore::builder().with_table(name).is_ok(), "{name}");
    }
    for name in ["", "Sessions", "4two", "a b", "a`", "a'", "a;", "é", "a.b", "a-b", "a\0", "a\\", &"a".repeat(49)] {
        assert!(MysqlStore::builder().with_table(name).is_err(), "{name}");
    }
}

#[tokio::test]
async fn the_longest_name_and_a_reserved_word_are_names_of_tables() {
    let pool = pool().await;
    for name in ["select", &"z".repeat(48)] {
        run(&pool, &format!("DROP TABLE IF EXISTS `{name}`")).await;
        let store = store(&pool, name);
        store.migrate().await.unwrap();
        store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
        assert!(store.load(&ID).await.unwrap().is_some());
        store.migrate().await.unwrap();
    }
}
