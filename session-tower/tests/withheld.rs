//! Requests that get no new anonymous session.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faulty;
mod site;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use session_core::{Error, Outcome, WithheldReason};
use session_tower::{Session, SessionError};
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
