//! Clients without cookies, on the routes of browsers.

use axum::{Router, body::Body, extract::Request, http::StatusCode, response::Response, routing::get};
use http_body_util::BodyExt;
use session_conformance::FaultyStore;
use session_core::{CookieConfig, SessionManager, TokenHeader};
use session_tower::{Exchange, SessionLayer};
use tower::ServiceExt;

use crate::site::*;

const NAME: &str = "session-token";

fn app() -> (Router, FaultyStore) {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone()).with_token_header(TokenHeader::default());
    (routes().layer(SessionLayer::new(manager)), store)
}

async fn send(app: &Router, path: &str, token: &str) -> Response {
    let request = Request::get(path).header(NAME, token).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

fn token(response: &Response) -> Option<String> {
    response.headers().get(NAME).map(|value| value.to_str().unwrap().to_owned())
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn an_app_logs_in_and_out_by_a_header_beside_a_browser() {
    let (app, _) = app();
    let login = send(&app, "/login", "").await;
    assert!(!login.headers().contains_key("set-cookie"));
    let first = token(&login).unwrap();
    let page = send(&app, "/owner", &first).await;
    assert_eq!((token(&page), text(page).await.as_str()), (None, "42"));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/login").await.set_cookies().len(), 1);
    assert_eq!(browser.get(&app, "/owner").await.text(), "42");
    assert_eq!(token(&send(&app, "/logout", &first).await).as_deref(), Some(""));
    assert_eq!(send(&app, "/owner", &first).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&app, "/owner").await.text(), "42", "another session");
}

#[tokio::test]
async fn a_failed_save_keeps_the_token_of_a_login() {
    async fn page(session: session_tower::Session) -> Result<(), session_tower::SessionError> {
        session.login(42).await?;
        Ok(session.insert("count", &7)?)
    }
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone()).with_token_header(TokenHeader::default());
    let failing = store.clone();
    let routes = Router::new().route(
        "/page",
        get(async move |session: session_tower::Session| {
            let answer = page(session).await;
            failing.fail_writes(true);
            answer
        }),
    );
    let response = send(&routes.layer(SessionLayer::new(manager)), "/page", "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(token(&response).unwrap().len(), session_core::SignedToken::LENGTH);
}

#[tokio::test]
async fn a_bad_token_beside_a_good_cookie_is_nobody() {
    let (app, _) = app();
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let cookie = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).next().unwrap();
    for value in ["forged", ""] {
        let request = Request::get("/owner").header("cookie", &cookie).header(NAME, value);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{value}");
        assert!(response.extensions().get::<Exchange>().unwrap().is_header_client());
        assert!(!response.headers().contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn two_cookies_with_one_token_header_are_refused() {
    struct Admin;
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let site = || SessionManager::development(FaultyStore::default()).with_token_header(TokenHeader::default());
    let two = |admin: TokenHeader| {
        let admin = site().with_cookie(cookie.clone()).with_token_header(admin);
        routes().layer(SessionLayer::new(admin).named::<Admin>()).layer(SessionLayer::new(site()))
    };
    let header = |name: &str| TokenHeader::named(name).unwrap();
    for one_name in [header(NAME), header("admin-token").with_response_name(NAME).unwrap()] {
        assert_eq!(send(&two(one_name), "/silent", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(send(&two(header("admin-token")), "/silent", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_token_of_a_login_outlives_the_failed_save_of_the_session_of_a_layer_outside() {
    struct Admin;
    async fn page(
        site: session_tower::Session,
        admin: session_tower::Session<Admin>,
    ) -> Result<(), session_tower::SessionError> {
        site.insert("count", &7)?;
        Ok(admin.login(1).await?)
    }
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = SessionManager::development(FaultyStore::default())
        .with_cookie(cookie)
        .with_token_header(TokenHeader::named("admin-token").unwrap());
    let store = FaultyStore::default();
    store.fail_writes(true);
    let site = SessionManager::development(store).with_token_header(TokenHeader::default());
    let app = Router::new()
        .route("/page", get(page))
        .layer(SessionLayer::new(admin).named::<Admin>())
        .layer(SessionLayer::new(site));
    let request = Request::get("/page").header(NAME, "").header("admin-token", "").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["admin-token"].len(), session_core::SignedToken::LENGTH);
    assert_eq!(token(&response), None, "the site's session was not saved");
}
