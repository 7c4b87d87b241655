//! The contract of a session store, on MongoDB or the stand-in for it: over a client of its own, and an application's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use session_conformance::{
    Subject, async_trait,
    servers::{self, Server},
};
use session_mongo::{MongoStore, mongodb};

/// One database for all namespaces, each of which is a collection.
struct Mongo {
    server: &'static Server,
    in_the_applications_client: bool,
}

impl Mongo {
    fn at(server: &'static Server) -> Self {
        Self { server, in_the_applications_client: false }
    }
}

#[async_trait]
impl Subject for Mongo {
    type Store = MongoStore;

    async fn open(&self, namespace: &str) -> MongoStore {
        let builder = MongoStore::builder().with_collection(namespace).unwrap().with_timeout(Duration::from_secs(10));
        let store = if self.in_the_applications_client {
            let client = mongodb::Client::with_uri_str(self.server.url()).await.unwrap();
            builder.with_database(client.database("application"))
        } else {
            builder.connect(self.server.url()).await.unwrap()
        };
        store.migrate().await.unwrap();
        store
    }

    fn server(&self) -> Option<&'static Server> {
        Some(self.server)
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod over_a_client_of_its_own {
    use super::*;

    session_conformance::store_tests!(Mongo::at(servers::mongodb()));
}

mod over_the_applications_client {
    use super::*;

    session_conformance::store_tests!(Mongo { in_the_applications_client: true, ..Mongo::at(servers::mongodb()) });
}
