//! Many operations at once, on rows and on the table itself.

use std::time::{Duration, Instant};

use session_conformance::servers;
use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use session_postgres::{
    PostgresStore,
    sqlx::{
        self, AssertSqlSafe, Connection, PgConnection, PgPool, Row,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);

fn url() -> &'static str {
    servers::postgres().url()
}

fn entry(number: u8) -> Entry<'static> {
    Entry::new(Revision::from_bytes([number; 8]), b"payload")
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

/// A fresh table.
async fn open(table: &str, pooled: bool) -> PostgresStore {
    run(&mut connect().await, &format!("DROP TABLE IF EXISTS {table}")).await;
    let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
    let store = builder.with_timeout(Duration::from_secs(10)).connect(url()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn connect() -> PgConnection {
    PgConnection::connect(url()).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap().get(0)
}

/// Waits until this many statements on the table wait for a lock.
async fn until_they_wait(table: &str, how_many: i64) {
    let mut connection = connect().await;
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"{table}\"%'");
    let start = Instant::now();
    while number(&mut connection, &sql).await != how_many {
        assert!(start.elapsed() < Duration::from_secs(20), "nobody waits for the lock on {table}");
    }
}

/// Waits until no statement on the table is under way, not even one that the store has given up.
async fn until_they_have_ended(table: &str) {
    let mut connection = connect().await;
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%\"{table}\"%' \
         AND pid <> pg_backend_pid()"
    );
    let start = Instant::now();
    while number(&mut connection, &sql).await != 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "a statement on {table} does not end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_may_migrate_at_once() {
    for (table, pooled) in [("migrated", false), ("migrated_pooled", true)] {
        run(&mut connect().await, &format!("DROP TABLE IF EXISTS {table}")).await;
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                tokio::spawn(async move {
                    let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
                    let store = builder.with_connections(1).connect(url()).await?;
                    store.migrate().await?;
                    store.load(&ID).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), None);
        }
        let indexes = format!("SELECT count(*) FROM pg_indexes WHERE tablename = '{table}'");
        assert_eq!(number(&mut connect().await, &indexes).await, 3);
    }
}

#[tokio::test]
async fn migrate_waits_for_nobody_where_the_table_is_there() {
    let store = open("migrated_again", false).await;
    let mut other = connect().await;
    run(&mut other, "BEGIN; LOCK TABLE migrated_again IN ROW EXCLUSIVE MODE").await;
    store.migrate().await.unwrap();
}

/// A user may have a stricter `default_transaction_isolation`. Then the server refuses a write, where it would
/// otherwise wait and judge the row again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_serializable_isolation_a_conflict_is_an_answer_and_no_error() {
    for (table, pooled) in [("serializable", false), ("serializable_pooled", true)] {
        drop(open(table, pooled).await);
        let options: PgConnectOptions = url().parse().unwrap();
        let options = options.options([("default_transaction_isolation", "serializable")]);
        let pool = PgPoolOptions::new().max_connections(16).connect_with(options).await.unwrap();
        let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
        let store = builder.with_timeout(Duration::from_secs(20)).with_pool(pool);
        let user = Owner::from(42);
        store.create(&ID, entry(0).with_owner(Some(&user)), HOUR, HOUR).await.unwrap();
        for round in 0..10_u8 {
            let tasks: Vec<_> = (0..16_u8)
                .map(|_| {
                    let (store, user) = (store.clone(), user.clone());
                    tokio::spawn(async move {
                        store.touch(&ID, entry(round).revision, HOUR).await?;
                        assert_eq!(store.list(&user).await?.len(), 1);
                        store.purge(10).await?;
                        store.replace(&ID, entry(round).revision, entry(round + 1), Expiry::Extend(HOUR)).await
                    })
                })
                .collect();
            let mut won = 0;
            for task in tasks {
                won += u8::from(task.await.unwrap().unwrap());
            }
            assert_eq!(won, 1, "{table}, round {round}");
        }
    }
}

/// More futures are dropped than there are connections. Each is waiting for the row when it is dropped.
#[tokio::test]
async fn futures_that_are_dropped_leave_a_pool_that_works() {
    for (table, pooled) in [("dropped", false), ("dropped_pooled", true)] {
        let _fresh = open(table, pooled).await;
        let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled).with_connections(2);
        let store = builder.with_timeout(Duration::from_secs(20)).connect(url()).await.unwrap();
        store.create(&ID, entry(1), HOUR, 2 * HOUR).await.unwrap();
        let mut holder = connect().await;
        run(&mut holder, &format!("BEGIN; SELECT FROM {table} FOR UPDATE")).await;
        for _ in 0..8 {
            let write = store.touch(&ID, entry(1).revision, HOUR);
            assert!(tokio::time::timeout(Duration::from_millis(50), write).await.is_err(), "the row was not locked");
        }
        let start = Instant::now();
        assert!(store.load(&ID).await.unwrap().is_some());
        assert!(start.elapsed() < Duration::from_secs(10), "a read waits for a connection that a dropped write has");
        run(&mut holder, "ROLLBACK").await;
        assert!(store.touch(&ID, entry(1).revision, HOUR).await.unwrap());
        assert!(store.delete(&ID, entry(1).revision).await.unwrap());
        assert_eq!(store.load(&ID).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_row_that_is_locked_for_too_long_times_out_and_is_not_written_later() {
    for (table, pooled) in [("locked", false), ("locked_pooled", true)] {
        let patient = open(table, pooled).await;
        // A busy machine may need longer to connect.
        let store = loop {
            let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
            match builder.with_timeout(Duration::from_millis(200)).connect(url()).await {
                Ok(store) => break store,
                Err(error) => assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}"),
            }
        };
        // On a busy machine the store may give up before the server. Then nobody knows whether the write will be done.
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries <= 10, "{table}: the server never gave up before the store did");
            patient.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
            let mut holder = connect().await;
            run(&mut holder, &format!("BEGIN; SELECT FROM {table} FOR UPDATE")).await;
            let error = store.delete(&ID, entry(1).revision).await.unwrap_err();
            let StoreError::TimedOut { backend: "postgres", source } = &error else { panic!("{error:?}") };
            run(&mut holder, "ROLLBACK").await;
            until_they_have_ended(table).await;
            let undone = patient.delete(&ID, entry(1).revision).await.unwrap();
            if source.is::<sqlx::Error>() {
                assert!(undone, "{table}: the failed write was done later");
                break;
            }
        }
    }
}

/// Waits for longer than this server lets anybody wait for a lock.
async fn until_a_lock_would_time_out(connection: &mut PgConnection) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        number(connection, "SELECT 1::bigint").await;
    }
}

/// A user may have a `lock_timeout`, as those who migrate without a pause do.
#[tokio::test]
async fn a_lock_timeout_of_the_server_ends_no_wait_of_the_store() {
    let hasty = format!("{}?options=-c%20lock_timeout%3D50", url());
    for (table, pooled, own) in [("hasty", false, true), ("hasty_pool", false, false), ("hasty_pooled", true, false)] {
        run(&mut connect().await, &format!("DROP TABLE IF EXISTS {table}")).await;
        let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
        let builder = builder.with_timeout(Duration::from_secs(10));
        let store = if own {
            builder.connect(&hasty).await.unwrap()
        } else {
            builder.with_pool(PgPool::connect(&hasty).await.unwrap())
        };
        let mut holder = connect().await;
        // Another process makes its table.
        run(&mut holder, "SELECT pg_advisory_lock(8315168207168892787)").await;
        let (migrating, migrated) = (store.clone(), async {
            until_a_lock_would_time_out(&mut holder).await;
            run(&mut holder, "SELECT pg_advisory_unlock_all()").await;
        });
        let (answer, ()) = tokio::join!(migrating.migrate(), migrated);
        answer.unwrap_or_else(|error| panic!("{table}: {error:?}"));
        store.create(&ID, entry(1), HOUR, 2 * HOUR).await.unwrap();
        run(&mut holder, &format!("BEGIN; SELECT FROM {table} FOR UPDATE")).await;
        let waiting = store.clone();
        let touch = tokio::spawn(async move { waiting.touch(&ID, entry(1).revision, HOUR).await });
        until_they_wait(table, 1).await;
        until_a_lock_would_time_out(&mut holder).await;
        run(&mut holder, "ROLLBACK").await;
        assert!(touch.await.unwrap().unwrap_or_else(|error| panic!("{table}: {error:?}")));
    }
}

/// PostgreSQL 17 has a `transaction_timeout`, after which it ends the connection. Older ones wait for as long as the store does.
#[tokio::test]
async fn a_transaction_timeout_of_the_server_is_a_timeout_and_costs_one_connection() {
    for (table, pooled) in [("ended", false), ("ended_pooled", true)] {
        let patient = open(table, pooled).await;
        patient.create(&ID, entry(1), HOUR, 2 * HOUR).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(1).after_connect(|connection, _| {
            let set = "SELECT set_config(name, '300', false) FROM pg_settings WHERE name = 'transaction_timeout'";
            Box::pin(async move { sqlx::raw_sql(set).execute(connection).await.map(drop) })
        });
        let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
        let store = builder.with_pool(pool.connect(url()).await.unwrap());
        let mut holder = connect().await;
        run(&mut holder, &format!("BEGIN; SELECT FROM {table} FOR UPDATE")).await;
        let error = store.touch(&ID, entry(1).revision, HOUR).await.unwrap_err();
        assert!(matches!(error, StoreError::TimedOut { .. }), "{table}: {error:?}");
        run(&mut holder, "ROLLBACK").await;
        assert!(store.touch(&ID, entry(1).revision, HOUR).await.unwrap());
    }
}

/// The statement has waited for half the timeout, and the server would then wait for all of it again.
#[tokio::test]
async fn the_victim_of_a_deadlock_is_not_done_after_the_store_has_given_up() {
    for (table, pooled) in [("deadlocked", false), ("deadlocked_pooled", true)] {
        let _fresh = open(table, pooled).await;
        let options: PgConnectOptions = url().parse().unwrap();
        let options = options.options([("deadlock_timeout", "2s"), ("statement_timeout", "4s")]);
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled);
        let store = builder.with_timeout(Duration::from_secs(4)).with_pool(pool);
        let user = Owner::from(42);
        // If the machine was too busy to be quick enough, this tries again.
        let mut tries = 0;
        let (mut other, revoke) = loop {
            tries += 1;
            assert!(tries <= 5, "{table}: the victim is not sent again");
            for number in 1..=4 {
                store.create(&id(number), entry(1).with_owner(Some(&user)), HOUR, HOUR).await.unwrap();
            }
            let mut other = connect().await;
            // The connection that looks for a deadlock and finds one is its victim. This one does not look.
            run(&mut other, "SET deadlock_timeout = '1min'; BEGIN").await;
            run(&mut other, &format!("SELECT FROM {table} WHERE id = decode(repeat('04', 16), 'hex') FOR UPDATE"))
                .await;
            let (revoking, owner) = (store.clone(), user.clone());
            let revoke = tokio::spawn(async move { revoking.revoke(&owner, None).await });
            until_they_wait(table, 1).await;
            run(&mut other, &format!("SELECT FROM {table} WHERE id = decode(repeat('01', 16), 'hex') FOR UPDATE"))
                .await;
            if !revoke.is_finished() {
                break (other, revoke);
            }
            run(&mut other, "ROLLBACK").await;
            store.revoke(&user, None).await.unwrap();
        };
        let error = revoke.await.unwrap().unwrap_err();
        run(&mut other, "ROLLBACK").await;
        until_they_have_ended(table).await;
        assert_eq!(store.list(&user).await.unwrap().len(), 4, "{table}: the failed write was done later");
        assert!(matches!(error, StoreError::TimedOut { backend: "postgres", .. }), "{table}: {error:?}");
        assert_eq!(store.revoke(&user, None).await.unwrap(), 4, "{table}");
    }
}

#[tokio::test]
async fn purge_passes_by_what_is_locked_and_what_was_touched() {
    for (table, pooled) in [("swept", false), ("swept_pooled", true)] {
        let store = open(table, pooled).await;
        let mut other = connect().await;
        // More touched sessions than one window holds, in front of five that have expired.
        let insert = |from: u32, to: u32, expires: &str, sweep: &str| {
            format!(
                "INSERT INTO {table} (id, revision, payload, expires_at, ends_at, sweep_at) \
                 SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), n, '', now() + '{expires}', now() + '{expires}', \
                 now() - interval '{sweep}' FROM generate_series({from}, {to}) n"
            )
        };
        run(&mut other, &insert(1, 1200, "1 hour", "3 hours")).await;
        run(&mut other, &insert(1201, 1205, "-1 hour", "2 hours")).await;
        run(&mut other, &format!("BEGIN; SELECT FROM {table} WHERE revision = 1205 FOR NO KEY UPDATE")).await;
        assert_eq!(store.purge(3).await.unwrap(), 3);
        assert_eq!(store.purge(10).await.unwrap(), 1, "the other is locked");
        assert_eq!(store.purge(10).await.unwrap(), 0);
        run(&mut other, "ROLLBACK").await;
        assert_eq!(store.purge(10).await.unwrap(), 1);
        let left = format!("SELECT count(*) FROM {table} WHERE sweep_at = expires_at AND expires_at > now()");
        assert_eq!(number(&mut other, &left).await, 1200, "the touched ones are swept when they expire now");
    }
}

/// The application's own pool, which is busy.
#[tokio::test]
async fn a_pool_without_a_free_connection_times_out_before_its_own_patience_ends() {
    let _fresh = open("busy", false).await;
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect(url()).await.unwrap();
    let builder = PostgresStore::builder().with_table("busy").unwrap().with_timeout(Duration::from_millis(200));
    let store = builder.with_pool(pool.clone());
    let taken = pool.acquire().await.unwrap();
    let start = Instant::now();
    let error = store.load(&ID).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { backend: "postgres", .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "the pool waits 30 seconds");
    drop(taken);
    assert_eq!(store.load(&ID).await.unwrap(), None);
}
