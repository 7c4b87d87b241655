//! Several sites in one program: the host of a request chooses its manager.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, Version},
    response::Response,
};
use http_body_util::BodyExt;
use session_conformance::FaultyStore;
use session_core::{CookieConfig, Hosts, SessionManager, TokenHeader, TrustedProxies};
use session_tower::SessionLayer;
use tower::ServiceExt;

use crate::site::*;

/// Two sites with one store and one set of keys. The second has a header for clients without cookies.
fn sites(store: &FaultyStore) -> Hosts {
    let manager = SessionManager::development(store.clone());
    let blog = manager.clone().with_token_header(TokenHeader::default());
    Hosts::new("shop.example", manager).unwrap().and("blog.example", blog).unwrap()
}

fn app(store: &FaultyStore) -> Router {
    routes().layer(SessionLayer::by_host(sites(store)))
}

async fn send(app: &Router, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn cookie(response: &Response) -> String {
    response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_cookie_of_one_host_opens_nothing_at_another_with_its_keys_and_store() {
    let store = FaultyStore::default();
    let app = app(&store);
    let cookie = cookie(&send(&app, "/login", &[("host", "shop.example")]).await);
    assert_eq!(text(send(&app, "/owner", &[("host", "shop.example:443"), ("cookie", &cookie)]).await).await, "42");
    store.calls();
    let stranger = send(&app, "/owner", &[("host", "blog.example"), ("cookie", &cookie)]).await;
    assert_eq!((stranger.status(), store.calls()), (StatusCode::UNAUTHORIZED, 0), "the store is not asked");
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_a_421_and_reaches_no_handler() {
    let store = FaultyStore::default();
    let app = app(&store);
    for (path, headers, status) in [
        ("/count", &[("host", "evil.example")][..], StatusCode::MISDIRECTED_REQUEST),
        ("/count", &[("host", "shop.example"), ("x-forwarded-host", "evil.example")], StatusCode::OK),
        ("/count", &[], StatusCode::BAD_REQUEST),
        ("/count", &[("host", "shop.example"), ("host", "blog.example")], StatusCode::BAD_REQUEST),
        ("http://evil.example/count", &[("host", "shop.example")], StatusCode::BAD_REQUEST),
    ] {
        let answer = send(&app, path, headers).await;
        assert_eq!(answer.status(), status, "{path} {headers:?}");
        let is_refused = status != StatusCode::OK;
        assert_eq!((answer.headers().contains_key("set-cookie"), store.calls()), (!is_refused, u64::from(!is_refused)));
        assert_eq!(text(answer).await.is_empty(), is_refused);
    }
}

#[tokio::test]
async fn the_authority_of_http_2_chooses_the_site() {
    let store = FaultyStore::default();
    let app = app(&store);
    let ask = async |path: &str, cookie: &str| {
        let request = Request::get(path).version(Version::HTTP_2).header("cookie", cookie).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    let cookie = cookie(&ask("https://shop.example/login", "").await);
    assert_eq!(text(ask("https://shop.example/owner", &cookie).await).await, "42");
    assert_eq!(ask("https://blog.example/owner", &cookie).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn each_site_has_its_own_header_for_clients_without_cookies() {
    let store = FaultyStore::default();
    let app = app(&store);
    let login = send(&app, "/login", &[("host", "blog.example"), ("session-token", "")]).await;
    let token = login.headers()["session-token"].to_str().unwrap();
    assert!(!login.headers().contains_key("set-cookie"));
    assert_eq!(text(send(&app, "/owner", &[("host", "blog.example"), ("session-token", token)]).await).await, "42");
    let shop = send(&app, "/login", &[("host", "shop.example"), ("session-token", "")]).await;
    assert!(shop.headers().contains_key("set-cookie") && !shop.headers().contains_key("session-token"));
}

#[tokio::test]
async fn a_list_of_hosts_costs_no_call_to_the_store() {
    let store = FaultyStore::default();
    let app = app(&store);
    let host = ("host", "shop.example");
    send(&app, "/silent", &[host]).await;
    assert_eq!(store.calls(), 0);
    let cookie = cookie(&send(&app, "/count", &[host]).await);
    assert_eq!(store.calls(), 1, "a create");
    for (path, calls) in [("/read", 1), ("/count", 2), ("/login", 3)] {
        send(&app, path, &[host, ("cookie", &cookie)]).await;
        assert_eq!(store.calls(), calls, "{path}");
    }
}

#[tokio::test]
async fn a_forwarded_host_is_believed_where_the_peer_is_a_trusted_proxy() {
    let proxies = TrustedProxies::at(["10.0.0.1"]).unwrap();
    let hosts = sites(&FaultyStore::default()).with_forwarded_host(proxies);
    let from = |peer: [u8; 4]| {
        let layer = SessionLayer::by_host(hosts.clone()).with_peer(move |_| Some(std::net::IpAddr::from(peer)));
        routes().layer(layer)
    };
    let headers = [("host", "backend.internal"), ("x-forwarded-host", "shop.example")];
    assert_eq!(send(&from([10, 0, 0, 1]), "/count", &headers).await.status(), StatusCode::OK);
    assert_eq!(send(&from([192, 0, 2, 7]), "/count", &headers).await.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn layers_by_host_go_inside_each_other_and_side_by_side() {
    struct Admin;
    async fn admin_login(admin: session_tower::Session<Admin>) -> Result<(), session_tower::SessionError> {
        Ok(admin.login(1).await?)
    }
    let (store, admins) = (FaultyStore::default(), FaultyStore::default());
    let hosts = sites(&store);
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = SessionManager::development(admins.clone()).with_cookie(cookie);
    let strict = routes().layer(SessionLayer::by_host(hosts.clone().with_policy(&Default::default())));
    let app = Router::new()
        .nest("/strict", strict)
        .route("/admin", axum::routing::get(admin_login))
        .layer(SessionLayer::new(admin).named::<Admin>())
        .layer(SessionLayer::by_host(hosts));
    let login = send(&app, "/strict/login", &[("host", "shop.example")]).await;
    assert_eq!(login.headers().get_all("set-cookie").iter().count(), 1);
    assert_eq!(send(&app, "/admin", &[("host", "shop.example")]).await.status(), StatusCode::OK);
    assert!(admins.calls() > 0);
    let plain = SessionLayer::new(SessionManager::development(store));
    let mixed = routes().layer(plain).layer(SessionLayer::by_host(sites(&FaultyStore::default())));
    let answer = send(&mixed, "/silent", &[("host", "shop.example")]).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "a manager that is not from the list");
}
