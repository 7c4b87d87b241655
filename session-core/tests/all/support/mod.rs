//! A site over a store that a test can disturb, a browser, and an observer that remembers.

pub(crate) mod dice;
mod lab;
pub(crate) mod log;
pub(crate) mod unreadable;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, header};
use session_core::{
    Entry, EventKind, Exchange, Expiry, Incoming, Key, Keyring, Lifetime, Observer, Owner, Policy, Revision, Session,
    SessionEvent, SessionId, SessionManager, Store,
};

pub(crate) use lab::*;

/// An observer that remembers the events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<SessionEvent>>>);

impl Observer for Events {
    fn on(&self, event: &SessionEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Events {
    pub(crate) fn all(&self) -> Vec<SessionEvent> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, is_meant: impl Fn(&EventKind) -> bool) -> usize {
        self.all().iter().filter(|event| is_meant(&event.kind)).count()
    }

    pub(crate) fn thefts(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::TheftDetected))
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The user of most tests.
pub(crate) const USER: u64 = 42;

pub(crate) fn user() -> Owner {
    Owner::from(USER)
}

/// The keys of every node of a site.
pub(crate) fn keys() -> Keyring {
    Keyring::new(Key::from_bytes(&[7; 32]).unwrap())
}

/// A site over a lab.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) manager: SessionManager,
    pub(crate) events: Events,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    pub(crate) fn with_policy(policy: Policy) -> Self {
        let (lab, events) = (Lab::new(), Events::default());
        let manager = SessionManager::new(lab.clone(), keys()).with_policy(policy).with_observer(events.clone());
        Self { lab, manager, events }
    }

    /// The same site in another process.
    pub(crate) fn another_process(&self) -> Self {
        let (lab, events) = (self.lab.clone(), self.events.clone());
        let manager = SessionManager::new(lab.clone(), keys()).with_observer(events.clone());
        Self { lab, manager, events }
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser {
        Browser { manager: self.manager.clone(), cookie: None }
    }

    /// A browser that has logged in, with the value `n` = 0.
    pub(crate) async fn logged_in(&self, owner: impl Into<Owner>) -> Browser {
        let mut browser = self.browser();
        let owner = owner.into();
        browser
            .visit(async |session| {
                session.insert("n", &0).unwrap();
                session.login(owner).await.unwrap();
            })
            .await;
        self.lab.calls();
        browser
    }

    /// A browser with an anonymous session, with the value `n` = 0.
    pub(crate) async fn visitor(&self) -> Browser {
        let mut browser = self.browser();
        browser.visit(async |session| session.insert("n", &0).unwrap()).await;
        self.lab.calls();
        browser
    }

    /// Moves the clock until a rotation is due. The next response carries a successor.
    pub(crate) async fn due(&self) {
        // A little more, because of rounding.
        self.lab.advance(15 * MINUTE + SECOND);
    }
}

pub(crate) fn lifetime(idle: Duration, absolute: Duration) -> Lifetime {
    Lifetime::new(idle, absolute)
}

/// A jar with our one cookie.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) manager: SessionManager,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn open(&self) -> Exchange {
        let header = self.cookie.as_ref().map(|cookie| format!("__Host-session={cookie}"));
        let incoming = Incoming::new(header.as_deref().map(str::as_bytes)).with_resource("GET", "/test");
        self.manager.open(incoming)
    }

    pub(crate) async fn start(&self) -> (Exchange, Session) {
        let exchange = self.open();
        let session = exchange.session().await.unwrap();
        (exchange, session)
    }

    /// Stores what the response says.
    pub(crate) fn receive(&mut self, headers: &HeaderMap) {
        let cookies = set_cookies(headers);
        assert!(cookies.len() <= 1, "this browser has one jar: {cookies:?}");
        let Some(SetCookie { name, value, .. }) = cookies.into_iter().next() else { return };
        assert_eq!(name, "__Host-session");
        self.cookie = value;
    }

    /// One request that succeeds.
    pub(crate) async fn visit(&mut self, handler: impl AsyncFnOnce(&Session)) {
        let (exchange, session) = self.start().await;
        handler(&session).await;
        exchange.commit().await.unwrap();
        self.receive(&exchange.headers());
    }

    /// The session as a request of this browser sees it.
    pub(crate) async fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.start().await.1.get(key).unwrap()
    }

    pub(crate) async fn owner(&self) -> Option<Owner> {
        self.start().await.1.owner()
    }
}

/// One `Set-Cookie` of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    /// `Path`, `Domain` and `Partitioned`, as the response writes them.
    pub(crate) scope: String,
    /// `None`: the cookie is removed.
    pub(crate) value: Option<String>,
}

/// The cookies that a response sets and removes. Checks that there is at most one of each name and scope, and that no
/// cache may keep the response.
pub(crate) fn set_cookies(headers: &HeaderMap) -> Vec<SetCookie> {
    let mut cookies: Vec<SetCookie> = Vec::new();
    for line in headers.get_all(header::SET_COOKIE) {
        assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "no-store");
        let (pair, attributes) = line.to_str().unwrap().split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let is_removed = attributes.contains("Max-Age=0");
        assert_eq!(is_removed, value.is_empty(), "{line:?}");
        let tells_apart =
            |attribute: &&str| ["Path=", "Domain=", "Partitioned"].iter().any(|a| attribute.starts_with(a));
        let scope: Vec<_> = attributes.split("; ").filter(tells_apart).collect();
        let cookie = SetCookie {
            name: name.to_owned(),
            scope: scope.join("; "),
            value: (!is_removed).then(|| value.to_owned()),
        };
        let is_same = |other: &SetCookie| (&other.name, &other.scope) == (&cookie.name, &cookie.scope);
        assert!(!cookies.iter().any(is_same), "two of one name and scope: {line:?}");
        cookies.push(cookie);
    }
    cookies
}

/// Whether the response sets, removes or leaves the cookie.
pub(crate) fn sets_cookie(exchange: &Exchange) -> bool {
    exchange.headers().contains_key(header::SET_COOKIE)
}

pub(crate) fn add_one(session: &Session) -> i64 {
    session.update("n", |n: &mut i64| *n += 1).unwrap()
}

/// A login whose old token would be theft by now: its successor is proven, and the grace is over. Returns the browser
/// that goes on, and then the one with the old token.
pub(crate) async fn stolen(site: &Site) -> (Browser, Browser) {
    let mut browser = site.logged_in(USER).await;
    let old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    (browser, old)
}

/// A request with the cookies of all these browsers.
pub(crate) fn together(site: &Site, browsers: &[&Browser]) -> Exchange {
    let cookies: Vec<_> = browsers.iter().filter_map(|browser| browser.cookie.as_ref()).collect();
    let header = cookies.iter().map(|cookie| format!("__Host-session={cookie}")).collect::<Vec<_>>().join("; ");
    site.manager.open(Incoming::new([header.as_bytes()]))
}

/// Waits until nobody writes in these processes of one site any more, and lets every packet come. What is sent for several
/// requests ends by itself, also where all of them were dropped.
pub(crate) async fn until_idle(nodes: &[Site], what: &str) {
    let is_idle = |node: &Site| format!("{:?}", node.manager).contains("Writers { sessions: 0, writers: 0 }");
    for _ in 0..1000 {
        if nodes.iter().all(is_idle) {
            break;
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    for node in nodes {
        node.lab.deliver_late().await;
        assert!(is_idle(node), "{what}: {:?}", node.manager);
    }
}

/// Whether the store still has the session of this browser's cookie.
pub(crate) async fn is_stored(site: &Site, browser: &Browser) -> bool {
    site.lab.memory.load(&browser.open().presented_id().unwrap()).await.unwrap().is_some()
}

/// A login, and the visitor that it has overtaken, whose old token is late now.
pub(crate) async fn late(site: &Site) -> Browser {
    let browser = site.visitor().await;
    browser.clone().visit(async |session| session.login(USER).await.unwrap()).await;
    browser
}

/// Puts something in place of the session that no version can read.
pub(crate) async fn make_unreadable(site: &Site, id: &SessionId) {
    let now = site.lab.memory.load(id).await.unwrap().unwrap().revision;
    let entry = Entry::new(Revision::from_bytes([1; 8]), b"garbage");
    assert!(site.lab.memory.replace(id, now, entry, Expiry::Keep).await.unwrap());
}
