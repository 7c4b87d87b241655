//! A server that is killed, silent, or cuts its connections. Each call fails in time with a typed error, and the store
//! works again afterwards.

use outage_tests::{After, CONNECTIONS, ID, Subject, async_trait};
use session_conformance::servers::{self, Server};
use session_core::{Store, StoreError};
use session_postgres::{
    PostgresStore,
    sqlx::{self, Connection, PgConnection, Row},
};
use tokio::task::JoinSet;

struct Postgres {
    pooled: bool,
    connections: u32,
}

const PREPARED: Postgres = Postgres { pooled: false, connections: CONNECTIONS };
const POOLED: Postgres = Postgres { pooled: true, connections: CONNECTIONS };

#[async_trait]
impl Subject for Postgres {
    type Store = PostgresStore;

    const BACKEND: &'static str = "postgres";

    fn server() -> Server {
        servers::own_postgres(&[])
    }

    async fn connect(&self, url: &str) -> Result<PostgresStore, StoreError> {
        let builder = PostgresStore::builder().with_connections(self.connections).with_pooled(self.pooled);
        builder.with_timeout(Self::TIMEOUT).connect(url).await
    }

    async fn prepare(&self, store: &PostgresStore) {
        store.migrate().await.unwrap();
    }

    async fn other_calls(&self, store: &PostgresStore) -> Vec<(&'static str, Result<(), StoreError>)> {
        let (purged, migrated) = tokio::join!(store.purge(10), store.migrate());
        vec![("purge", purged.map(drop)), ("migrate", migrated)]
    }

    /// Runs more loads at once than there are connections. A load that meets a cut connection takes another one, so
    /// afterwards no cut connection is left.
    async fn recover(&self, store: &PostgresStore, _: After) {
        let mut loads = JoinSet::new();
        for _ in 0..40 {
            let store = store.clone();
            loads.spawn(async move { store.load(&ID).await.unwrap() });
        }
        assert!(loads.join_all().await.into_iter().all(|loaded| loaded.is_some()), "the session was lost");
    }
}

outage_tests::outage_tests!(PREPARED, POOLED);

/// Cuts every connection of the store, and waits until they have gone.
async fn cut(server: &Server) {
    let mut other = PgConnection::connect(server.url()).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while sqlx::query(cut).fetch_one(&mut other).await.unwrap().get::<i64, _>(0) > 0 {}
}

#[tokio::test]
async fn connections_that_the_server_cuts_are_replaced() {
    let server = Postgres::server();
    outage_tests::cut(&server, &[PREPARED, POOLED], cut).await;
    outage_tests::cut_under_a_write(&server, &[PREPARED, POOLED], cut).await;
}

#[tokio::test]
async fn the_only_connection_is_replaced_when_the_server_has_cut_it() {
    outage_tests::cut_between_loads(&Postgres::server(), Postgres { connections: 1, ..PREPARED }, cut).await;
}
