//! A server that is killed, stopped, or cuts its connections. Each call fails in time with a typed error, and the store
//! works again afterwards.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use session_conformance::servers;
use session_core::{Entry, Expiry, Revision, SessionId, Store, StoreError};
use session_postgres::{
    PostgresStore,
    sqlx::{self, Connection, PgConnection, Row},
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
async fn open(url: &str, pooled: bool) -> PostgresStore {
    let builder = PostgresStore::builder().with_connections(CONNECTIONS).with_pooled(pooled);
    let store = builder.with_timeout(TIMEOUT).connect(url).await.unwrap();
    store.migrate().await.unwrap();
    match store.create(&ID, entry(1), HOUR, HOUR).await {
        Ok(()) | Err(StoreError::AlreadyExists) => {}
        Err(error) => panic!("{error:?}"),
    }
    fill(&store).await;
    store
}

async fn fill(store: &PostgresStore) {
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

/// The server's processes that serve the store.
async fn processes(other: &mut PgConnection) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    sqlx::query(sql).fetch_all(other).await.unwrap().iter().map(|row| row.get(0)).collect()
}

fn is_an_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { backend: "postgres", .. } | StoreError::TimedOut { .. })
}

/// Each operation fails in time, with the error of an outage.
async fn everything_fails(store: &PostgresStore) {
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

/// Runs more loads at once than there are connections. A load that meets a cut connection takes another one, so
/// afterwards no cut connection is left.
async fn everything_works(store: &PostgresStore) {
    let mut loads = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let store = store.clone();
        loads.spawn(async move { store.load(&ID).await.unwrap() });
    }
    assert!(loads.join_all().await.into_iter().all(|loaded| loaded.is_some()), "a session was lost");
    assert!(store.touch(&ID, entry(1).revision, HOUR).await.unwrap());
    assert!(store.replace(&ID, entry(1).revision, entry(1), Expiry::Extend(HOUR)).await.unwrap());
    fill(store).await;
}

#[tokio::test]
async fn a_server_that_is_killed_is_an_outage_and_works_again_when_it_is_back() {
    let server = servers::own_postgres(&[]);
    let stores = [open(server.url(), false).await, open(server.url(), true).await];
    for _ in 0..2 {
        server.kill();
        for store in &stores {
            everything_fails(store).await;
        }
        server.start();
        for store in &stores {
            everything_works(store).await;
        }
        // All idle connections are cut, and no call comes in between that would notice.
        server.kill();
        server.start();
        for store in &stores {
            everything_works(store).await;
        }
    }
}

/// Cuts all connections but this one, and waits until they have gone.
async fn cut_the_others(other: &mut PgConnection) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    sqlx::query(sql).execute(&mut *other).await.unwrap();
    while !processes(other).await.is_empty() {}
}

#[tokio::test]
async fn connections_that_the_server_cuts_are_replaced() {
    let server = servers::own_postgres(&[]);
    let mut other = PgConnection::connect(server.url()).await.unwrap();
    for pooled in [false, true] {
        let store = open(server.url(), pooled).await;
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
}

#[tokio::test]
async fn the_only_connection_is_replaced_when_the_server_has_cut_it() {
    let server = servers::own_postgres(&[]);
    let mut other = PgConnection::connect(server.url()).await.unwrap();
    let store = PostgresStore::builder().with_connections(1).connect(server.url()).await.unwrap();
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
    let server = servers::own_postgres(&[]);
    let mut other = PgConnection::connect(server.url()).await.unwrap();
    for pooled in [false, true] {
        let store = open(server.url(), pooled).await;
        let processes = processes(&mut other).await;
        let signal = |name: &str| {
            let ids = processes.iter().map(ToString::to_string);
            // Some processes have ended before they are told to go on, because their connection was given up.
            let _ = Command::new("kill").args(["-s", name]).args(ids).output().unwrap();
        };
        server.pause();
        signal("STOP");
        everything_fails(&store).await;
        everything_fails(&store).await;
        signal("CONT");
        server.resume();
        everything_works(&store).await;
    }
}

#[tokio::test]
async fn where_nobody_listens_connecting_fails_in_time() {
    let server = servers::own_postgres(&[]);
    server.kill();
    let start = Instant::now();
    let connecting = PostgresStore::builder().with_timeout(TIMEOUT).connect(server.url()).await;
    let error = connecting.unwrap_err();
    assert!(is_an_outage(&error), "{error:?}");
    assert!(start.elapsed() < DEADLINE, "it took {:?}", start.elapsed());
    let error = PostgresStore::connect("sessions").await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
}
