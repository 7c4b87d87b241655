//! The contract of a session store, on real servers: a connection of the store's, an application's, a cluster,
//! and a master that sentinels watch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use session_conformance::{
    Subject, async_trait,
    servers::{self, Server},
};
use session_redis::{RedisStore, redis};

struct Redis {
    server: &'static Server,
    in_the_applications_connection: bool,
}

impl Redis {
    fn at(server: &'static Server) -> Self {
        Self { server, in_the_applications_connection: false }
    }
}

#[async_trait]
impl Subject for Redis {
    type Store = RedisStore;

    async fn open(&self, namespace: &str) -> RedisStore {
        let builder = RedisStore::builder().with_prefix(namespace).unwrap();
        if !self.in_the_applications_connection {
            return builder.connect(self.server.url()).await.unwrap();
        }
        let client = redis::Client::open(self.server.url()).unwrap();
        builder.with_manager(client.get_connection_manager().await.unwrap())
    }

    fn server(&self) -> Option<&'static Server> {
        Some(self.server)
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod on_one_node {
    use super::*;

    session_conformance::store_tests!(Redis::at(servers::redis()));
}

mod on_the_applications_connection {
    use super::*;

    session_conformance::store_tests!(Redis { in_the_applications_connection: true, ..Redis::at(servers::redis()) });
}

#[cfg(feature = "cluster")]
mod on_a_cluster {
    use super::*;

    session_conformance::store_tests!(Redis::at(servers::redis_cluster()));
}

#[cfg(feature = "sentinel")]
mod on_a_watched_master {
    use super::*;

    session_conformance::store_tests!(Redis::at(servers::redis_sentinel()));
}
