//! The contract of a session store, on PostgreSQL: over connections of its own, in the pooled mode, and behind PgBouncer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use session_conformance::{Subject, async_trait, servers};
use session_postgres::PostgresStore;

/// One database for all namespaces, each of which is a table.
struct Postgres {
    url: &'static str,
    pooled: bool,
}

#[async_trait]
impl Subject for Postgres {
    type Store = PostgresStore;

    async fn open(&self, namespace: &str) -> PostgresStore {
        let builder = PostgresStore::builder().with_table(namespace).unwrap().with_pooled(self.pooled);
        // The tests run at once, and the server has connections for all of them.
        let store = builder.with_connections(5).with_timeout(Duration::from_secs(10)).connect(self.url).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// The server's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod over_connections_of_its_own {
    use super::*;

    session_conformance::store_tests!(Postgres { url: servers::postgres().url(), pooled: false });
}

mod in_the_pooled_mode {
    use super::*;

    session_conformance::store_tests!(Postgres { url: servers::postgres().url(), pooled: true });
}

/// The URL selects the mode.
mod behind_pgbouncer_in_transaction_mode {
    use super::*;

    session_conformance::store_tests!(Postgres { url: servers::pgbouncer().url(), pooled: false });
}
