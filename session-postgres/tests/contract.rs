//! The contract of a session store, on PostgreSQL: over connections of its own, in the pooled mode, behind PgBouncer, and in
//! the pool of a SeaORM application.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::OnceLock, time::Duration};

use sea_orm::{ConnectOptions, Database};
use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_postgres::PostgresStore;

/// Longer than any call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where no answer comes.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// One database for all namespaces, each of which is a table.
struct Postgres {
    server: &'static Server,
    proxy: Proxy,
    pooled: bool,
    /// One that is soon full, if a case asks for it.
    small: OnceLock<Server>,
}

impl Postgres {
    fn at(server: &'static Server) -> Self {
        let (proxy, pooled) = (Proxy::before(server.url()), server.url().starts_with("postgres+pooled:"));
        Self { server, proxy, pooled, small: OnceLock::new() }
    }

    async fn connect(&self, url: &str, namespace: &str, timeout: Duration) -> PostgresStore {
        let builder = PostgresStore::builder().with_table(namespace).unwrap().with_pooled(self.pooled);
        // The tests run at once, and the server has connections for all of them.
        builder.with_connections(5).with_timeout(timeout).connect(url).await.unwrap()
    }
}

#[async_trait]
impl Subject for Postgres {
    type Store = PostgresStore;

    async fn open(&self, namespace: &str) -> PostgresStore {
        let store = self.connect(self.proxy.url(), namespace, PATIENCE).await;
        store.migrate().await.unwrap();
        store
    }

    async fn open_unanswered(&self, namespace: &str) -> Result<PostgresStore, &'static str> {
        self.open(namespace).await;
        let store = self.connect(self.proxy.url(), namespace, IMPATIENCE).await;
        self.proxy.silence_all();
        Ok(store)
    }

    async fn open_with_little_room(&self, namespace: &str) -> Result<PostgresStore, &'static str> {
        if !self.proxy.url().starts_with("postgres:") {
            return Err("it is run without PgBouncer");
        }
        let small = self.small.get_or_init(|| servers::own_postgres_with_files_of(20 << 20));
        let store = self.connect(small.url(), namespace, PATIENCE).await;
        store.migrate().await.unwrap();
        Ok(store)
    }

    fn server(&self) -> Option<&'static Server> {
        Some(self.server)
    }

    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        if self.pooled {
            let hex: String = to.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            self.proxy.lose_the_answer(hex.as_bytes());
        } else {
            self.proxy.lose_the_answer(to.as_bytes());
        }
        Ok(())
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod over_connections_of_its_own {
    use super::*;

    session_conformance::store_tests!(Postgres::at(servers::postgres()));
}

mod in_the_pooled_mode {
    use super::*;

    session_conformance::store_tests!(Postgres { pooled: true, ..Postgres::at(servers::postgres()) });
}

/// The URL selects the mode.
mod behind_pgbouncer_in_transaction_mode {
    use super::*;

    session_conformance::store_tests!(Postgres::at(servers::pgbouncer()));
}

struct SeaOrm(Proxy);

impl SeaOrm {
    async fn connect(&self, namespace: &str, timeout: Duration) -> PostgresStore {
        let mut options = ConnectOptions::new(self.0.url());
        options.max_connections(5).sqlx_logging(false);
        let db = Database::connect(options).await.unwrap();
        let builder = PostgresStore::builder().with_table(namespace).unwrap().with_timeout(timeout);
        builder.with_pool(db.get_postgres_connection_pool().clone())
    }
}

#[async_trait]
impl Subject for SeaOrm {
    type Store = PostgresStore;

    async fn open(&self, namespace: &str) -> PostgresStore {
        let store = self.connect(namespace, PATIENCE).await;
        store.migrate().await.unwrap();
        store
    }

    async fn open_unanswered(&self, namespace: &str) -> Result<PostgresStore, &'static str> {
        self.open(namespace).await;
        let store = self.connect(namespace, IMPATIENCE).await;
        self.0.silence_all();
        Ok(store)
    }

    async fn open_with_little_room(&self, _: &str) -> Result<PostgresStore, &'static str> {
        Err("it is run on connections of the store's own")
    }

    fn server(&self) -> Option<&'static Server> {
        Some(servers::postgres())
    }

    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        self.0.lose_the_answer(to.as_bytes());
        Ok(())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod in_the_pool_of_a_seaorm_application {
    use super::*;

    session_conformance::store_tests!(SeaOrm(Proxy::before(servers::postgres().url())));
}

mod with_sealed_payloads {
    use session_conformance::Wrapped;
    use session_sealed::{SealKey, SealKeys, SealedStore};

    use super::*;

    session_conformance::store_tests!(Wrapped::new(Postgres::at(servers::postgres()), |store, namespace| {
        let key = SealKey::from_bytes("2026-11", &[1; 32]).unwrap();
        SealedStore::new(store, namespace, SealKeys::new(key)).unwrap()
    }));
}
