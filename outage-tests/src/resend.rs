//! The core goes on where a connection breaks between a load and a write.

use session_conformance::servers::Proxy;
use session_core::{CookieConfig, Exchange, Incoming, Key, Keyring, Outcome, SessionManager, Store};

/// A site with one visitor.
struct Site {
    manager: SessionManager,
    cookie: Option<String>,
}

impl Site {
    fn on(store: impl Store) -> Self {
        let keys = Keyring::new(Key::from_bytes(&[42; 32]).unwrap());
        let cookie = CookieConfig::builder("session").build().unwrap();
        Self { manager: SessionManager::new(store, keys).with_cookie(cookie), cookie: None }
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
}

/// Every connection is cut between the load and the write: of a new session, a change, a login and a logout. The site
/// goes on over another connection. `cut_all` makes all connections of the pool, waits until they are idle, and cuts
/// them.
pub async fn go_on_over_a_fresh_connection(store: impl Store, cut_all: impl AsyncFn()) {
    let mut site = Site::on(store);
    let exchange = site.request();
    exchange.session().await.unwrap().insert("counter", &1_u32).unwrap();
    cut_all().await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    site.take_cookie(&exchange);

    let exchange = site.request();
    exchange.session().await.unwrap().update("counter", |n: &mut u32| *n += 1).unwrap();
    cut_all().await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    assert_eq!(site.counter().await, Some(2));

    let exchange = site.request();
    let session = exchange.session().await.unwrap();
    cut_all().await;
    session.login(42).await.unwrap();
    exchange.commit().await.unwrap();
    site.take_cookie(&exchange);
    assert!(site.request().session().await.unwrap().owner().is_some());

    let exchange = site.request();
    let session = exchange.session().await.unwrap();
    cut_all().await;
    session.logout().await.unwrap();
    assert_eq!(site.counter().await, None);
}

/// The server has applied the change, and its answer is lost. The store is connected to by way of the proxy.
pub async fn apply_once_where_the_answer_is_lost(store: impl Store, proxy: &Proxy) {
    let mut site = Site::on(store);
    let exchange = site.request();
    exchange.session().await.unwrap().insert("counter", &1_u32).unwrap();
    exchange.commit().await.unwrap();
    site.take_cookie(&exchange);
    for round in 1..4 {
        let exchange = site.request();
        let session = exchange.session().await.unwrap();
        session.update("counter", |n: &mut u32| *n += 1).unwrap();
        proxy.lose_the_answer(session.id().unwrap().as_bytes());
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
        assert_eq!((proxy.lost(), site.counter().await), (round, Some(u32::try_from(round).unwrap() + 1)));
    }
}
