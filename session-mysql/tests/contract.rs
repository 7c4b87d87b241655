//! The contract of a session store, on MySQL or MariaDB: over connections of its own, and in an application's pool.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_mysql::{MysqlStore, sqlx::mysql::MySqlPoolOptions};

/// One database for all namespaces, each of which is a table.
struct Mysql {
    proxy: Proxy,
    in_the_applications_pool: bool,
}

impl Mysql {
    fn new(in_the_applications_pool: bool) -> Self {
        Self { proxy: Proxy::before(servers::mysql().url()), in_the_applications_pool }
    }
}

#[async_trait]
impl Subject for Mysql {
    type Store = MysqlStore;

    async fn open(&self, namespace: &str) -> MysqlStore {
        let (url, wait) = (self.proxy.url(), Duration::from_secs(30));
        // The tests run at once, and the server has connections for all of them.
        let builder = MysqlStore::builder().with_table(namespace).unwrap().with_connections(5).with_timeout(wait);
        let store = if self.in_the_applications_pool {
            // Everything as the driver and the server come, REPEATABLE READ included.
            let pool = MySqlPoolOptions::new().max_connections(5).connect(url).await.unwrap();
            builder.with_pool(pool)
        } else {
            builder.connect(url).await.unwrap()
        };
        store.migrate().await.unwrap();
        store
    }

    fn server(&self) -> Option<&'static Server> {
        Some(servers::mysql())
    }

    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        self.proxy.lose_the_answer(to.as_bytes());
        Ok(())
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod over_connections_of_its_own {
    session_conformance::store_tests!(super::Mysql::new(false));
}

mod in_the_applications_pool {
    session_conformance::store_tests!(super::Mysql::new(true));
}

mod with_sealed_payloads {
    use session_conformance::Wrapped;
    use session_sealed::{SealKey, SealKeys, SealedStore};

    use super::*;

    session_conformance::store_tests!(Wrapped::new(Mysql::new(false), |store, namespace| {
        let key = SealKey::from_bytes("2026-11", &[1; 32]).unwrap();
        SealedStore::new(store, namespace, SealKeys::new(key)).unwrap()
    }));
}
