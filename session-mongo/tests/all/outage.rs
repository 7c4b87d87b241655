//! A server that is killed or silent, and a caller that goes away. Each call fails in time with a typed error, and the
//! store works again afterwards.

use std::{
    task::{Context, Waker},
    time::{Duration, Instant},
};

use session_conformance::servers;
use session_core::{Expiry, Revision, SessionId, Store, StoreError};
use session_mongo::MongoStore;

use crate::support::{HOUR, ID, NEW, OLD, entry};

const TIMEOUT: Duration = Duration::from_millis(500);
/// Twice the timeout and the half second on top of it, and a slow machine.
const DEADLINE: Duration = Duration::from_secs(6);

/// A store with a session in it. The stand-in forgets what it had when it is killed.
async fn open(url: &str) -> MongoStore {
    let store = MongoStore::builder().with_timeout(TIMEOUT).connect(url).await.unwrap();
    fill(&store).await;
    store
}

async fn fill(store: &MongoStore) {
    match store.create(&ID, entry(OLD), HOUR, HOUR).await {
        Ok(()) | Err(StoreError::AlreadyExists) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn is_an_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { backend: "mongodb", .. } | StoreError::TimedOut { .. })
}

/// Each of the operations fails, as an outage and in time.
async fn everything_fails(store: &MongoStore) {
    let start = Instant::now();
    let load = async { store.load(&ID).await.map(drop) };
    let replace = async { store.replace(&ID, OLD, entry(OLD), Expiry::Keep).await.map(drop) };
    let touch = async { store.touch(&ID, OLD, HOUR).await.map(drop) };
    let create = async { store.create(&SessionId::from_bytes([7; 16]), entry(OLD), HOUR, HOUR).await };
    let delete = async { store.delete(&SessionId::from_bytes([7; 16]), OLD).await.map(drop) };
    let purge = async { store.purge(10).await.map(drop) };
    let answers = tokio::join!(load, replace, touch, create, delete, purge);
    for answer in [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5] {
        let error = answer.unwrap_err();
        assert!(is_an_outage(&error), "{error:?}");
    }
    assert!(start.elapsed() < DEADLINE, "it took {:?}", start.elapsed());
}

/// It works again by itself, though perhaps not at the first attempt: a connection may have been cut.
async fn everything_works(store: &MongoStore) {
    let start = Instant::now();
    while let Err(error) = store.load(&ID).await {
        assert!(is_an_outage(&error), "{error:?}");
        assert!(start.elapsed() < 5 * DEADLINE, "{error:?}");
    }
    fill(store).await;
    assert!(store.load(&ID).await.unwrap().is_some());
    assert!(store.touch(&ID, OLD, HOUR).await.unwrap());
    assert!(store.replace(&ID, OLD, entry(OLD), Expiry::Extend(HOUR)).await.unwrap());
}

#[tokio::test]
async fn a_server_that_is_killed_is_an_outage_and_works_again_when_it_is_back() {
    let server = servers::own_mongodb(&[]);
    let store = open(server.url()).await;
    for _ in 0..2 {
        server.kill();
        everything_fails(&store).await;
        server.start();
        everything_works(&store).await;
        // The connections were cut, and no call came in between that would have noticed.
        server.kill();
        server.start();
        everything_works(&store).await;
    }
}

/// The connections stay open, but no answer comes, and no refusal.
#[tokio::test]
async fn a_server_that_is_silent_is_an_outage_and_works_again_when_it_speaks() {
    let server = servers::own_mongodb(&[]);
    let store = open(server.url()).await;
    server.pause();
    everything_fails(&store).await;
    everything_fails(&store).await;
    server.resume();
    everything_works(&store).await;
}

#[tokio::test]
async fn where_nobody_listens_connecting_fails_in_time() {
    let server = servers::own_mongodb(&[]);
    server.kill();
    let start = Instant::now();
    let error = MongoStore::builder().with_timeout(TIMEOUT).connect(server.url()).await.unwrap_err();
    assert!(is_an_outage(&error), "{error:?}");
    assert!(start.elapsed() < DEADLINE, "it took {:?}", start.elapsed());
    let error = MongoStore::connect("sessions").await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
}

/// A request's future is dropped when its client goes away. The operation that it has begun is done all the same.
#[tokio::test]
async fn what_was_begun_is_done_when_its_caller_is_gone() {
    let store = MongoStore::builder().with_collection("dropped").unwrap();
    let store = store.connect(servers::mongodb().url()).await.unwrap();
    fill(&store).await;
    let mut expected = OLD;
    for number in 100..150 {
        let next = Revision::from_bytes([number; 8]);
        let id = SessionId::from_bytes([number; 16]);
        let mut dropped = store.create(&id, entry(NEW), HOUR, HOUR);
        let context = &mut Context::from_waker(Waker::noop());
        assert!(dropped.as_mut().poll(context).is_pending());
        drop(dropped);
        assert!(store.replace(&ID, expected, entry(next), Expiry::Keep).await.unwrap());
        expected = next;
        let start = Instant::now();
        while store.load(&id).await.unwrap().is_none() {
            assert!(start.elapsed() < DEADLINE, "a create that was sent is lost");
        }
        assert!(store.delete(&id, NEW).await.unwrap());
    }
}
