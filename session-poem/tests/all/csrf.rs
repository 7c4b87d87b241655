//! The guard against forged requests. What it decides is tested in the core; here it is asked.

use ::poem::{
    EndpointExt, Request,
    http::{StatusCode, uri::Scheme},
    web::RemoteAddr,
};
use session_conformance::FaultyStore;
use session_poem::{CookieConfig, CsrfLayer, SessionLayer, SessionManager, TokenHeader, TrustedOrigins};

use crate::site::*;

struct Admin;

const EVIL: (&str, &str) = ("Origin", "https://evil.example");

fn manager() -> (SessionManager, FaultyStore) {
    let store = FaultyStore::default();
    (SessionManager::development(store.clone()).with_token_header(TokenHeader::default()), store)
}

fn request_to(path: &str, method: &str, headers: &[(&str, &str)]) -> Request {
    let head = http::Request::builder().uri(path).method(method).header("Host", "example.org");
    let head = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
    arriving(RemoteAddr(::poem::Addr::default()), Scheme::HTTP, head)
}

fn counting(method: &str, headers: &[(&str, &str)]) -> Request {
    request_to("/count", method, headers)
}

#[tokio::test]
async fn a_request_of_another_origin_is_refused_before_the_handler_runs() {
    let (manager, store) = manager();
    let app = pages().with(CsrfLayer::new()).with(SessionLayer::new(manager));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    store.calls();
    let socket = ("Upgrade", "websocket");
    let forged: [(&str, &[(&str, &str)]); 5] = [
        ("POST", &[EVIL]),
        ("POST", &[("Sec-Fetch-Site", "cross-site")]),
        ("DELETE", &[("Sec-Fetch-Site", "same-site"), EVIL]),
        ("POST", &[("Origin", "null")]),
        ("GET", &[socket, ("Sec-Fetch-Site", "cross-site"), EVIL]),
    ];
    for (method, headers) in forged {
        let answer = browser.send(&app, counting(method, headers)).await;
        assert_eq!((answer.status, &*answer.text), (StatusCode::FORBIDDEN, ""), "{method} {headers:?}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.exchange.is_some(), "a middleware outside still knows whose request it was");
    }
    assert_eq!(store.calls(), 0, "the store is not asked");
    for headers in [&[("Origin", "http://example.org")][..], &[("Sec-Fetch-Site", "same-origin")], &[]] {
        assert_eq!(browser.send(&app, counting("POST", headers)).await.status, StatusCode::OK, "{headers:?}");
    }
    assert_eq!(browser.send(&app, counting("GET", &[EVIL])).await.text, "4", "a link is followed");
}

#[tokio::test]
async fn a_token_header_carries_no_cookie_past_the_guard() {
    let (manager, _) = manager();
    let app = pages().with(CsrfLayer::new()).with(SessionLayer::new(manager));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/owner").await.text, "42");
    for token in ["", "forged"] {
        let forged = request_to("/owner", "GET", &[EVIL, ("Upgrade", "websocket"), ("session-token", token)]);
        let answer = browser.send(&app, forged).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}: it passes, and is nobody's");
        assert!(answer.exchange.unwrap().is_header_client());
    }
}

#[tokio::test]
async fn a_token_header_of_one_session_carries_no_cookie_of_another_past_the_guard() {
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = || SessionManager::development(FaultyStore::default()).with_cookie(cookie.clone());
    let forged = || counting("POST", &[EVIL, ("session-token", "")]);
    let outside = pages()
        .with(CsrfLayer::new())
        .with(SessionLayer::new(admin()).named::<Admin>())
        .with(SessionLayer::new(manager().0));
    assert_eq!(Browser::default().send(&outside, forged()).await.status, StatusCode::FORBIDDEN);
    let inside = pages()
        .with(SessionLayer::new(admin()).named::<Admin>())
        .with(CsrfLayer::new())
        .with(SessionLayer::new(manager().0));
    assert_eq!(Browser::default().send(&inside, forged()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_trusted_origin_passes_and_a_guard_without_the_layer_is_a_500() {
    let trusted = TrustedOrigins::at(["https://evil.example"]).unwrap();
    let guard = CsrfLayer::new().with_trusted_origins(trusted);
    let app = pages().with(guard).with(SessionLayer::new(manager().0));
    let form = counting("POST", &[EVIL, ("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(Browser::default().send(&app, form).await.status, StatusCode::OK);
    let bare = pages().with(CsrfLayer::new());
    assert_eq!(Browser::default().get(&bare, "/silent").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}
