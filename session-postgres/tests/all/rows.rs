//! The table that somebody else has made, rows that somebody else has written, and settings that change how the server
//! shows them.

use std::time::Duration;

use futures_util::future::join_all;
use session_conformance::servers;
use session_core::{Entry, Expiry, Owner, Revision, SchemaError, SessionId, Store, StoreError};
use session_postgres::{
    PostgresStore, SCHEMA,
    sqlx::{self, AssertSqlSafe, PgPool, Row, postgres::PgPoolOptions},
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes(*b"session-forty-42");
const HEX: &str = "73657373696f6e2d666f7274792d3432";

fn entry() -> Entry<'static> {
    Entry::new(Revision::from_bytes(*b"revision"), b"payload")
}

/// A pool with these settings. They are made after connecting, because the driver then sets some of its own, such as the
/// zone.
async fn pool(settings: &[(&str, &str)]) -> PgPool {
    let set: String = settings.iter().map(|(name, value)| format!("SET {name} = '{value}'; ")).collect();
    let pool = PgPoolOptions::new().max_connections(4).after_connect(move |connection, _| {
        let set = AssertSqlSafe(set.clone());
        Box::pin(async move { sqlx::raw_sql(set).execute(connection).await.map(drop) })
    });
    pool.connect(servers::postgres().url()).await.unwrap()
}

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

fn store(pool: &PgPool, table: &str, pooled: bool) -> PostgresStore {
    PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled).with_pool(pool.clone())
}

/// Somebody has made a table without NOT NULL, and has written rows that are not this store's.
#[tokio::test]
async fn a_foreign_row_is_corrupt_and_stays_as_it_is() {
    let pool = pool(&[]).await;
    let (table, user) = ("foreign_rows", Owner::from(42));
    run(&pool, "DROP TABLE IF EXISTS foreign_rows").await;
    let columns = "id bytea, revision bigint, payload bytea, owner bytea, expires_at timestamptz, ends_at timestamptz";
    run(&pool, &format!("CREATE TABLE {table} ({columns}, sweep_at timestamptz)")).await;
    let rows = [
        "NULL, '', now() + '1 hour', now() + '1 hour'",
        "12, NULL, now() + '1 hour', now() + '1 hour'",
        "12, '', now() + '1 hour', NULL",
        "12, '', now() + '1 hour', now() - interval '1 hour'",
        "12, '', now() + '2 hours', now() + '1 hour'",
        "12, '', 'infinity', 'infinity'",
    ];
    for row in rows {
        let insert =
            format!("INSERT INTO {table} (revision, payload, expires_at, ends_at, id, owner) VALUES ({row}, $1, $2)");
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(&ID.as_bytes()[..]).bind(&b"42"[..]);
        insert.execute(&pool).await.unwrap();
        let good = SessionId::from_bytes([1; 16]);
        let live = format!("INSERT INTO {table} (id, revision, payload, expires_at, ends_at) SELECT $1, 1, '', at, at");
        let live = format!("{live} FROM (SELECT now() + '1 hour' AS at) AS clock");
        sqlx::query(AssertSqlSafe(live)).bind(&good.as_bytes()[..]).execute(&pool).await.unwrap();
        let content = format!("SELECT string_agg(s::text, '') FROM {table} s");
        let content =
            async || -> String { sqlx::query(AssertSqlSafe(content.clone())).fetch_one(&pool).await.unwrap().get(0) };
        let before = content().await;
        for pooled in [false, true] {
            let store = store(&pool, table, pooled);
            let error = store.load(&ID).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { backend: "postgres", .. }), "{row}: {error:?}");
            let error = store.list(&user).await.unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { backend: "postgres", .. }), "{row}: {error:?}");
            // The first goes alone, and the others go together. Each has its own answer.
            let answers = join_all([&good, &ID, &good].map(|id| store.load(id))).await;
            let [Ok(Some(_)), Err(StoreError::Corrupt { .. }), Ok(Some(_))] = &answers[..] else {
                panic!("{row}: {answers:?}");
            };
            assert_eq!(store.purge(10).await.unwrap(), 0, "{row}");
        }
        assert_eq!(content().await, before, "{row}");
        run(&pool, &format!("TRUNCATE {table}")).await;
    }
}

#[tokio::test]
async fn a_table_of_other_types_is_corrupt() {
    let pool = pool(&[]).await;
    run(&pool, "DROP TABLE IF EXISTS foreign_types").await;
    run(
        &pool,
        "CREATE TABLE foreign_types AS SELECT decode('00', 'hex') AS id, 1 AS revision, 'text' AS payload, \
        now() + '1 hour' AS expires_at, now() + '1 hour' AS ends_at, NULL::bytea AS owner",
    )
    .await;
    run(&pool, &format!("UPDATE foreign_types SET id = decode('{HEX}', 'hex')")).await;
    let error = store(&pool, "foreign_types", false).load(&ID).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { backend: "postgres", .. }), "{error:?}");
}

#[tokio::test]
async fn the_table_itself_refuses_half_a_session() {
    let pool = pool(&[]).await;
    run(&pool, "DROP TABLE IF EXISTS checked").await;
    store(&pool, "checked", false).migrate().await.unwrap();
    for row in [
        "NULL, 1, '', NULL, now(), now(), now()",
        "$1, NULL, '', NULL, now(), now(), now()",
        "$1, 1, NULL, NULL, now(), now(), now()",
        "$1, 1, '', NULL, NULL, now(), now()",
        "$1, 1, '', NULL, now(), NULL, now()",
        "$1, 1, '', NULL, now(), now(), NULL",
    ] {
        let row = row.replace("$1", &format!("'\\x{HEX}'"));
        let insert =
            format!("INSERT INTO checked (id, revision, payload, owner, expires_at, ends_at, sweep_at) VALUES ({row})");
        let error = sqlx::query(AssertSqlSafe(insert)).execute(&pool).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
        assert_eq!(code, "23502", "{row}: {error}");
    }
}

#[tokio::test]
async fn without_its_table_the_store_says_migrate_first() {
    let pool = pool(&[]).await;
    run(&pool, "DROP TABLE IF EXISTS not_there").await;
    for pooled in [false, true] {
        let store = store(&pool, "not_there", pooled);
        for error in [store.load(&ID).await.unwrap_err(), store.purge(1).await.unwrap_err()] {
            assert!(matches!(error, StoreError::Schema(SchemaError::TableMissing { .. })), "{error:?}");
            assert!(error.to_string().starts_with("the table not_there is missing: call `migrate()`"), "{error}");
        }
    }
    let store = store(&pool, "not_there", false);
    store.migrate().await.unwrap();
    assert_eq!(store.load(&ID).await.unwrap(), None);
}

#[tokio::test]
async fn the_schema_may_live_in_the_applications_migrations() {
    let pool = pool(&[]).await;
    run(&pool, "DROP TABLE IF EXISTS sessions").await;
    run(&pool, SCHEMA).await;
    run(&pool, SCHEMA).await;
    let store = PostgresStore::new(pool);
    store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.load(&ID).await.unwrap().is_some(), "`migrate` again must change nothing");
}

/// Tables of well-known libraries that have the same default name.
#[tokio::test]
async fn migrate_refuses_a_table_of_somebody_else_s_and_names_the_column() {
    let pool = pool(&[]).await;
    let missing = |column| SchemaError::ColumnMissing { table: "others".into(), column };
    let text = |column, expected, found: &str| SchemaError::ColumnType {
        table: "others".into(),
        column,
        expected,
        found: found.into(),
    };
    let zone = "timestamp with time zone";
    for (columns, expected) in [
        ("sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL", missing("id")),
        ("id varchar(255), user_id bigint, payload text, last_activity int", text("id", "bytea", "character varying")),
        ("id bytea PRIMARY KEY, data bytea NOT NULL, expires_at timestamptz NOT NULL", missing("revision")),
        (
            "id bytea PRIMARY KEY, revision bigint, payload bytea, owner bytea, expires_at timestamp, ends_at timestamptz",
            text("expires_at", zone, "timestamp without time zone"),
        ),
    ] {
        run(&pool, &format!("DROP TABLE IF EXISTS others; CREATE TABLE others ({columns})")).await;
        for pooled in [false, true] {
            let store = store(&pool, "others", pooled);
            let error = store.migrate().await.unwrap_err();
            assert!(matches!(&error, StoreError::Schema(error) if *error == expected), "{columns}: {error:?}");
            // The server itself notices that a column is missing.
            if matches!(expected, SchemaError::ColumnMissing { .. }) {
                let StoreError::Schema(error) = store.load(&ID).await.unwrap_err() else { panic!("{columns}") };
                assert_eq!(error, expected, "{columns}");
            }
        }
        let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'others' AND indexname LIKE 'others\\_%at'";
        assert_eq!(sqlx::query(indexes).fetch_one(&pool).await.unwrap().get::<i64, _>(0), 0);
    }
}

/// An older version has made it, or somebody who likes it so.
#[tokio::test]
async fn a_table_may_have_its_columns_in_another_order() {
    let pool = pool(&[]).await;
    run(
        &pool,
        "DROP TABLE IF EXISTS ordered; CREATE TABLE ordered (
            previous_expires_at timestamptz, id bytea PRIMARY KEY, revision bigint, payload bytea, owner bytea, \
            expires_at timestamptz, ends_at timestamptz, sweep_at timestamptz)",
    )
    .await;
    for pooled in [false, true] {
        let store = store(&pool, "ordered", pooled);
        store.migrate().await.unwrap();
        let (user, next) = (Owner::from(42), Revision::from_bytes([2; 8]));
        store.create(&ID, entry().with_owner(Some(&user)), HOUR, 2 * HOUR).await.unwrap();
        let changed = Entry::new(next, b"changed");
        assert!(store.replace(&ID, entry().revision, changed, Expiry::Extend(HOUR)).await.unwrap());
        assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, b"changed"[..]);
        assert_eq!(store.revoke(&user, None).await.unwrap(), 1);
    }
}

/// The role may use the table, but may not make one.
#[tokio::test]
async fn the_role_needs_no_right_to_make_tables_once_the_table_is_there() {
    let owner = pool(&[]).await;
    run(&owner, "DROP TABLE IF EXISTS granted; DROP ROLE IF EXISTS session_user_42; CREATE ROLE session_user_42").await;
    // Before PostgreSQL 15 each role may make tables in this schema.
    run(&owner, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    store(&owner, "granted", false).migrate().await.unwrap();
    run(&owner, "GRANT SELECT, INSERT, UPDATE, DELETE ON granted TO session_user_42").await;
    let pool = pool(&[("role", "session_user_42")]).await;
    let (granted, refused) = (store(&pool, "granted", false), store(&pool, "refused", false));
    granted.migrate().await.unwrap();
    granted.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    assert!(granted.touch(&ID, entry().revision, HOUR).await.unwrap());
    assert!(granted.delete(&ID, entry().revision).await.unwrap());
    assert_eq!(granted.purge(1).await.unwrap(), 0);
    let error = refused.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { backend: "postgres", .. }), "{error:?}");
    pool.close().await;
    run(&owner, "DROP TABLE granted; DROP ROLE session_user_42").await;
}

/// Zones with summer time and at both ends of the day, and settings of how a server shows bytes and reads strings.
#[tokio::test]
async fn the_servers_zone_and_its_way_to_show_bytes_change_nothing() {
    let day = 24 * HOUR;
    for settings in [
        &[("TimeZone", "Pacific/Kiritimati"), ("bytea_output", "escape")][..],
        &[("TimeZone", "America/New_York"), ("standard_conforming_strings", "off"), ("IntervalStyle", "sql_standard")],
        &[("TimeZone", "Etc/GMT+12"), ("DateStyle", "SQL, DMY"), ("lc_messages", "C"), ("extra_float_digits", "-15")],
    ] {
        let pool = pool(settings).await;
        for (table, pooled) in [("zoned", false), ("zoned_pooled", true)] {
            run(&pool, &format!("DROP TABLE IF EXISTS {table}")).await;
            let (store, user) = (store(&pool, table, pooled), Owner::try_from(&b"\\x00'\"\xff"[..]).unwrap());
            store.migrate().await.unwrap();
            let payload: Vec<u8> = (0..=u8::MAX).chain(*b"\\x'\"").collect();
            let revision = Revision::from_bytes([0x80, 0, 0, 0, 0, 0, 0, 0]);
            let entry = Entry::new(revision, &payload).with_owner(Some(&user));
            store.create(&ID, entry, HOUR, 300 * day).await.unwrap();
            let loaded = store.load(&ID).await.unwrap().unwrap();
            assert_eq!((loaded.revision, &loaded.payload[..]), (revision, &payload[..]));
            let a_minute = Duration::from_secs(60);
            assert!(loaded.expires_in <= HOUR && loaded.expires_in > HOUR - a_minute, "{settings:?}: {loaded:?}");
            // More than half a year, so that the zone changes its clocks on the way.
            assert!(loaded.ends_in <= 300 * day && loaded.ends_in > 300 * day - a_minute, "{settings:?}: {loaded:?}");
            assert!(store.replace(&ID, revision, entry, Expiry::Extend(200 * day)).await.unwrap());
            assert!(store.touch(&ID, revision, 150 * day).await.unwrap());
            let listed = store.list(&user).await.unwrap();
            assert_eq!((listed.len(), listed[0].0), (1, ID));
            let left = listed[0].1.expires_in;
            assert!(left <= 150 * day && left > 150 * day - a_minute, "{settings:?}: {left:?}");
            assert_eq!(store.purge(10).await.unwrap(), 0, "a live session was swept");
            assert_eq!(store.revoke(&user, None).await.unwrap(), 1);
        }
    }
}

#[test]
fn the_name_of_a_table_cannot_smuggle_anything_in() {
    for name in ["sessions", "_", "a", "s_42", &"a".repeat(48)] {
        assert!(PostgresStore::builder().with_table(name).is_ok(), "{name}");
    }
    for name in ["", "Sessions", "4two", "a b", "a\"", "a;", "é", "a.b", "a-b", "a\0", "a$1", &"a".repeat(49)] {
        assert!(PostgresStore::builder().with_table(name).is_err(), "{name}");
    }
}

/// The names are the longest that are allowed. Those of their indexes are longer.
#[tokio::test]
async fn tables_whose_long_names_differ_at_the_end_have_indexes_of_their_own() {
    let pool = pool(&[]).await;
    let names = ["a", "b"].map(|end| format!("{}{end}", "t".repeat(47)));
    for name in &names {
        run(&pool, &format!("DROP TABLE IF EXISTS {name}")).await;
        store(&pool, name, false).migrate().await.unwrap();
    }
    for name in &names {
        let sql = "SELECT count(*) FROM pg_indexes WHERE tablename = $1";
        let indexes: i64 = sqlx::query(sql).bind(name).fetch_one(&pool).await.unwrap().get(0);
        assert_eq!(indexes, 3, "{name}");
    }
}
