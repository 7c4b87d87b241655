//! The contract of a session store, on MySQL or MariaDB: over connections of its own, and in an application's pool.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::OnceLock, time::Duration};

use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_mysql::{MysqlStore, sqlx::mysql::MySqlPoolOptions};

/// Longer than any call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where no answer comes.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// For all tables of the server together, 24 MiB.
const LITTLE_ROOM: &[&str] = &["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M"];

/// One database for all namespaces, each of which is a table.
struct Mysql {
    proxy: Proxy,
    in_the_applications_pool: bool,
    /// One that is soon full, if a case asks for it.
    small: OnceLock<Server>,
}

impl Mysql {
    fn new(in_the_applications_pool: bool) -> Self {
        let proxy = Proxy::before(servers::mysql().url());
        Self { proxy, in_the_applications_pool, small: OnceLock::new() }
    }

    async fn connect(&self, url: &str, namespace: &str, timeout: Duration) -> MysqlStore {
        // The tests run at once, and the server has connections for all of them.
        let builder = MysqlStore::builder().with_table(namespace).unwrap().with_connections(5).with_timeout(timeout);
        if !self.in_the_applications_pool {
            return builder.connect(url).await.unwrap();
        }
        // Everything as the driver and the server come, REPEATABLE READ included.
        builder.with_pool(MySqlPoolOptions::new().max_connections(5).connect(url).await.unwrap())
    }
}

#[async_trait]
impl Subject for Mysql {
    type Store = MysqlStore;

    async fn open(&self, namespace: &str) -> MysqlStore {
        let store = self.connect(self.proxy.url(), namespace, PATIENCE).await;
        store.migrate().await.unwrap();
        store
    }

    async fn open_unanswered(&self, namespace: &str) -> Result<MysqlStore, &'static str> {
        self.open(namespace).await;
        let store = self.connect(self.proxy.url(), namespace, IMPATIENCE).await;
        self.proxy.silence_all();
        Ok(store)
    }

    async fn open_with_little_room(&self, namespace: &str) -> Result<MysqlStore, &'static str> {
        if self.in_the_applications_pool {
            return Err("it is run on connections of the store's own");
        }
        let small = self.small.get_or_init(|| servers::own_mysql(LITTLE_ROOM));
        let store = self.connect(small.url(), namespace, PATIENCE).await;
        store.migrate().await.unwrap();
        Ok(store)
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
