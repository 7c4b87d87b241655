//! Connections that have been idle. The first requests work after a pause, after a restart, and after a silence of the
//! network.

use std::time::{Duration, Instant};

use outage_tests::{
    HOUR, REVISION,
    operations::{self, OPERATIONS, all_at_once, one_by_one, session},
};
use session_conformance::servers::{self, Proxy, Server};
use session_core::{SessionId, Store, StoreError};
use session_mysql::{
    Builder, MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, Executor, MySqlConnection, MySqlPool, Row, mysql::MySqlPoolOptions},
};
use tokio::task::JoinSet;

const CONNECTIONS: u32 = 14;
fn builder() -> Builder {
    MysqlStore::builder().with_connections(CONNECTIONS).with_idle_check(Duration::from_millis(100))
}

/// A store in an application's pool. The pool tells how many of its connections are idle.
async fn with_a_pool(builder: Builder, connections: u32, url: &str) -> (MySqlPool, MysqlStore) {
    let options = MySqlPoolOptions::new().max_connections(connections).test_before_acquire(false);
    let pool = options.before_acquire(builder.before_acquire()).connect(url).await.unwrap();
    (pool.clone(), builder.with_pool(pool))
}

/// A connection to look at the server, which is not closed for being idle.
async fn look_at(url: &str) -> MySqlConnection {
    let mut other = MySqlConnection::connect(url).await.unwrap();
    other.execute("SET wait_timeout = 3600 /*M! , max_statement_time = 0 */").await.unwrap();
    // Its default database distinguishes it from the store's connections.
    other.execute("USE information_schema").await.unwrap();
    other
}

/// Waits until the driver has taken every connection back. A connection that it takes back later would count as used.
async fn all_are_back(pool: &MySqlPool) {
    let waiting = async {
        while pool.num_idle() < pool.options().get_max_connections() as usize {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "{} connections are back", pool.num_idle());
}

/// Which of the store's connections are there and doing this.
async fn which(other: &mut MySqlConnection, doing: &str) -> Vec<i64> {
    let sql = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = 'root' AND db = 'test' \
        AND CONCAT(command, ' ', COALESCE(state, '')) LIKE ?";
    sqlx::query(sql).bind(doing).fetch_all(other).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Waits until this many of the store's connections are there and doing this.
async fn wait_for(expected: u32, other: &mut MySqlConnection, doing: &str) {
    let waiting = async {
        while which(other, doing).await.len() != expected as usize {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "{} instead of {expected} are {doing}", which(other, doing).await.len());
}

/// Makes all connections of the store at once, and leaves them idle.
async fn warm_up(store: &MysqlStore, url: &str) {
    let (mut holding, mut other) = (look_at(url).await, look_at(url).await);
    holding.execute("LOCK TABLES test.sessions WRITE").await.unwrap();
    // Loads would share a connection.
    let mut touches = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let store = store.clone();
        touches.spawn(async move { store.touch(&SessionId::from_bytes([0; 16]), REVISION, HOUR).await.unwrap() });
    }
    wait_for(CONNECTIONS, &mut other, "% Waiting for table metadata lock").await;
    holding.execute("UNLOCK TABLES").await.unwrap();
    holding.close().await.unwrap();
    touches.join_all().await;
    wait_for(CONNECTIONS, &mut other, "Sleep %").await;
}

/// Cuts every connection of the store, and waits until they have gone.
async fn cut_the_others(other: &mut MySqlConnection) {
    for id in which(other, "%").await {
        // It may have gone by itself.
        let _ = other.execute(AssertSqlSafe(format!("KILL CONNECTION {id}"))).await;
    }
    wait_for(0, other, "%").await;
}

async fn prepare(store: &MysqlStore) {
    store.migrate().await.unwrap();
    operations::prepare(store).await;
}

/// For each operation: the server closes connections that are idle for a second, and then the operation works.
async fn work_after_the_server_has_closed_idle_connections(server: &Server, store: &MysqlStore) {
    prepare(store).await;
    for operation in OPERATIONS {
        warm_up(store, server.url()).await;
        wait_for(0, &mut look_at(server.url()).await, "%").await;
        all_at_once(store, operation).await;
    }
}

#[tokio::test]
async fn the_first_requests_work_after_the_server_has_closed_idle_connections() {
    let server = servers::own_mysql(&["--wait-timeout=1"]);
    let store = builder().connect(server.url()).await.unwrap();
    work_after_the_server_has_closed_idle_connections(&server, &store).await;
}

#[tokio::test]
async fn the_first_requests_work_in_an_application_s_pool_that_has_the_hook() {
    let server = servers::own_mysql(&["--wait-timeout=1"]);
    let (_, store) = with_a_pool(builder(), CONNECTIONS, server.url()).await;
    work_after_the_server_has_closed_idle_connections(&server, &store).await;
}

#[tokio::test]
async fn the_first_requests_work_after_a_restart_of_the_server() {
    let server = servers::own_mysql(&[]);
    // The server may be back before a connection counts as idle, so each is asked at once.
    let (pool, store) = with_a_pool(builder().with_idle_check(Duration::ZERO), CONNECTIONS, server.url()).await;
    prepare(&store).await;
    for operation in OPERATIONS {
        warm_up(&store, server.url()).await;
        all_are_back(&pool).await;
        server.kill();
        server.start();
        all_at_once(&store, operation).await;
    }
}

/// A router has forgotten the connections. Messages on them are lost, and nobody is told.
#[tokio::test]
async fn a_network_that_drops_idle_connections_without_a_word_costs_one_limit() {
    const LIMIT: Duration = Duration::from_secs(5);
    let server = servers::own_mysql(&[]);
    let proxy = Proxy::before(server.url());
    let builder = builder().with_idle_check(Duration::ZERO).with_timeout(4 * LIMIT);
    let (pool, store) = with_a_pool(builder, CONNECTIONS, proxy.url()).await;
    prepare(&store).await;
    warm_up(&store, server.url()).await;
    all_are_back(&pool).await;
    proxy.silence();
    let start = Instant::now();
    one_by_one(&store).await;
    let elapsed = start.elapsed();
    assert!(elapsed >= LIMIT && elapsed < 2 * LIMIT, "it took {elapsed:?}");
}

/// The connections have not been idle for long enough to be asked.
#[tokio::test]
async fn one_broken_connection_condemns_those_of_its_age() {
    let server = servers::own_mysql(&[]);
    let (pool, store) = with_a_pool(builder().with_idle_check(HOUR), CONNECTIONS, server.url()).await;
    prepare(&store).await;
    let mut other = look_at(server.url()).await;
    for operation in OPERATIONS {
        warm_up(&store, server.url()).await;
        all_are_back(&pool).await;
        cut_the_others(&mut other).await;
        let error = store.touch(&session("load"), REVISION, HOUR).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        all_at_once(&store, operation).await;
    }
}

#[tokio::test]
async fn one_silent_connection_condemns_those_of_its_age() {
    let server = servers::own_mysql(&[]);
    let proxy = Proxy::before(server.url());
    let builder = builder().with_idle_check(HOUR).with_timeout(Duration::from_secs(3));
    let (pool, store) = with_a_pool(builder, CONNECTIONS, proxy.url()).await;
    prepare(&store).await;
    warm_up(&store, server.url()).await;
    all_are_back(&pool).await;
    proxy.silence();
    let error = store.touch(&session("load"), REVISION, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
    one_by_one(&store).await;
}

/// Two messages are sent for one load: its own, and one by which the driver takes the connection back.
#[tokio::test]
async fn a_connection_is_asked_only_after_a_pause() {
    let server = servers::mysql();
    let proxy = Proxy::before(server.url());
    for (idle_check, expected) in [(HOUR, 2), (Duration::ZERO, 3)] {
        let builder = builder().with_table("asked").unwrap().with_idle_check(idle_check);
        let (pool, store) = with_a_pool(builder, 1, proxy.url()).await;
        store.migrate().await.unwrap();
        store.delete(&session("load"), REVISION).await.unwrap();
        store.create(&session("load"), outage_tests::entry(REVISION), HOUR, HOUR).await.unwrap();
        let mut before = 0;
        // The first load prepares its statement.
        for _ in 0..2 {
            before = proxy.sent();
            assert!(store.load(&session("load")).await.unwrap().is_some());
            all_are_back(&pool).await;
        }
        assert_eq!(proxy.sent() - before, expected, "with {idle_check:?}");
    }
}
