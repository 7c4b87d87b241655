//! What the layer tells the core of a request: its peer, proxies, TLS, route and origin, and whether it gets no
//! session.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use ::poem::{
    Addr, EndpointExt, Request, Route, get, handler,
    http::{self, StatusCode, uri::Scheme},
    web::RemoteAddr,
};
use session_conformance::FaultyStore;
use session_poem::{
    EventKind, Exchange, Observer, Outcome, Session, SessionError, SessionEvent, SessionLayer, SessionManager,
    TrustedProxies, WithheldReason,
};

use crate::site::*;

type Login = (Option<IpAddr>, Option<String>);

#[derive(Clone, Debug, Default)]
struct Logins(Arc<Mutex<Vec<Login>>>);

impl Observer for Logins {
    fn on(&self, event: &SessionEvent) {
        if let EventKind::LoggedIn = event.kind {
            self.0.lock().unwrap().push((event.peer, event.route.clone()));
        }
    }
}

fn peer(address: [u8; 4]) -> RemoteAddr {
    RemoteAddr(SocketAddr::from((address, 4000)).into())
}

fn head(path: &str) -> http::request::Builder {
    http::Request::builder().uri(path)
}

#[handler]
async fn login(session: Session) -> Result<(), SessionError> {
    Ok(session.login(42).await?)
}

#[tokio::test]
async fn the_peer_and_the_route_are_what_poem_knows() {
    let logins = Logins::default();
    let manager = SessionManager::development(FaultyStore::default())
        .with_observer(logins.clone())
        .with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let of = |layer: SessionLayer| Route::new().nest("/in", Route::new().at("/:door", get(login))).with(layer);
    let app = of(SessionLayer::new(manager.clone()));
    let get = || head("/in/front");
    let proxied = get().header("X-Forwarded-For", "192.0.2.8");
    Browser::default().get(&app, "/in/front").await;
    Browser::default().send(&app, arriving(peer([192, 0, 2, 7]), Scheme::HTTP, get())).await;
    Browser::default().send(&app, arriving(peer([10, 0, 0, 1]), Scheme::HTTP, proxied)).await;
    let app = of(SessionLayer::new(manager).with_peer(|_| Some(IpAddr::from([192, 0, 2, 9]))));
    Browser::default().get(&app, "/in/front").await;
    let route = Some("/in/:door".to_owned());
    let of = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
    let expected = [(None, route.clone()), (of(7), route.clone()), (of(8), route.clone()), (of(9), route)];
    assert_eq!(*logins.0.lock().unwrap(), expected);
}

#[handler]
async fn is_https(request: &Request) -> String {
    format!("{:?}", request.data::<Exchange>().unwrap().is_https())
}

#[tokio::test]
async fn tls_is_what_the_listener_the_application_or_a_trusted_proxy_says() {
    let manager = SessionManager::development(FaultyStore::default())
        .with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let of = |layer: SessionLayer| Route::new().at("/", get(is_https)).with(layer);
    let app = of(SessionLayer::new(manager.clone()));
    assert_eq!(Browser::default().get(&app, "/").await.text, "None");
    let unknown = RemoteAddr(Addr::default());
    assert_eq!(Browser::default().send(&app, arriving(unknown, Scheme::HTTPS, head("/"))).await.text, "Some(true)");
    let proxied = head("/").header("X-Forwarded-Proto", "https");
    let proxied = arriving(peer([10, 0, 0, 1]), Scheme::HTTP, proxied);
    assert_eq!(Browser::default().send(&app, proxied).await.text, "Some(true)");
    let app = of(SessionLayer::new(manager).with_https(|_| Some(false)));
    assert_eq!(Browser::default().get(&app, "/").await.text, "Some(false)");
}

#[tokio::test]
async fn a_form_of_another_site_gets_no_new_session() {
    let (app, ..) = site(pages());
    let form = |origin: &str| {
        let head = head("/count").method("POST").header("Host", "example.org").header("Origin", origin);
        arriving(RemoteAddr(Addr::default()), Scheme::HTTP, head)
    };
    let answer = Browser::default().send(&app, form("https://example.com")).await;
    assert_eq!((answer.status, answer.set_cookies().len()), (StatusCode::OK, 0));
    assert_eq!(answer.outcome, Some(Outcome::Withheld(WithheldReason::CrossSite)));
    let answer = Browser::default().send(&app, form("https://example.org")).await;
    assert_eq!((answer.set_cookies().len(), answer.outcome), (1, None));
}

#[tokio::test]
async fn who_is_refused_a_session_gets_none_but_keeps_a_login() {
    let store = FaultyStore::default();
    let layer = SessionLayer::new(SessionManager::development(store.clone()))
        .without_anonymous_sessions(|request| request.headers().contains_key("user-agent"));
    let app = pages().with(layer);
    let bot = |path: &str| arriving(RemoteAddr(Addr::default()), Scheme::HTTP, head(path).header("user-agent", "bot"));
    let mut browser = Browser::default();
    let answer = browser.send(&app, bot("/count")).await;
    assert_eq!((answer.status, answer.set_cookies().len(), store.calls()), (StatusCode::OK, 0, 0));
    assert!(matches!(answer.outcome, Some(Outcome::Withheld(_))));
    assert_eq!(browser.send(&app, bot("/login")).await.set_cookies().len(), 1);
    assert_eq!(browser.send(&app, bot("/count")).await.text, "1");
}
