//! Several sites in one program: the host of a request chooses its manager.

use actix_web::{App, http::StatusCode, test::TestRequest, test::init_service};
use session_actix::{Hosts, SessionLayer, SessionManager, TokenHeader, TrustedProxies};
use session_conformance::FaultyStore;

use crate::site::*;

/// Two sites with one store and one set of keys. The second has a header for clients without cookies.
fn sites(store: &FaultyStore) -> Hosts {
    let manager = SessionManager::development(store.clone());
    let blog = manager.clone().with_token_header(TokenHeader::default());
    Hosts::new("shop.example", manager).unwrap().and("blog.example", blog).unwrap()
}

fn request(path: &str, headers: &[(&str, &str)]) -> TestRequest {
    headers.iter().fold(TestRequest::with_uri(path), |request, header| request.append_header(*header))
}

#[actix_web::test]
async fn the_cookie_of_one_host_opens_nothing_at_another_with_its_keys_and_store() {
    let store = FaultyStore::default();
    let app = init_service(App::new().configure(pages).wrap(SessionLayer::by_host(sites(&store)))).await;
    let mut browser = Browser::default();
    browser.send(&app, request("/login", &[("host", "shop.example")])).await;
    assert_eq!(browser.send(&app, request("/owner", &[("host", "shop.example:443")])).await.text(), "42");
    store.calls();
    let stranger = browser.send(&app, request("/owner", &[("host", "blog.example")])).await;
    assert_eq!((stranger.status, store.calls()), (StatusCode::UNAUTHORIZED, 0), "the store is not asked");
    let by_target = browser.send(&app, request("https://shop.example/owner", &[("host", "shop.example")])).await;
    assert_eq!(by_target.text(), "42");
    let by_both = browser.send(&app, request("https://shop.example/owner", &[("host", "blog.example")])).await;
    assert_eq!(by_both.status, StatusCode::BAD_REQUEST, "a router may go by the header");
}

#[actix_web::test]
async fn a_host_that_is_not_listed_is_a_421_and_reaches_no_handler() {
    let store = FaultyStore::default();
    let app = init_service(App::new().configure(pages).wrap(SessionLayer::by_host(sites(&store)))).await;
    for (path, headers, status) in [
        ("/count", &[("host", "evil.example")][..], StatusCode::MISDIRECTED_REQUEST),
        ("/count", &[("host", "shop.example"), ("x-forwarded-host", "evil.example")], StatusCode::OK),
        ("/count", &[], StatusCode::BAD_REQUEST),
        ("/count", &[("host", "shop.example"), ("host", "blog.example")], StatusCode::BAD_REQUEST),
        ("http://evil.example/count", &[("host", "shop.example")], StatusCode::BAD_REQUEST),
    ] {
        let answer = Browser::default().send(&app, request(path, headers)).await;
        let is_refused = status != StatusCode::OK;
        assert_eq!((answer.status, answer.text().is_empty()), (status, is_refused), "{path} {headers:?}");
        assert_eq!((answer.set_cookies().is_empty(), store.calls()), (is_refused, u64::from(!is_refused)));
    }
}

#[actix_web::test]
async fn each_site_has_its_own_header_and_a_list_of_hosts_costs_no_call_to_the_store() {
    let store = FaultyStore::default();
    let app = init_service(App::new().configure(pages).wrap(SessionLayer::by_host(sites(&store)))).await;
    let mut browser = Browser::default();
    for (path, calls) in [("/silent", 0), ("/count", 1), ("/read", 1), ("/count", 2), ("/login", 3)] {
        browser.send(&app, request(path, &[("host", "shop.example")])).await;
        assert_eq!(store.calls(), calls, "{path}");
    }
    let asked = |host| request("/login", &[("host", host), ("session-token", "")]);
    let blog = Browser::default().send(&app, asked("blog.example")).await;
    assert!(blog.headers.contains_key("session-token") && blog.set_cookies().is_empty());
    let shop = Browser::default().send(&app, asked("shop.example")).await;
    assert!(!shop.headers.contains_key("session-token") && shop.set_cookies().len() == 1);
}

#[actix_web::test]
async fn a_forwarded_host_is_believed_where_the_peer_is_a_trusted_proxy() {
    let proxies = TrustedProxies::at(["10.0.0.1"]).unwrap();
    let hosts = sites(&FaultyStore::default()).with_forwarded_host(proxies);
    let app = init_service(App::new().configure(pages).wrap(SessionLayer::by_host(hosts))).await;
    let from = |peer: [u8; 4]| {
        let headers = [("host", "backend.internal"), ("x-forwarded-host", "shop.example")];
        request("/count", &headers).peer_addr((peer, 4000).into())
    };
    assert_eq!(Browser::default().send(&app, from([10, 0, 0, 1])).await.status, StatusCode::OK);
    assert_eq!(Browser::default().send(&app, from([192, 0, 2, 7])).await.status, StatusCode::MISDIRECTED_REQUEST);
}
