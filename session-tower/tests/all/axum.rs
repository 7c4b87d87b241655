//! The layer and the extractors under axum.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use session_conformance::FaultyStore;
use session_core::{Error, EventKind, Observer, Outcome, Owner, SessionEvent, SessionManager};
use session_tower::{CurrentOwner, Exchange, Session, SessionError, SessionLayer};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::log::Log;
use crate::site::*;

#[tokio::test]
async fn the_store_down_is_a_503_with_an_empty_body() {
    let (app, store, _) = site(routes());
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_reads(true);
    for path in ["/count", "/owner"] {
        let answer = browser.get(&app, path).await;
        assert_eq!(answer.head.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.head.headers[header::RETRY_AFTER], "5");
        assert!(answer.body.is_empty());
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(answer.cause(), Some(Error::Store(_))));
    }
    store.fail_reads(false);
    assert_eq!(browser.get(&app, "/read").await.text(), "1");
}

#[tokio::test]
async fn a_handler_may_go_on_while_the_store_is_down() {
    async fn page(session: Result<Session, SessionError>) -> String {
        match session {
            Ok(_) => "with a session".to_owned(),
            Err(error) => format!("without one: {}", error.status()),
        }
    }
    let (app, store, _) = site(routes().route("/page", get(page)));
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    assert_eq!(browser.get(&app, "/page").await.text(), "with a session");
    store.fail_reads(true);
    let answer = browser.get(&app, "/page").await;
    assert_eq!(answer.head.status, StatusCode::OK);
    assert_eq!(answer.text(), "without one: 503 Service Unavailable");
}

#[tokio::test]
async fn a_failed_save_is_never_a_200() {
    async fn page(session: Session) -> Result<impl IntoResponse, SessionError> {
        session.insert("count", &7)?;
        Ok(([(header::LOCATION, "/saved")], "it is saved"))
    }
    let (app, store, _) = site(routes().route("/page", get(page)));
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_writes(true);
    for mut browser in [browser, Browser::default()] {
        let answer = browser.get(&app, "/page").await;
        assert_eq!(answer.head.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.is_empty());
        assert!(!answer.head.headers.contains_key(header::LOCATION));
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(answer.cause(), Some(Error::Store(_))));
        assert!(answer.head.extensions.get::<Exchange>().is_some());
    }
}

#[tokio::test]
async fn a_session_that_ended_while_the_handler_ran_leaves_the_response_as_it_is() {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store);
    let ending = manager.clone();
    let page = async move |session: Session| -> Result<String, SessionError> {
        session.insert("count", &7)?;
        ending.revoke_all(&42.into()).await?;
        Ok("done".to_owned())
    };
    let app = routes().route("/page", get(page)).layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let answer = browser.get(&app, "/page").await;
    assert_eq!((answer.head.status, answer.text()), (StatusCode::OK, "done"));
    assert_eq!(answer.head.extensions.get(), Some(&Outcome::Gone));
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn a_middleware_reads_the_owner_before_the_handlers() {
    async fn guard(request: Request, next: Next) -> Result<Response, SessionError> {
        let session = Session::of(request.extensions()).await?;
        if session.owner().is_none() {
            return Ok(Redirect::to("/login").into_response());
        }
        Ok(next.run(request).await)
    }
    let guarded = Router::new().route("/private", get(owner)).layer(from_fn(guard));
    let (app, store, _) = site(routes().merge(guarded));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/private").await.head.status, StatusCode::SEE_OTHER);
    browser.get(&app, "/login").await;
    store.calls();
    assert_eq!(browser.get(&app, "/private").await.text(), "42");
    assert_eq!(store.calls(), 1, "the handler has the middleware's load");
}

#[tokio::test]
async fn an_access_log_reads_the_response() {
    type Line = (String, Option<Owner>, bool);
    type Lines = Arc<Mutex<Vec<Line>>>;
    async fn log(State(lines): State<Lines>, request: Request, next: Next) -> Response {
        let path = request.uri().path().to_owned();
        let response = next.run(request).await;
        let exchange = response.extensions().get::<Exchange>().unwrap();
        let owner = exchange.loaded().and_then(|session| session.owner());
        lines.lock().unwrap().push((path, owner, exchange.presented_id().is_some()));
        response
    }
    let lines = Lines::default();
    let (app, ..) = site(routes());
    let app = app.layer(from_fn_with_state(lines.clone(), log));
    let mut browser = Browser::default();
    for path in ["/silent", "/login", "/owner", "/silent"] {
        browser.get(&app, path).await;
    }
    let expected = [
        ("/silent".to_owned(), None, false),
        ("/login".to_owned(), Some(42.into()), false),
        ("/owner".to_owned(), Some(42.into()), true),
        ("/silent".to_owned(), None, true),
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}

#[tokio::test]
async fn without_a_login_the_owner_is_a_401() {
    async fn greet(owner: Option<CurrentOwner>) -> String {
        owner.map_or("nobody".to_owned(), |CurrentOwner(owner)| owner.to_string())
    }
    let (app, ..) = site(routes().route("/greet", get(greet)));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/owner").await;
    assert_eq!(answer.head.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.is_empty());
    assert_eq!(browser.get(&app, "/greet").await.text(), "nobody");
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/owner").await.text(), "42");
    assert_eq!(browser.get(&app, "/greet").await.text(), "42");
    browser.get(&app, "/logout").await;
    assert_eq!(browser.get(&app, "/owner").await.head.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_optional_session_is_none_until_something_is_stored() {
    async fn is_there(session: Option<Session>) -> String {
        session.is_some().to_string()
    }
    let (app, ..) = site(routes().route("/there", get(is_there)));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/there").await.text(), "false");
    browser.get(&app, "/count").await;
    assert_eq!(browser.get(&app, "/there").await.text(), "true");
}

#[tokio::test]
async fn a_handler_without_the_layer_is_a_500_and_the_log_says_what_to_do() {
    let app = routes().layer(SessionLayer::new(SessionManager::development(FaultyStore::default())));
    let app = app.route("/late", get(owner)).merge(Router::new().route("/merged", get(owner)));
    for path in ["/late", "/merged"] {
        let log = Log::start();
        let answer = Browser::default().get(&app, path).await;
        assert_eq!(answer.head.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body.is_empty());
        let lines = log.lines();
        assert!(
            matches!(&lines[..], [line] if line.contains("SessionLayer::new(manager) is not around it")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn a_panic_saves_what_was_done_before_it_and_answers_500() {
    async fn panics(session: Session) -> String {
        session.update("count", |n: &mut u64| *n += 1).unwrap();
        panic!("told to")
    }
    let (app, ..) = site(routes().route("/panics", get(panics)).layer(CatchPanicLayer::new()));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/panics").await.head.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(browser.get(&app, "/read").await.text(), "1");
}

#[derive(Clone, Debug, Default)]
struct Peers(Arc<Mutex<Vec<Option<IpAddr>>>>);

impl Observer for Peers {
    fn on(&self, event: &SessionEvent) {
        if let EventKind::LoggedIn = event.kind {
            self.0.lock().unwrap().push(event.peer);
        }
    }
}

#[tokio::test]
async fn the_peer_comes_from_where_the_server_keeps_it() {
    let peers = Peers::default();
    let manager = SessionManager::development(FaultyStore::default()).with_observer(peers.clone());
    let layer = SessionLayer::new(manager)
        .with_peer(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()));
    let app = routes().layer(layer);
    let mut request = Request::get("/login").body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap();
    request = Request::get("/login").body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4000))));
    app.oneshot(request).await.unwrap();
    assert_eq!(*peers.0.lock().unwrap(), [None, Some([192, 0, 2, 7].into())]);
}
