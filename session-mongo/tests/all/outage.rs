//! A server that is killed or silent, and a caller that goes away. Each call fails in time with a typed error, and the
//! store works again afterwards.

use std::{
    task::{Context, Waker},
    time::{Duration, Instant},
};

use outage_tests::{After, REVISION, Subject, async_trait};
use session_conformance::servers::{self, Server};
use session_core::{Expiry, Revision, SessionId, Store, StoreError};
use session_mongo::MongoStore;

use crate::support::{HOUR, ID, NEW, OLD, entry};

/// Longer than the store takes to find the server again, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Mongo;

#[async_trait]
impl Subject for Mongo {
    type Store = MongoStore;

    const BACKEND: &'static str = "mongodb";

    fn server() -> Server {
        servers::own_mongodb(&[])
    }

    async fn connect(&self, url: &str) -> Result<MongoStore, StoreError> {
        MongoStore::builder().with_timeout(Self::TIMEOUT).connect(url).await
    }

    async fn other_calls(&self, store: &MongoStore) -> Vec<(&'static str, Result<(), StoreError>)> {
        vec![("purge", store.purge(10).await.map(drop))]
    }

    /// It works again by itself, though perhaps not at the first attempt: a connection may have been cut. The stand-in
    /// forgets what it had when it is killed.
    async fn recover(&self, store: &MongoStore, _: After) {
        let start = Instant::now();
        while let Err(error) = store.load(&ID).await {
            assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
            assert!(start.elapsed() < PATIENCE, "{error:?}");
        }
        fill(store, REVISION).await;
    }
}

outage_tests::outage_tests!(Mongo);

async fn fill(store: &MongoStore, revision: Revision) {
    match store.create(&ID, entry(revision), HOUR, HOUR).await {
        Ok(()) | Err(StoreError::AlreadyExists) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// A request's future is dropped when its client goes away. The operation that it has begun is done all the same.
#[tokio::test]
async fn what_was_begun_is_done_when_its_caller_is_gone() {
    let store = MongoStore::builder().with_collection("dropped").unwrap();
    let store = store.connect(servers::mongodb().url()).await.unwrap();
    fill(&store, OLD).await;
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
            assert!(start.elapsed() < PATIENCE, "a create that was sent is lost");
        }
        assert!(store.delete(&id, NEW).await.unwrap());
    }
}
