//! The guard against forged requests. What it decides is tested in the core; here it is asked.

use actix_web::{App, http::StatusCode, test::TestRequest, test::init_service, web};
use session_actix::{CookieConfig, CsrfLayer, SessionLayer, SessionManager, TokenHeader, TrustedOrigins};
use session_conformance::FaultyStore;

use crate::site::*;

struct Admin;

const EVIL: (&str, &str) = ("Origin", "https://evil.example");

fn manager() -> (SessionManager, FaultyStore) {
    let store = FaultyStore::default();
    (SessionManager::development(store.clone()).with_token_header(TokenHeader::default()), store)
}

fn request(method: &str, headers: &[(&str, &str)]) -> TestRequest {
    let request = TestRequest::with_uri("/count").method(method.parse().unwrap());
    let request = request.insert_header(("Host", "example.org"));
    headers.iter().fold(request, |request, header| request.append_header(*header))
}

#[actix_web::test]
async fn a_request_of_another_origin_is_refused_before_the_handler_runs() {
    let (manager, store) = manager();
    let app = App::new().configure(pages).wrap(CsrfLayer::new()).wrap(SessionLayer::new(manager));
    let app = init_service(app).await;
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
        let answer = browser.send(&app, request(method, headers)).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::FORBIDDEN, ""), "{method} {headers:?}");
        assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
        assert!(answer.exchange.is_some(), "a middleware outside still knows whose request it was");
    }
    assert_eq!(store.calls(), 0, "the store is not asked");
    for headers in [&[("Origin", "http://example.org")][..], &[("Sec-Fetch-Site", "same-origin")], &[]] {
        assert_eq!(browser.send(&app, request("POST", headers)).await.status, StatusCode::OK, "{headers:?}");
    }
    assert_eq!(browser.send(&app, request("GET", &[EVIL])).await.text(), "4", "a link is followed");
}

#[actix_web::test]
async fn a_token_header_carries_no_cookie_past_the_guard() {
    let (manager, _) = manager();
    let app = App::new().configure(pages).wrap(CsrfLayer::new()).wrap(SessionLayer::new(manager));
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/owner").await.text(), "42");
    for token in ["", "forged"] {
        let forged = request("GET", &[EVIL, ("Upgrade", "websocket"), ("session-token", token)]).uri("/owner");
        let answer = browser.send(&app, forged).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}: it passes, and is nobody's");
        assert!(answer.exchange.unwrap().is_header_client());
    }
}

#[actix_web::test]
async fn a_token_header_of_one_session_carries_no_cookie_of_another_past_the_guard() {
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = || SessionManager::development(FaultyStore::default()).with_cookie(cookie.clone());
    let forged = || request("POST", &[EVIL, ("session-token", "")]);
    let outside = App::new()
        .configure(pages)
        .wrap(CsrfLayer::new())
        .wrap(SessionLayer::new(admin()).named::<Admin>())
        .wrap(SessionLayer::new(manager().0));
    let outside = init_service(outside).await;
    assert_eq!(Browser::default().send(&outside, forged()).await.status, StatusCode::FORBIDDEN);
    let inside = App::new()
        .configure(pages)
        .wrap(SessionLayer::new(admin()).named::<Admin>())
        .wrap(CsrfLayer::new())
        .wrap(SessionLayer::new(manager().0));
    let inside = init_service(inside).await;
    assert_eq!(Browser::default().send(&inside, forged()).await.status, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn a_trusted_origin_passes_and_a_guard_without_the_layer_is_a_500() {
    let trusted = TrustedOrigins::at(["https://evil.example"]).unwrap();
    let guard = CsrfLayer::new().with_trusted_origins(trusted);
    let app = App::new().configure(pages).wrap(guard).wrap(SessionLayer::new(manager().0));
    let app = init_service(app).await;
    let silent = || request("POST", &[EVIL, ("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(Browser::default().send(&app, silent()).await.status, StatusCode::OK);
    let bare = App::new().route("/count", web::get().to(|| async { "counted" })).wrap(CsrfLayer::new());
    let bare = init_service(bare).await;
    assert_eq!(Browser::default().get(&bare, "/count").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}
