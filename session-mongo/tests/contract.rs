//! The contract of a session store, on MongoDB or the stand-in for it: once over a client of the store's own, once over
//! the application's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_mongo::{MongoStore, mongodb};

/// Longer than any call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where no answer comes.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// One database for all namespaces, each of which is a collection.
struct Mongo {
    proxy: Proxy,
    in_the_applications_client: bool,
}

impl Mongo {
    fn new(in_the_applications_client: bool) -> Self {
        Self { proxy: Proxy::before(servers::mongodb().url()), in_the_applications_client }
    }

    async fn connect(&self, namespace: &str, timeout: Duration) -> MongoStore {
        let builder = MongoStore::builder().with_collection(namespace).unwrap().with_timeout(timeout);
        if !self.in_the_applications_client {
            return builder.connect(self.proxy.url()).await.unwrap();
        }
        let client = mongodb::Client::with_uri_str(self.proxy.url()).await.unwrap();
        builder.with_database(client.database("application"))
    }
}

#[async_trait]
impl Subject for Mongo {
    type Store = MongoStore;

    async fn open(&self, namespace: &str) -> MongoStore {
        let store = self.connect(namespace, PATIENCE).await;
        store.migrate().await.unwrap();
        store
    }

    async fn open_unanswered(&self, namespace: &str) -> Result<MongoStore, &'static str> {
        self.open(namespace).await;
        let store = self.connect(namespace, IMPATIENCE).await;
        self.proxy.silence_all();
        Ok(store)
    }

    async fn open_with_little_room(&self, _: &str) -> Result<MongoStore, &'static str> {
        Err("only a full disk limits a database of this server")
    }

    fn server(&self) -> Option<&'static Server> {
        Some(servers::mongodb())
    }

    /// The document has the id as text.
    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        self.proxy.lose_the_answer(to.to_string().as_bytes());
        Ok(())
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod over_a_client_of_its_own {
    session_conformance::store_tests!(super::Mongo::new(false));
}

mod over_the_applications_client {
    session_conformance::store_tests!(super::Mongo::new(true));
}

mod with_sealed_payloads {
    use session_conformance::Wrapped;
    use session_sealed::{SealKey, SealKeys, SealedStore};

    use super::*;

    session_conformance::store_tests!(Wrapped::new(Mongo::new(false), |store, namespace| {
        let key = SealKey::from_bytes("2026-11", &[1; 32]).unwrap();
        SealedStore::new(store, namespace, SealKeys::new(key)).unwrap()
    }));
}
