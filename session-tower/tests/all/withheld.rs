//! Requests that get no new anonymous session.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header, request::Parts},
    response::Response,
    routing::{get, post},
};
use session_conformance::FaultyStore;
use session_core::{Error, Outcome, SessionManager, WithheldReason};
use session_tower::{Session, SessionError, SessionLayer};
use tower::ServiceExt;

use crate::site::*;

const CROSS_SITE: WithheldReason = WithheldReason::CrossSite;

/// A form on a page of another site.
fn form(path: &str) -> Request {
    let request =
        Request::post(path).header(header::HOST, "shop.example").header(header::ORIGIN, "https://bank.example");
    request.header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap()
}

async fn send(app: &Router, request: Request) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

async fn insert(session: Session) -> Result<&'static str, SessionError> {
    session.insert("paid", &true)?;
    Ok("thank you")
}

async fn save(session: Session) -> Result<(), SessionError> {
    session.insert("paid", &true)?;
    Ok(session.save().await?)
}

async fn login(session: Session) -> Result<(), SessionError> {
    Ok(session.login(42).await?)
}

fn pages() -> Router {
    Router::new()
        .route("/insert", get(insert).post(insert))
        .route("/save", get(save).post(save))
        .route("/login", post(login))
}

#[tokio::test]
async fn a_form_of_another_site_gets_no_anonymous_session_and_the_response_says_so() {
    let (app, store, _) = site(pages());
    let answer = send(&app, form("/insert")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.extensions().get(), Some(&Outcome::Withheld(CROSS_SITE)));
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    assert_eq!(store.calls(), 0);

    let answer = send(&app, form("/save")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(matches!(answer.extensions().get(), Some(Error::Withheld(CROSS_SITE))));
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    assert_eq!(store.calls(), 0);
}

#[tokio::test]
async fn a_form_of_another_site_may_log_in_and_a_link_may_do_all() {
    let (app, ..) = site(pages());
    let answer = send(&app, form("/login")).await;
    assert_eq!((answer.status(), answer.headers().get_all(header::SET_COOKIE).iter().count()), (StatusCode::OK, 1));
    let mut link = form("/insert");
    *link.method_mut() = Method::GET;
    let answer = send(&app, link).await;
    assert!(answer.extensions().get::<Outcome>().is_none());
    assert!(answer.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn the_host_of_http_2_is_compared_with_the_origin() {
    let (app, ..) = site(pages());
    for (origin, is_withheld) in [("https://bank.example", true), ("https://shop.example", false)] {
        let request = Request::post("https://shop.example/save").header(header::ORIGIN, origin);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status() == StatusCode::FORBIDDEN, is_withheld, "{origin}");
    }
}

/// Picks crawlers and health checks.
fn is_no_visitor(request: &Parts) -> bool {
    let agent = request.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    request.uri.path() == "/health" || agent.contains("bot") || request.extensions.get::<Internal>().is_some()
}

/// What another middleware has found out about a request.
#[derive(Clone)]
struct Internal;

#[tokio::test]
async fn a_function_of_the_request_refuses_visitors_a_session() {
    let store = FaultyStore::default();
    let layer = SessionLayer::new(SessionManager::development(store.clone()));
    let app = pages().route("/health", get(insert)).layer(layer.without_anonymous_sessions(is_no_visitor));
    let asks =
        |path: &str, agent: &str| Request::get(path).header(header::USER_AGENT, agent).body(Body::empty()).unwrap();
    let mut internal = asks("/insert", "Mozilla/5.0");
    internal.extensions_mut().insert(Internal);
    for request in [asks("/health", "Mozilla/5.0"), asks("/insert", "Examplebot/1.0"), internal] {
        let answer = send(&app, request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.extensions().get(), Some(&Outcome::Withheld(WithheldReason::Refused)));
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        assert_eq!(store.calls(), 0);
    }
    assert_eq!(send(&app, asks("/save", "Examplebot/1.0")).await.status(), StatusCode::FORBIDDEN);
    let answer = send(&app, asks("/insert", "Mozilla/5.0")).await;
    assert!(answer.headers().contains_key(header::SET_COOKIE) && answer.extensions().get::<Outcome>().is_none());
    assert_eq!(store.calls(), 1);
    let login = Request::post("/login").header(header::USER_AGENT, "Examplebot/1.0").body(Body::empty()).unwrap();
    assert!(send(&app, login).await.headers().contains_key(header::SET_COOKIE), "a login works");
}

#[tokio::test]
async fn a_function_that_refuses_visitors_may_hold_what_the_application_knows() {
    let paths = ["/insert".to_owned()];
    let layer = SessionLayer::new(SessionManager::development(FaultyStore::default()))
        .without_anonymous_sessions(move |request| paths.iter().any(|path| path == request.uri.path()));
    let app = pages().layer(layer.clone());
    let asks = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(send(&app, asks("/save")).await.status(), StatusCode::OK);
    assert!(!send(&app, asks("/insert")).await.headers().contains_key(header::SET_COOKIE));
}
