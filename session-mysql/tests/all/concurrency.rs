//! Many at once, on rows and on the table itself.

use std::time::{Duration, Instant};

use session_conformance::servers;
use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, MySqlPool, mysql::MySqlPoolOptions},
};

use crate::words::{deadlocks, is_mariadb, number, still_at_work, under_way, waiters};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);
const PATIENCE: Duration = Duration::from_secs(20);

type Revocation = tokio::task::JoinHandle<Result<u64, StoreError>>;

fn url() -> &'static str {
    servers::mysql().url()
}

fn entry(number: u8) -> Entry<'static> {
    Entry::new(Revision::from_bytes([number; 8]), b"payload")
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

/// A fresh table.
async fn open(table: &str) -> MysqlStore {
    run(&mut connect().await, &format!("DROP TABLE IF EXISTS {table}")).await;
    let builder = MysqlStore::builder().with_table(table).unwrap().with_timeout(PATIENCE);
    let store = builder.connect(url()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn connect() -> MySqlConnection {
    MySqlConnection::connect(url()).await.unwrap()
}

async fn run(connection: &mut MySqlConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// Waits until this many statements wait for a lock on the table.
async fn until_they_wait(table: &str, how_many: i64) {
    until_they_have_waited(table, how_many, 200).await;
}

async fn until_they_have_waited(table: &str, how_many: i64, milliseconds: u32) {
    let mut connection = connect().await;
    let start = Instant::now();
    while waiters(&mut connection, table, milliseconds).await != how_many {
        assert!(start.elapsed() < PATIENCE, "nobody waits for the lock on {table}");
    }
}

/// Waits until no statement on the table is under way, not even one that the store has given up.
async fn until_they_have_ended(table: &str) {
    let mut connection = connect().await;
    let start = Instant::now();
    while still_at_work(&mut connection, table).await != 0 {
        assert!(start.elapsed() < PATIENCE, "a statement on {table} does not end");
    }
}

/// Whether the server has given up before the store did, and says so.
fn is_the_servers_word(error: &StoreError) -> bool {
    matches!(error, StoreError::TimedOut { backend: "mysql", source } if source.is::<sqlx::Error>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eighty_may_migrate_at_once() {
    run(&mut connect().await, "DROP TABLE IF EXISTS migrated").await;
    let tasks: Vec<_> = (0..80)
        .map(|_| {
            tokio::spawn(async move {
                let builder = MysqlStore::builder().with_table("migrated").unwrap().with_connections(1);
                let store = builder.with_timeout(PATIENCE).connect(url()).await?;
                store.migrate().await?;
                store.load(&ID).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), None);
    }
    let indexes = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_name = 'migrated'";
    assert_eq!(number(&mut connect().await, indexes).await, 3);
}

#[tokio::test]
async fn migrate_waits_while_somebody_else_does_longer_than_an_operation_would() {
    let mut holder = connect().await;
    run(&mut holder, "DROP TABLE IF EXISTS migrated_later; DO GET_LOCK('session-mysql migrate', 60)").await;
    let builder = MysqlStore::builder().with_table("migrated_later").unwrap().with_timeout(Duration::from_millis(100));
    let store = builder.connect(url()).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.migrate().await }
    });
    let start = Instant::now();
    while under_way(&mut holder, "SELECT GET\\_LOCK(%", 700).await == 0 {
        assert!(!waiting.is_finished() && start.elapsed() < PATIENCE, "`migrate` does not wait for its turn");
    }
    run(&mut holder, "DO RELEASE_ALL_LOCKS()").await;
    waiting.await.unwrap().unwrap();
    assert_eq!(store.load(&ID).await.unwrap(), None);
}

#[tokio::test]
async fn migrate_waits_for_nobody_where_the_table_is_there() {
    let store = open("migrated_again").await;
    let mut other = connect().await;
    run(&mut other, "LOCK TABLES migrated_again WRITE").await;
    store.migrate().await.unwrap();
}

/// The holder of the lock changes nothing, or changes the row.
#[tokio::test]
async fn a_write_that_waits_for_the_row_until_after_the_expiry_does_nothing() {
    for (table, change) in
        [("late", "SELECT id FROM late FOR UPDATE"), ("late_changed", "UPDATE late_changed SET payload = 'changed'")]
    {
        let store = open(table).await;
        let user = Owner::from(42);
        for number in 1..=6 {
            let owner = (number == 6).then_some(&user);
            store.create(&id(number), entry(1).with_owner(owner), Duration::from_secs(2), HOUR).await.unwrap();
        }
        let mut holder = connect().await;
        run(&mut holder, "BEGIN").await;
        run(&mut holder, change).await;
        let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
        let (waiting, user) = (store.clone(), user.clone());
        let late = tokio::spawn(async move {
            let ids = [1, 2, 3, 4, 5].map(id);
            tokio::join!(
                waiting.replace(&ids[0], entry(1).revision, entry(2), Expiry::Keep),
                waiting.replace(&ids[1], entry(1).revision, entry(2), Expiry::Extend(HOUR)),
                waiting.replace(&ids[2], entry(1).revision, entry(2), restart),
                waiting.touch(&ids[3], entry(1).revision, HOUR),
                waiting.delete(&ids[4], entry(1).revision),
                async { waiting.revoke(&user, None).await.map(|ended| ended > 0) },
            )
        });
        until_they_wait(table, 6).await;
        let expired =
            format!("SELECT MAX(expires_at) < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) FROM {table}");
        while number(&mut holder, &expired).await == 0 {}
        run(&mut holder, "COMMIT").await;
        let (keep, extend, restart, touch, delete, revoke) = late.await.unwrap();
        for (name, answer) in [
            ("keep", keep),
            ("extend", extend),
            ("restart", restart),
            ("touch", touch),
            ("delete", delete),
            ("revoke", revoke),
        ] {
            assert!(!answer.unwrap(), "{table}: {name} waited until after the expiry, and was done");
        }
        let unchanged = format!("SELECT COUNT(*) FROM {table} WHERE revision = {}", 0x0101_0101_0101_0101_i64);
        assert_eq!(number(&mut holder, &unchanged).await, 6);
    }
}

/// Ends four sessions of a user, and becomes the victim of a deadlock after this many milliseconds. The other transaction
/// has written more rows, so the server chooses the store's statement. That is sent again, and waits for the other.
async fn deadlock(store: &MysqlStore, table: &str, milliseconds: u32) -> (MySqlConnection, Revocation) {
    for number in 1..=4 {
        store.create(&id(number), entry(1).with_owner(Some(&Owner::from(42))), HOUR, HOUR).await.unwrap();
    }
    store.create(&id(9), entry(1), HOUR, HOUR).await.unwrap();
    let mut other = connect().await;
    let before = deadlocks(&mut other).await;
    run(&mut other, "BEGIN").await;
    for n in 0..50 {
        run(&mut other, &format!("UPDATE {table} SET payload = '{n}' WHERE id = REPEAT(x'09', 16)")).await;
    }
    run(&mut other, &format!("UPDATE {table} SET payload = 'last' WHERE id = REPEAT(x'04', 16)")).await;
    let revoking = store.clone();
    let revoke = tokio::spawn(async move { revoking.revoke(&Owner::from(42), None).await });
    until_they_have_waited(table, 1, milliseconds).await;
    run(&mut other, &format!("UPDATE {table} SET payload = 'first' WHERE id = REPEAT(x'01', 16)")).await;
    assert!(deadlocks(&mut other).await > before, "there was no deadlock");
    assert!(!revoke.is_finished(), "the victim was not sent again");
    (other, revoke)
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_sent_again_and_counts_right() {
    let store = open("deadlocked").await;
    let (mut other, revoke) = deadlock(&store, "deadlocked", 200).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(revoke.await.unwrap().unwrap(), 4);
    assert!(store.list(&Owner::from(42)).await.unwrap().is_empty());
}

/// The statement has waited for a quarter of the timeout, and the server would then wait for all of it again.
#[tokio::test]
async fn the_victim_of_a_late_deadlock_is_not_done_after_the_store_has_given_up() {
    let _fresh = open("deadlocked_late").await;
    let builder = MysqlStore::builder().with_table("deadlocked_late").unwrap().with_timeout(Duration::from_secs(8));
    let store = builder.connect(url()).await.unwrap();
    let (mut other, revoke) = deadlock(&store, "deadlocked_late", 2000).await;
    let error = revoke.await.unwrap().unwrap_err();
    run(&mut other, "COMMIT").await;
    until_they_have_ended("deadlocked_late").await;
    assert_eq!(store.list(&Owner::from(42)).await.unwrap().len(), 4, "the failed write was done later");
    assert!(matches!(error, StoreError::TimedOut { backend: "mysql", .. }), "{error:?}");
}

/// Revokes, replaces, deletes and purges in turn, and makes each session again.
async fn write_to_four_sessions(store: &MysqlStore, user: &Owner, turn: u8) -> Result<(), StoreError> {
    let (owned, revision) = (entry(1).with_owner(Some(user)), entry(1).revision);
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    for step in 0..12_u8 {
        let id = id(step % 4);
        match (turn + step) % 4 {
            0 => drop(store.revoke(user, None).await?),
            1 => drop(store.replace(&id, revision, owned, restart).await?),
            2 => drop(store.delete(&id, revision).await?),
            _ => drop(store.purge(5).await?),
        }
        match store.create(&id, owned, HOUR, HOUR).await {
            Ok(()) | Err(StoreError::AlreadyExists) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// At each isolation level that an application's pool may have. With `innodb_snapshot_isolation` the server refuses to write
/// a row that has changed since the transaction's snapshot. In `SERIALIZABLE` a statement alone is refused, too, and sent again.
/// It is on from MariaDB 11.6.2. MySQL has no such setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deadlocks_and_conflicts_under_load_never_reach_the_caller() {
    for (table, setting) in [
        ("loaded_committed", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        ("loaded_repeatable", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        ("loaded_serializable", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
        ("loaded_snapshot", "SET innodb_snapshot_isolation = 1"),
        ("loaded_both", "SET innodb_snapshot_isolation = 1, tx_isolation = 'SERIALIZABLE'"),
    ] {
        if setting.contains("snapshot") && !is_mariadb(&mut connect().await).await {
            continue;
        }
        let _fresh = open(table).await;
        let pool = MySqlPoolOptions::new()
            .max_connections(16)
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(setting).execute(connection).await.map(drop) })
            })
            .connect(url())
            .await
            .unwrap();
        let store = MysqlStore::builder().with_table(table).unwrap().with_timeout(PATIENCE).with_pool(pool);
        let user = Owner::from(42);
        for round in 0..8_u8 {
            let tasks: Vec<_> = (0..16_u8)
                .map(|task| {
                    let (store, user) = (store.clone(), user.clone());
                    tokio::spawn(async move { write_to_four_sessions(&store, &user, task + round).await })
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap_or_else(|error| panic!("{setting}: {error:?}"));
            }
        }
        assert!(store.list(&user).await.unwrap().len() <= 4);
    }
    assert!(deadlocks(&mut connect().await).await > 0, "there was no deadlock to hide");
}

/// More futures are dropped than there are connections, while each is waiting for the row.
#[tokio::test]
async fn futures_that_are_dropped_leave_a_pool_that_works() {
    let _fresh = open("dropped").await;
    let builder = MysqlStore::builder().with_table("dropped").unwrap().with_connections(2);
    let store = builder.with_timeout(Duration::from_secs(5)).connect(url()).await.unwrap();
    store.create(&ID, entry(1), HOUR, 2 * HOUR).await.unwrap();
    let mut holder = connect().await;
    run(&mut holder, "BEGIN").await;
    run(&mut holder, "SELECT id FROM dropped FOR UPDATE").await;
    for _ in 0..8 {
        let write = store.touch(&ID, entry(1).revision, HOUR);
        assert!(tokio::time::timeout(Duration::from_millis(50), write).await.is_err(), "the row was not locked");
    }
    let load = tokio::time::timeout(Duration::from_secs(2), store.load(&ID)).await;
    assert!(load.unwrap().unwrap().is_some(), "a read waits for a connection that a dropped write has");
    run(&mut holder, "ROLLBACK").await;
    assert!(store.touch(&ID, entry(1).revision, HOUR).await.unwrap());
    assert!(store.delete(&ID, entry(1).revision).await.unwrap());
    assert_eq!(store.load(&ID).await.unwrap(), None);
}

/// The row stays as it is after a write that the server gave up on while another held the row.
///
/// On a busy machine the store may give up first. Then nobody knows whether the write will be done, and this tries again.
async fn the_failed_write_stays_undone(store: &MysqlStore, table: &str) {
    for _ in 0..10 {
        store.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
        let mut holder = connect().await;
        run(&mut holder, "BEGIN").await;
        run(&mut holder, &format!("SELECT id FROM {table} FOR UPDATE")).await;
        let error = store.replace(&ID, entry(1).revision, entry(2), Expiry::Keep).await.unwrap_err();
        assert!(matches!(error, StoreError::TimedOut { backend: "mysql", .. }), "{error:?}");
        run(&mut holder, "ROLLBACK").await;
        until_they_have_ended(table).await;
        let undone = store.delete(&ID, entry(1).revision).await.unwrap();
        if is_the_servers_word(&error) {
            assert!(undone, "the failed write was done later");
            return;
        }
        store.delete(&ID, entry(2).revision).await.unwrap();
    }
    panic!("the server gave its word in none of ten tries: is the machine very busy?");
}

#[tokio::test]
async fn a_row_that_is_locked_for_too_long_times_out_and_is_not_written_later() {
    let _fresh = open("locked").await;
    // MySQL has no time for a statement that writes, and its time for a lock is in whole seconds.
    let milliseconds = if is_mariadb(&mut connect().await).await { 200 } else { 1000 };
    let builder = MysqlStore::builder().with_table("locked").unwrap().with_timeout(Duration::from_millis(milliseconds));
    the_failed_write_stays_undone(&builder.connect(url()).await.unwrap(), "locked").await;
}

/// The wait ends by the statement's time or by the lock's, after the whole default timeout or after half of it.
#[tokio::test]
async fn a_write_that_failed_at_a_lock_is_not_done_when_the_lock_is_released() {
    let _fresh = open("released").await;
    for settings in [
        "SET innodb_lock_wait_timeout = 3, max_statement_time = 2",
        "SET innodb_lock_wait_timeout = 2",
        "SET innodb_lock_wait_timeout = 1",
    ] {
        // MySQL has no time for a statement that writes.
        if settings.contains("max_statement_time") && !is_mariadb(&mut connect().await).await {
            continue;
        }
        let pool = MySqlPool::connect(url()).await.unwrap();
        sqlx::raw_sql(settings).execute(&pool).await.unwrap();
        let store = MysqlStore::builder().with_table("released").unwrap().with_pool(pool);
        the_failed_write_stays_undone(&store, "released").await;
    }
}

/// The server gives up on a lock after a second. The store has more patience.
#[tokio::test]
async fn a_lock_wait_that_the_server_ends_early_is_begun_again() {
    let _fresh = open("waited").await;
    let pool = MySqlPool::connect(url()).await.unwrap();
    sqlx::raw_sql("SET SESSION innodb_lock_wait_timeout = 1").execute(&pool).await.unwrap();
    let builder = MysqlStore::builder().with_table("waited").unwrap().with_timeout(PATIENCE);
    let store = builder.with_pool(pool);
    store.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
    let mut holder = connect().await;
    run(&mut holder, "BEGIN").await;
    run(&mut holder, "SELECT id FROM waited FOR UPDATE").await;
    let waiting = store.clone();
    let touch = tokio::spawn(async move { waiting.touch(&ID, entry(1).revision, HOUR).await });
    // The statement waits, is refused, and waits again.
    until_they_wait("waited", 1).await;
    while waiters(&mut holder, "waited", 200).await == 1 {}
    until_they_wait("waited", 1).await;
    run(&mut holder, "ROLLBACK").await;
    assert!(touch.await.unwrap().unwrap());
}

/// The application's own pool, which is busy.
#[tokio::test]
async fn a_pool_without_a_free_connection_times_out_before_its_own_patience_ends() {
    let _fresh = open("busy").await;
    let pool: MySqlPool = MySqlPoolOptions::new().max_connections(1).connect(url()).await.unwrap();
    let builder = MysqlStore::builder().with_table("busy").unwrap().with_timeout(Duration::from_millis(200));
    let store = builder.with_pool(pool.clone());
    let taken = pool.acquire().await.unwrap();
    let start = Instant::now();
    let error = store.load(&ID).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { backend: "mysql", .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "the pool waits 30 seconds");
    drop(taken);
    assert_eq!(store.load(&ID).await.unwrap(), None);
}
