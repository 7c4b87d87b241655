//! A server that is killed, stopped, or cuts its connections. Each call fails in time with a typed error, and the store
//! works again afterwards.

use std::time::{Duration, Instant};

use session_conformance::servers;
use session_core::{Entry, Expiry, Revision, SessionId, Store, StoreError};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, Row},
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);
const CONNECTIONS: u32 = 4;
const TIMEOUT: Duration = Duration::from_millis(500);
/// Twice the timeout, half a second, and a slow machine.
const DEADLINE: Duration = Duration::from_secs(6);

fn entry(number: u8) -> Entry<'static> {
    Entry::new(Revision::from_bytes([number; 8]), b"payload")
}

/// A store whose connections are all there and idle, and a session in it.
async fn open(url: &str) -> MysqlStore {
    let store = MysqlStore::builder().with_connections(CONNECTIONS).with_timeout(TIMEOUT).connect(url).await.unwrap();
    store.migrate().await.unwrap();
    store.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
    fill(&store).await;
    store
}

async fn fill(store: &MysqlStore) {
    let loads: Vec<_> = (0..2 * CONNECTIONS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.load(&ID).await.unwrap() })
        })
        .collect();
    for load in loads {
        assert!(load.await.unwrap().is_some());
    }
}

/// Each operation fails in time, with the error of an outage.
async fn everything_fails(store: &MysqlStore) {
    let start = Instant::now();
    let load = async { store.load(&ID).await.map(drop) };
    let replace = async { store.replace(&ID, entry(1).revision, entry(1), Expiry::Keep).await.map(drop) };
    let touch = async { store.touch(&ID, entry(1).revision, HOUR).await.map(drop) };
    let create = async { store.create(&SessionId::from_bytes([7; 16]), entry(1), HOUR, HOUR).await };
    let purge = async { store.purge(10).await.map(drop) };
    let migrate = store.migrate();
    let answers = tokio::join!(load, replace, touch, create, purge, migrate);
    for answer in [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5] {
        let error = answer.unwrap_err();
        assert!(is_an_outage(&error), "{error:?}");
    }
    assert!(start.elapsed() < DEADLINE, "it took {:?}", start.elapsed());
}

fn is_an_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { backend: "mysql", .. } | StoreError::TimedOut { backend: "mysql", .. })
}

/// A load that meets a cut connection takes another. Some connections were just being given back to the pool. A write
/// meets each of those once.
async fn everything_works(store: &MysqlStore) {
    assert!(store.load(&ID).await.unwrap().is_some(), "a session was lost");
    for _ in 0..CONNECTIONS {
        match store.touch(&ID, entry(1).revision, HOUR).await {
            Ok(touched) => assert!(touched),
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}"),
        }
    }
    assert!(store.touch(&ID, entry(1).revision, HOUR).await.unwrap());
    assert!(store.replace(&ID, entry(1).revision, entry(1), Expiry::Extend(HOUR)).await.unwrap());
    fill(store).await;
}

/// Cuts all connections but this one, and waits until they have gone.
async fn cut_the_others(other: &mut MySqlConnection) {
    let others = "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'root'";
    loop {
        let ids: Vec<i64> =
            sqlx::query(others).fetch_all(&mut *other).await.unwrap().iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return;
        }
        for id in ids {
            // It may have gone by itself.
            let _ = sqlx::raw_sql(AssertSqlSafe(format!("KILL CONNECTION {id}"))).execute(&mut *other).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_killed_is_an_outage_and_works_again_when_it_is_back() {
    let server = servers::own_mysql(&[]);
    let store = open(server.url()).await;
    for _ in 0..2 {
        server.kill();
        everything_fails(&store).await;
        server.start();
        everything_works(&store).await;
        // All idle connections are cut, and no call comes in between that would notice.
        server.kill();
        server.start();
        everything_works(&store).await;
    }
}

#[tokio::test]
async fn connections_that_the_server_cuts_are_replaced() {
    let server = servers::own_mysql(&[]);
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    let store = open(server.url()).await;
    for _ in 0..3 {
        cut_the_others(&mut other).await;
        everything_works(&store).await;
    }
    // A write is not repeated by the store, because it may have been done.
    cut_the_others(&mut other).await;
    let error = store.touch(&ID, entry(1).revision, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    everything_works(&store).await;
}

#[tokio::test]
async fn the_only_connection_is_replaced_when_the_server_has_cut_it() {
    let server = servers::own_mysql(&[]);
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    let store = MysqlStore::builder().with_connections(1).connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    store.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
    for _ in 0..3 {
        cut_the_others(&mut other).await;
        assert!(store.load(&ID).await.unwrap().is_some());
    }
}

/// The connections stay open, but no answer comes, and no refusal.
#[tokio::test]
async fn a_server_that_is_silent_is_an_outage_and_costs_no_connection() {
    let server = servers::own_mysql(&[]);
    let store = open(server.url()).await;
    for _ in 0..2 {
        server.pause();
        everything_fails(&store).await;
        everything_fails(&store).await;
        server.resume();
        everything_works(&store).await;
    }
}

#[tokio::test]
async fn where_nobody_listens_connecting_fails_in_time() {
    let server = servers::own_mysql(&[]);
    let builder = MysqlStore::builder().with_timeout(TIMEOUT);
    let wrong = server.url().replace("root@", "nobody:wrong@");
    let error = builder.clone().connect(&wrong).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let missing = server.url().replace("/test", "/missing");
    let error = builder.clone().connect(&missing).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    server.kill();
    let start = Instant::now();
    let error = builder.connect(server.url()).await.unwrap_err();
    assert!(is_an_outage(&error), "{error:?}");
    assert!(start.elapsed() < DEADLINE, "it took {:?}", start.elapsed());
    let error = MysqlStore::connect("sessions").await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_read_only_is_unavailable_to_writes() {
    let server = servers::own_mysql(&[]);
    let store = open(server.url()).await;
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    // `read_only` does not bind an administrator, so the store logs in as a user who is not one.
    sqlx::raw_sql("CREATE USER app; GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO app; SET GLOBAL read_only = 1")
        .execute(&mut other)
        .await
        .unwrap();
    let app = MysqlStore::connect(&server.url().replace("root@", "app@")).await.unwrap();
    app.migrate().await.unwrap();
    assert!(app.load(&ID).await.unwrap().is_some());
    let error = app.touch(&ID, entry(1).revision, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    everything_works(&store).await;
}
