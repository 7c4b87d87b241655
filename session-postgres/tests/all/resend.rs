//! The server cuts every connection between a load and a write. Core goes on over a fresh one.

use outage_tests::{HOUR, resend};
use session_conformance::servers::{self, Proxy, Server};
use session_postgres::{
    PostgresStore,
    sqlx::{self, Connection, PgConnection, PgPool, Row, postgres::PgPoolOptions},
};

const CONNECTIONS: u32 = 14;

/// A pool whose connections can all be open and idle. None is asked before it is used.
struct Database {
    pool: PgPool,
    server: Server,
    proxy: Proxy,
}

impl Database {
    async fn open() -> (Self, PostgresStore) {
        let server = servers::own_postgres(&[]);
        let proxy = Proxy::before(server.url());
        let builder = PostgresStore::builder().with_idle_check(HOUR);
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = options.before_acquire(builder.before_acquire()).connect(proxy.url()).await.unwrap();
        let store = builder.with_pool(pool.clone());
        store.migrate().await.unwrap();
        (Self { pool, server, proxy }, store)
    }

    /// Makes all connections, waits until they are idle, and cuts them.
    async fn cut_all(&self) {
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            held.push(self.pool.acquire().await.unwrap());
        }
        drop(held);
        while self.pool.num_idle() < CONNECTIONS as usize {
            tokio::task::yield_now().await;
        }
        let mut other = PgConnection::connect(self.server.url()).await.unwrap();
        let others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let cut = sqlx::AssertSqlSafe(format!("SELECT pg_terminate_backend(pid) {others}"));
        sqlx::query(cut).execute(&mut other).await.unwrap();
        let count = format!("SELECT count(*) {others}");
        while sqlx::query(sqlx::AssertSqlSafe(count.clone())).fetch_one(&mut other).await.unwrap().get::<i64, _>(0) > 0
        {
        }
    }
}

#[tokio::test]
async fn a_new_session_a_change_a_login_and_a_logout_go_on_over_a_fresh_connection() {
    let (database, store) = Database::open().await;
    resend::go_on_over_a_fresh_connection(store, async || database.cut_all().await).await;
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_applied_once() {
    let (database, store) = Database::open().await;
    resend::apply_once_where_the_answer_is_lost(store, &database.proxy).await;
}
