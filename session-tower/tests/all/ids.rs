//! Session ids in paths and forms, and the answer to a bad one.

use axum::{
    Form, Router,
    body::Body,
    extract::{Path, Request},
    http::{StatusCode, header},
    routing::{get, post},
};
use session_core::{Owner, SessionId};
use session_tower::{CurrentOwner, Session, SessionError};
use tower::ServiceExt;

use crate::site::*;

#[derive(serde::Deserialize)]
struct Device {
    id: SessionId,
}

async fn by_path(Path(id): Path<SessionId>) -> String {
    id.to_string()
}

async fn by_form(Form(device): Form<Device>) -> String {
    device.id.to_string()
}

async fn by_hand(Path(id): Path<String>) -> Result<String, SessionError> {
    let id: SessionId = id.parse()?;
    Ok(id.to_string())
}

async fn by_name(session: Session, Path(name): Path<String>) -> Result<(), SessionError> {
    Ok(session.login(name).await?)
}

async fn number(CurrentOwner(owner): CurrentOwner) -> Result<String, SessionError> {
    Ok((u64::try_from(owner)? + 1).to_string())
}

fn app() -> Router {
    let routes = Router::new()
        .route("/path/{id}", get(by_path))
        .route("/form", post(by_form))
        .route("/hand/{id}", get(by_hand))
        .route("/login/{name}", get(by_name))
        .route("/number", get(number));
    site(routes.merge(crate::site::routes())).0
}

#[tokio::test]
async fn an_id_comes_from_a_path_a_form_and_a_text() {
    let (app, id) = (app(), SessionId::from_bytes([7; 16]).to_string());
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, &format!("/path/{id}")).await.text(), id);
    assert_eq!(browser.get(&app, &format!("/hand/{id}")).await.text(), id);
    for (form, status) in [(id.as_str(), StatusCode::OK), ("x", StatusCode::UNPROCESSABLE_ENTITY)] {
        let request = Request::post("/form").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Body::from(format!("id={form}"))).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn what_is_no_id_is_the_client_s_fault() {
    let app = app();
    for path in ["/path/x", "/hand/x", "/hand/BwcHBwcHBwcHBwcHBwcHBx"] {
        let answer = Browser::default().get(&app, path).await;
        assert_eq!(answer.head.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn a_name_from_a_path_logs_in_and_one_that_is_too_long_is_the_client_s_fault() {
    let app = app();
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/login/Zo%C3%AB").await.head.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/owner").await.text(), Owner::try_from("Zoë").unwrap().to_string());
    assert_eq!(browser.get(&app, "/number").await.head.status, StatusCode::INTERNAL_SERVER_ERROR, "our own mistake");
    assert_eq!(browser.get(&app, "/login/41").await.head.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/number").await.text(), "42");
    let long = format!("/login/{}", "x".repeat(256));
    assert_eq!(browser.get(&app, &long).await.head.status, StatusCode::BAD_REQUEST);
}
