//! The layer against forged requests that tower-http has, and what it knows of header clients.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
    response::Response,
    routing::{any, get},
};
use session_conformance::FaultyStore;
use session_core::{SessionManager, TokenHeader, TrustedOrigins};
use session_tower::{Exchange, SessionLayer};
use tower::ServiceExt;
use tower_http::{cors::CorsLayer, csrf::CsrfLayer};

use crate::site::*;

const APP: &str = "https://app.example";

fn sessions(store: &FaultyStore) -> SessionLayer {
    SessionLayer::new(SessionManager::development(store.clone()).with_token_header(TokenHeader::default()))
}

/// Sends a request to `shop.example` with the cookie of a login, as a page of the app's origin does.
async fn send(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut browser = Browser::default();
    browser.get(app, "/login").await;
    let (name, value) = &browser.cookies[0];
    let request = Request::builder().method(method).uri(path).header("host", "shop.example");
    let request = request.header("cookie", format!("{name}={value}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

const FORM: [(&str, &str); 2] = [("origin", APP), ("sec-fetch-site", "cross-site")];
const WITH_TOKEN: [(&str, &str); 3] = [FORM[0], FORM[1], ("session-token", "")];

fn routes_of_all_methods() -> Router {
    routes().route("/any", any(owner))
}

#[tokio::test]
async fn the_layer_of_tower_http_refuses_another_origin_whatever_the_token_header_says() {
    let store = FaultyStore::default();
    let app = routes_of_all_methods().layer(CsrfLayer::new()).layer(sessions(&store));
    for headers in [&FORM[..], &WITH_TOKEN] {
        assert_eq!(send(&app, "POST", "/any", headers).await.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(send(&app, "POST", "/any", &[("sec-fetch-site", "same-origin")]).await.status(), StatusCode::OK);
    // A program sends neither header, so its token is read.
    assert_eq!(send(&app, "POST", "/any", &[("session-token", "")]).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_app_of_a_trusted_origin_passes_and_its_token_header_carries_no_cookie_along() {
    let store = FaultyStore::default();
    let trusting = CsrfLayer::new().add_trusted_origin(APP).unwrap();
    let cors = CorsLayer::new()
        .allow_origin([APP.parse().unwrap()])
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([TokenHeader::default().request_name().clone()])
        .expose_headers([TokenHeader::default().response_name().clone()]);
    let app = routes_of_all_methods().layer(trusting).layer(sessions(&store)).layer(cors);
    let answer = send(&app, "POST", "/any", &WITH_TOKEN).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "it passes, and is nobody's");
    assert!(answer.extensions().get::<Exchange>().unwrap().is_header_client());
    assert_eq!(answer.headers()["access-control-allow-origin"], APP);
    assert_eq!(answer.headers()["access-control-expose-headers"], "session-token");
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    assert_eq!(
        send(&app, "POST", "/any", &FORM).await.status(),
        StatusCode::OK,
        "a trusted origin may use the cookies"
    );
}

#[tokio::test]
async fn a_websocket_of_another_origin_is_refused_by_its_handler() {
    async fn socket(request: axum::extract::Request) -> StatusCode {
        let exchange = request.extensions().get::<Exchange>().unwrap();
        match exchange.is_cross_origin(&TrustedOrigins::default()) {
            true => StatusCode::FORBIDDEN,
            false => StatusCode::SWITCHING_PROTOCOLS,
        }
    }
    let store = FaultyStore::default();
    let app = routes().route("/socket", get(socket)).layer(CsrfLayer::new()).layer(sessions(&store));
    let socket = |origin| [("upgrade", "websocket"), ("origin", origin)];
    let asked = async |origin| send(&app, "GET", "/socket", &socket(origin)).await.status();
    assert_eq!(asked(APP).await, StatusCode::FORBIDDEN, "the layer lets every GET pass");
    assert_eq!(asked("https://shop.example").await, StatusCode::SWITCHING_PROTOCOLS);
}
