//! The server cuts every connection between a load and a write. Core goes on over a fresh one.

use outage_tests::{HOUR, resend};
use session_conformance::servers::{self, Proxy, Server};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, MySqlPool, Row, mysql::MySqlPoolOptions},
};

const CONNECTIONS: u32 = 14;

/// A pool whose connections can all be open and idle. None is asked before it is used.
struct Database {
    pool: MySqlPool,
    server: Server,
    proxy: Proxy,
}

impl Database {
    async fn open() -> (Self, MysqlStore) {
        let server = servers::own_mysql(&[]);
        let proxy = Proxy::before(server.url());
        let builder = MysqlStore::builder().with_idle_check(HOUR);
        let options = MySqlPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
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
        let mut other = MySqlConnection::connect(self.server.url()).await.unwrap();
        let others = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()";
        loop {
            let ids = sqlx::query(others).fetch_all(&mut other).await.unwrap();
            if ids.is_empty() {
                return;
            }
            for row in ids {
                let kill = AssertSqlSafe(format!("KILL CONNECTION {}", row.get::<i64, _>(0)));
                // It may have gone by itself.
                let _ = sqlx::raw_sql(kill).execute(&mut other).await;
            }
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
