//! What the layer tells the core of a request: its peer, proxies, TLS, route and origin, and whether it gets no
//! session.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use actix_web::{App, HttpRequest, http::StatusCode, test::TestRequest, test::init_service, web};
use session_actix::{
    EventKind, Exchange, Observer, Outcome, Session, SessionError, SessionEvent, SessionLayer, SessionManager,
    TrustedProxies, WithheldReason,
};

use crate::site::*;
use session_conformance::FaultyStore;

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

fn peer(address: [u8; 4]) -> SocketAddr {
    (address, 4000).into()
}

#[actix_web::test]
async fn the_peer_and_the_route_are_what_actix_knows() {
    async fn login(session: Session) -> Result<&'static str, SessionError> {
        session.login(42).await?;
        Ok("welcome")
    }
    let logins = Logins::default();
    let manager = SessionManager::development(FaultyStore::default())
        .with_observer(logins.clone())
        .with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let of =
        |layer: SessionLayer| App::new().service(web::scope("/in").route("/{door}", web::get().to(login))).wrap(layer);
    let app = init_service(of(SessionLayer::new(manager.clone()))).await;
    let get = || TestRequest::get().uri("/in/front");
    Browser::default().send(&app, get()).await;
    Browser::default().send(&app, get().peer_addr(peer([192, 0, 2, 7]))).await;
    let proxied = get().peer_addr(peer([10, 0, 0, 1]));
    Browser::default().send(&app, proxied.insert_header(("X-Forwarded-For", "192.0.2.8"))).await;
    let app = init_service(of(SessionLayer::new(manager).with_peer(|_| Some(peer([192, 0, 2, 9]))))).await;
    Browser::default().send(&app, get()).await;
    let route = Some("/in/{door}".to_owned());
    let of = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
    let expected = [(None, route.clone()), (of(7), route.clone()), (of(8), route.clone()), (of(9), route)];
    assert_eq!(*logins.0.lock().unwrap(), expected);
}

#[actix_web::test]
async fn tls_is_what_the_application_or_a_trusted_proxy_says() {
    async fn is_https(request: HttpRequest) -> String {
        use actix_web::HttpMessage;
        format!("{:?}", request.extensions().get::<Exchange>().unwrap().is_https())
    }
    let manager = SessionManager::development(FaultyStore::default())
        .with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let of = |layer: SessionLayer| App::new().route("/", web::get().to(is_https)).wrap(layer);
    let app = init_service(of(SessionLayer::new(manager.clone()))).await;
    assert_eq!(Browser::default().get(&app, "/").await.text(), "None");
    let proxied = TestRequest::get().peer_addr(peer([10, 0, 0, 1])).insert_header(("X-Forwarded-Proto", "https"));
    assert_eq!(Browser::default().send(&app, proxied).await.text(), "Some(true)");
    let app = init_service(of(SessionLayer::new(manager).with_https(|_| Some(false)))).await;
    assert_eq!(Browser::default().get(&app, "/").await.text(), "Some(false)");
}

#[actix_web::test]
async fn a_form_of_another_site_gets_no_new_session() {
    let (app, ..) = site(|_| {});
    let app = init_service(app).await;
    let form = || TestRequest::post().uri("/count").insert_header(("Host", "example.org"));
    let answer = Browser::default().send(&app, form().insert_header(("Origin", "https://example.com"))).await;
    assert_eq!((answer.status, answer.set_cookies().len()), (StatusCode::OK, 0));
    assert_eq!(answer.outcome, Some(Outcome::Withheld(WithheldReason::CrossSite)));
    let answer = Browser::default().send(&app, form().insert_header(("Origin", "https://example.org"))).await;
    assert_eq!((answer.set_cookies().len(), answer.outcome), (1, None));
}

#[actix_web::test]
async fn who_is_refused_a_session_gets_none_but_keeps_a_login() {
    let store = FaultyStore::default();
    let layer = SessionLayer::new(SessionManager::development(store.clone()))
        .without_anonymous_sessions(|request| request.headers().get("user-agent").is_some());
    let app = init_service(App::new().configure(pages).wrap(layer)).await;
    let bot = |path: &str| TestRequest::get().uri(path).insert_header(("user-agent", "bot"));
    let mut browser = Browser::default();
    let answer = browser.send(&app, bot("/count")).await;
    assert_eq!((answer.status, answer.set_cookies().len(), store.calls()), (StatusCode::OK, 0, 0));
    assert!(matches!(answer.outcome, Some(Outcome::Withheld(_))));
    assert_eq!(browser.send(&app, bot("/login")).await.set_cookies().len(), 1);
    assert_eq!(browser.send(&app, bot("/count")).await.text(), "1");
}
