//! The contract of a session store, on PostgreSQL: over connections of its own, in the pooled mode, behind PgBouncer, and in
//! the pool of a SeaORM application.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sea_orm::{ConnectOptions, Database};
use session_conformance::{
    Subject, async_trait,
    servers::{self, Proxy, Server},
};
use session_core::SessionId;
use session_postgres::PostgresStore;

/// One database for all namespaces, each of which is a table.
struct Postgres {
    server: &'static Server,
    proxy: Proxy,
    pooled: bool,
}

impl Postgres {
    fn at(server: &'static Server) -> Self {
        Self { server, proxy: Proxy::before(server.url()), pooled: server.url().starts_with("postgres+pooled:") }
    }
}

#[async_trait]
impl Subject for Postgres {
    type Store = PostgresStore;

    async fn open(&self, namespace: &str) -> PostgresStore {
        let builder = PostgresStore::builder().with_table(namespace).unwrap().with_pooled(self.pooled);
        // The tests run at once, and the server has connections for all of them.
        let store =
            builder.with_connections(5).with_timeout(Duration::from_secs(30)).connect(self.proxy.url()).await.unwrap();
        store.migrate().await.unwrap();
        store
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

#[async_trait]
impl Subject for SeaOrm {
    type Store = PostgresStore;

    async fn open(&self, namespace: &str) -> PostgresStore {
        let mut options = ConnectOptions::new(self.0.url());
        options.max_connections(5).sqlx_logging(false);
        let db = Database::connect(options).await.unwrap();
        let builder = PostgresStore::builder().with_table(namespace).unwrap().with_timeout(Duration::from_secs(30));
        let store = builder.with_pool(db.get_postgres_connection_pool().clone());
        store.migrate().await.unwrap();
        store
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
