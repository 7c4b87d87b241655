//! The contract of a session store, on real servers: over the store's own connection, over the application's, on
//! Valkey, on a cluster, and on a master that sentinels watch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_redis::{RedisStore, redis};

/// Longer than any call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Redis {
    server: &'static Server,
    /// A cluster and sentinels have none: they tell the driver where the nodes are, and it connects to these directly.
    /// So no answer can be lost there.
    proxy: Option<Proxy>,
    in_the_applications_connection: bool,
}

impl Redis {
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    fn at(server: &'static Server) -> Self {
        Self { server, proxy: None, in_the_applications_connection: false }
    }

    fn on_one_node(in_the_applications_connection: bool) -> Self {
        Self::behind_a_proxy(servers::redis(), in_the_applications_connection)
    }

    fn behind_a_proxy(server: &'static Server, in_the_applications_connection: bool) -> Self {
        Self { server, proxy: Some(Proxy::before(server.url())), in_the_applications_connection }
    }
}

#[async_trait]
impl Subject for Redis {
    type Store = RedisStore;

    async fn open(&self, namespace: &str) -> RedisStore {
        let url = self.proxy.as_ref().map_or(self.server.url(), Proxy::url);
        let builder = RedisStore::builder().with_prefix(namespace).unwrap();
        let builder = builder.with_timeout(PATIENCE).with_connect_timeout(PATIENCE);
        if !self.in_the_applications_connection {
            return builder.connect(url).await.unwrap();
        }
        let client = redis::Client::open(url).unwrap();
        // By default the driver gives up after half a second.
        let patient = redis::aio::ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        builder.with_manager(client.get_connection_manager_with_config(patient).await.unwrap())
    }

    fn server(&self) -> Option<&'static Server> {
        Some(self.server)
    }

    /// The key has the id as text.
    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        let proxy =
            self.proxy.as_ref().ok_or("`tests/all/lost.rs` runs them on servers that tell the proxy's address")?;
        proxy.lose_the_answer(to.to_string().as_bytes());
        Ok(())
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod on_one_node {
    use super::*;

    session_conformance::store_tests!(Redis::on_one_node(false));
}

mod on_the_applications_connection {
    use super::*;

    session_conformance::store_tests!(Redis::on_one_node(true));
}

mod on_valkey {
    use super::*;

    session_conformance::store_tests!(Redis::behind_a_proxy(servers::valkey(), false));
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

mod with_sealed_payloads {
    use session_conformance::Wrapped;
    use session_sealed::{SealKey, SealKeys, SealedStore};

    use super::*;

    session_conformance::store_tests!(Wrapped::new(Redis::on_one_node(false), |store, namespace| {
        let key = SealKey::from_bytes("2026-11", &[1; 32]).unwrap();
        SealedStore::new(store, namespace, SealKeys::new(key)).unwrap()
    }));
}
