//! The contract of a session store, on real servers: over the store's own connection, over the application's, on
//! Valkey, on a cluster, and on a master that sentinels watch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::OnceLock, time::Duration};

use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_redis::{RedisStore, redis};

/// Longer than any call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where no answer comes.
const IMPATIENCE: Duration = Duration::from_secs(1);

struct Redis {
    server: &'static Server,
    /// A cluster and sentinels have none: they tell the driver where the nodes are, and it connects to these directly.
    /// So no answer can be lost there.
    proxy: Option<Proxy>,
    in_the_applications_connection: bool,
    /// One that is soon full, if a case asks for it.
    small: OnceLock<Server>,
}

impl Redis {
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    fn at(server: &'static Server) -> Self {
        Self { server, proxy: None, in_the_applications_connection: false, small: OnceLock::new() }
    }

    fn on_one_node(in_the_applications_connection: bool) -> Self {
        Self::behind_a_proxy(servers::redis(), in_the_applications_connection)
    }

    fn behind_a_proxy(server: &'static Server, in_the_applications_connection: bool) -> Self {
        let proxy = Some(Proxy::before(server.url()));
        Self { server, proxy, in_the_applications_connection, small: OnceLock::new() }
    }

    async fn connect(&self, url: &str, namespace: &str, patience: Duration) -> RedisStore {
        let builder = RedisStore::builder().with_prefix(namespace).unwrap();
        let builder = builder.with_timeout(patience).with_connect_timeout(patience);
        if !self.in_the_applications_connection {
            return builder.connect(url).await.unwrap();
        }
        let client = redis::Client::open(url).unwrap();
        // By default the driver gives up after half a second.
        let patient = redis::aio::ConnectionManagerConfig::new()
            .set_response_timeout(Some(patience))
            .set_connection_timeout(Some(patience));
        builder.with_manager(client.get_connection_manager_with_config(patient).await.unwrap())
    }
}

#[async_trait]
impl Subject for Redis {
    type Store = RedisStore;

    async fn open(&self, namespace: &str) -> RedisStore {
        let url = self.proxy.as_ref().map_or(self.server.url(), Proxy::url);
        self.connect(url, namespace, PATIENCE).await
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

    async fn open_unanswered(&self, namespace: &str) -> Result<RedisStore, &'static str> {
        let proxy = self.proxy.as_ref().ok_or("`tests/all/outage.rs` pauses such servers")?;
        let store = self.connect(proxy.url(), namespace, IMPATIENCE).await;
        proxy.silence_all();
        Ok(store)
    }

    async fn open_with_little_room(&self, namespace: &str) -> Result<RedisStore, &'static str> {
        if self.proxy.is_none() || self.server.version().is_some_and(|version| version.contains("Valkey")) {
            return Err("it is run on one node of Redis");
        }
        let small = self.small.get_or_init(|| servers::own_redis(&["--maxmemory", "16mb"]));
        Ok(self.connect(small.url(), namespace, PATIENCE).await)
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
