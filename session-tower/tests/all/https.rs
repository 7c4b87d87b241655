//! What the layer knows of the connection, and what the log says if no login sticks.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
};
use session_conformance::FaultyStore;
use session_core::{EventKind, Key, Keyring, PlainHttp, SessionManager};
use session_tower::{Exchange, SessionLayer};
use tower::ServiceExt;

use crate::log::Log;
use crate::site::*;

/// The part that accepts connections puts this into the extensions.
#[derive(Clone)]
struct IsTls(bool);

fn layer() -> SessionLayer {
    SessionLayer::new(SessionManager::new(FaultyStore::default(), Keyring::new(Key::generate().unwrap())))
}

/// Logs in, and returns what the exchange knows of the connection.
async fn login(app: &Router, connection: Option<IsTls>, origin: &str) -> Option<bool> {
    let request = Request::get("http://shop.example/login").header(header::ORIGIN, origin);
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(connection) = connection {
        request.extensions_mut().insert(connection);
    }
    let answer = app.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key(header::SET_COOKIE), "nothing is withheld");
    answer.extensions().get::<Exchange>().unwrap().is_https()
}

fn warnings(log: &Log) -> usize {
    let name = EventKind::InsecureTransport(PlainHttp::Page).name();
    log.lines().iter().filter(|line| line.contains("WARN session") && line.contains(name)).count()
}

#[tokio::test]
async fn the_layer_is_told_of_tls_without_a_proxy() {
    let log = Log::start();
    let always = routes().layer(layer().with_https(|_| Some(true)));
    assert_eq!(login(&always, None, "http://shop.example").await, Some(true));
    let asked = layer().with_https(|extensions| extensions.get::<IsTls>().map(|connection| connection.0));
    let asked = routes().layer(asked.clone());
    assert_eq!(login(&asked, Some(IsTls(true)), "http://shop.example").await, Some(true));
    assert_eq!(login(&asked, None, "https://shop.example").await, None, "not the scheme of the request line");
    assert_eq!(warnings(&log), 0);
    assert_eq!(login(&asked, Some(IsTls(false)), "https://shop.example").await, Some(false));
    assert_eq!(login(&asked, Some(IsTls(false)), "https://shop.example").await, Some(false));
    assert_eq!(warnings(&log), 1);
}

#[tokio::test]
async fn a_page_that_was_fetched_by_plain_http_says_so_by_its_origin() {
    let log = Log::start();
    let app = routes().layer(layer());
    assert_eq!(login(&app, None, "http://shop.example").await, None);
    let lines = log.lines();
    let warning = lines.iter().find(|line| line.contains("WARN session")).unwrap();
    assert!(warning.contains("LOGINS DO NOT STICK") && warning.contains("redirect http to https"), "{warning}");
    login(&app, None, "http://shop.example").await;
    assert_eq!(warnings(&log), 1);
}
