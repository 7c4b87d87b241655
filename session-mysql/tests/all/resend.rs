//! The server cuts every connection between a load and a write. Core goes on over a fresh one.

use std::time::Duration;

use session_conformance::servers::{self, Proxy, Server};
use session_core::{CookieConfig, Exchange, Incoming, Key, Keyring, Outcome, SessionManager};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, MySqlPool, Row, mysql::MySqlPoolOptions},
};

const HOUR: Duration = Duration::from_secs(3600);
const CONNECTIONS: u32 = 14;

/// A site whose connections are all open and idle. None is asked before it is used.
struct Site {
    manager: SessionManager,
    pool: MySqlPool,
    server: Server,
    proxy: Proxy,
    cookie: Option<String>,
}

impl Site {
    async fn open() -> Self {
        let server = servers::own_mysql(&[]);
        let proxy = Proxy::before(server.url());
        let builder = MysqlStore::builder().with_idle_check(HOUR);
        let options = MySqlPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = options.before_acquire(builder.before_acquire()).connect(proxy.url()).await.unwrap();
        let store = builder.with_pool(pool.clone());
        store.migrate().await.unwrap();
        let keys = Keyring::new(Key::from_bytes(&[42; 32]).unwrap());
        let cookie = CookieConfig::builder("session").build().unwrap();
        let manager = SessionManager::new(store, keys).with_cookie(cookie);
        Self { manager, pool, server, proxy, cookie: None }
    }

    fn request(&self) -> Exchange {
        self.manager.open(Incoming::new(self.cookie.as_ref().map(|cookie| cookie.as_bytes())))
    }

    fn take_cookie(&mut self, exchange: &Exchange) {
        if let Some(cookie) = exchange.headers().get("set-cookie") {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
    }

    async fn counter(&self) -> Option<u32> {
        self.request().session().await.unwrap().get("counter").unwrap()
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
        let others = "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()";
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
    let mut site = Site::open().await;
    let exchange = site.request();
    exchange.session().await.unwrap().insert("counter", &1_u32).unwrap();
    site.cut_all().await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    site.take_cookie(&exchange);

    let exchange = site.request();
    exchange.session().await.unwrap().update("counter", |n: &mut u32| *n += 1).unwrap();
    site.cut_all().await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    assert_eq!(site.counter().await, Some(2));

    let exchange = site.request();
    let session = exchange.session().await.unwrap();
    site.cut_all().await;
    session.login(42).await.unwrap();
    exchange.commit().await.unwrap();
    site.take_cookie(&exchange);
    assert!(site.request().session().await.unwrap().owner().is_some());

    let exchange = site.request();
    let session = exchange.session().await.unwrap();
    site.cut_all().await;
    session.logout().await.unwrap();
    assert_eq!(site.counter().await, None);
}

/// The server has applied the change, and its answer is lost.
#[tokio::test]
async fn a_change_whose_answer_is_lost_is_applied_once() {
    let mut site = Site::open().await;
    let exchange = site.request();
    exchange.session().await.unwrap().insert("counter", &1_u32).unwrap();
    exchange.commit().await.unwrap();
    site.take_cookie(&exchange);
    for round in 1..4 {
        let exchange = site.request();
        let session = exchange.session().await.unwrap();
        session.update("counter", |n: &mut u32| *n += 1).unwrap();
        site.proxy.lose_the_answer(session.id().unwrap().as_bytes());
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
        assert_eq!((site.proxy.lost(), site.counter().await), (round, Some(u32::try_from(round).unwrap() + 1)));
    }
}
