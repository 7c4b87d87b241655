//! Clients that send their token in a header that the site has chosen.

use http::{HeaderMap, HeaderValue, header};
use session_core::{ConfigError, CookieConfig, EventKind, Exchange, Incoming, Outcome, SessionManager, TokenHeader};

use crate::support::*;

const NAME: &str = "session-token";

/// A request with these headers, as an adapter opens it.
fn open(manager: &SessionManager, headers: &[(&str, &str)]) -> Exchange {
    let mut request = http::Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    let mut incoming = Incoming::from(&request);
    if let Some(header) = manager.token_header() {
        let values = request.headers().get_all(header.request_name());
        incoming = incoming.with_token_header(header, values.iter().map(HeaderValue::as_bytes));
    }
    manager.open(incoming)
}

/// Logs in, and returns the headers of the response.
async fn login(exchange: &Exchange) -> HeaderMap {
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    exchange.headers()
}

fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
    let value = values.next();
    assert!(values.next().is_none(), "{name} is there once: {headers:?}");
    value
}

async fn is_logged_in(exchange: &Exchange) -> bool {
    exchange.session().await.unwrap().owner() == Some(user())
}

fn site() -> Site {
    let site = Site::new();
    Site { manager: site.manager.clone().with_token_header(TokenHeader::default()), ..site }
}

#[tokio::test]
async fn a_client_that_asks_for_a_token_gets_it_in_the_header() {
    let site = site();
    let headers = login(&open(&site.manager, &[(NAME, "")])).await;
    let token = value(&headers, NAME).unwrap();
    assert!(!headers.contains_key(header::SET_COOKIE), "{headers:?}");
    assert_eq!(value(&headers, "cache-control").unwrap(), "no-store");
    assert!(headers.get(NAME).unwrap().is_sensitive());

    let page = open(&site.manager, &[(NAME, &token)]);
    assert!(is_logged_in(&page).await);
    page.commit().await.unwrap();
    assert_eq!(value(&page.headers(), NAME), None, "nothing new");

    let logout = open(&site.manager, &[(NAME, &token)]);
    logout.session().await.unwrap().logout().await.unwrap();
    logout.commit().await.unwrap();
    assert_eq!(value(&logout.headers(), NAME).as_deref(), Some(""), "forget it");
    assert!(!logout.headers().contains_key(header::SET_COOKIE));
    assert!(!is_logged_in(&open(&site.manager, &[(NAME, &token)])).await);
}

#[tokio::test]
async fn a_rotated_token_leaves_in_the_header() {
    let site = site();
    let token = value(&login(&open(&site.manager, &[(NAME, "")])).await, NAME).unwrap();
    site.due().await;
    let page = open(&site.manager, &[(NAME, &token)]);
    assert!(is_logged_in(&page).await);
    page.commit().await.unwrap();
    let successor = value(&page.headers(), NAME).unwrap();
    assert_ne!(successor, token);
    assert!(is_logged_in(&open(&site.manager, &[(NAME, &successor)])).await);
}

#[tokio::test]
async fn with_the_header_no_cookie_counts_whatever_the_header_says() {
    let site = site();
    let cookie = site.manager.login_for_tests(USER).await.unwrap();
    assert!(is_logged_in(&open(&site.manager, &[("cookie", &cookie)])).await);
    let token = cookie.split_once('=').unwrap().1;
    for value in ["", " ", "forged", "Basic dXNlcjpwYXNz", token] {
        let exchange = open(&site.manager, &[("cookie", &cookie), (NAME, value)]);
        assert!(exchange.is_header_client(), "{value}");
        assert!(!is_logged_in(&exchange).await, "{value}");
    }
    assert!(!open(&site.manager, &[("cookie", &cookie)]).is_header_client());
}

#[tokio::test]
async fn a_token_of_the_header_is_no_cookie() {
    let site = site();
    let token = value(&login(&open(&site.manager, &[(NAME, "")])).await, NAME).unwrap();
    let cookie = format!("{}={token}", site.manager.cookie().name());
    assert!(!is_logged_in(&open(&site.manager, &[("cookie", &cookie)])).await);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::UnknownKey { count: 1 })), 1);

    // Nor where the cookie has the header's name.
    let named = CookieConfig::builder(NAME).build().unwrap();
    let manager = site.manager.clone().with_cookie(named);
    assert!(!is_logged_in(&open(&manager, &[("cookie", &format!("{NAME}={token}"))])).await);

    // Nor one of another header.
    let other = site.manager.clone().with_token_header(TokenHeader::named("x-app-session").unwrap());
    assert!(!is_logged_in(&open(&other, &[("x-app-session", &token)])).await);
    assert!(is_logged_in(&open(&site.manager, &[(NAME, &token)])).await);
}

#[tokio::test]
async fn a_token_of_one_site_is_forged_at_another_with_its_keys_and_store() {
    let site = site();
    let [shop, blog] = ["shop", "blog"].map(|label| site.manager.clone().with_label(label));
    let token = value(&login(&open(&shop, &[(NAME, "")])).await, NAME).unwrap();
    let cookie = shop.login_for_tests(USER).await.unwrap();
    for request in [[(NAME, token.as_str())], [("cookie", cookie.as_str())]] {
        assert!(is_logged_in(&open(&shop, &request)).await);
        assert!(!is_logged_in(&open(&blog, &request)).await);
        assert!(!is_logged_in(&open(&site.manager, &request)).await);
    }
}

#[tokio::test]
async fn a_bearer_token_is_read_and_answered_in_another_header() {
    let site = site();
    let manager = site.manager.clone().with_token_header(TokenHeader::bearer());
    let headers = login(&open(&manager, &[("authorization", "Bearer")])).await;
    assert!(!headers.contains_key("authorization"));
    let token = value(&headers, NAME).unwrap();
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let value = format!("{scheme} {token}");
        assert!(is_logged_in(&open(&manager, &[("authorization", &value)])).await, "{scheme}");
    }
    // Of a proxy, beside ours or alone.
    let (basic, bearer) = ("Basic dXNlcjpwYXNz", format!("Bearer {token}"));
    assert!(is_logged_in(&open(&manager, &[("authorization", basic), ("authorization", &bearer)])).await);
    let cookie = manager.login_for_tests(USER).await.unwrap();
    for value in [basic, "Bearer", "Bearer ", "", "Bearerx", &token] {
        let exchange = open(&manager, &[("cookie", &cookie), ("authorization", value)]);
        assert!(exchange.is_header_client() && !is_logged_in(&exchange).await, "{value}");
    }
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::BadCookie { .. })), 0, "no token came");
}

#[tokio::test]
async fn of_two_tokens_none_is_taken() {
    let site = site();
    let token = value(&login(&open(&site.manager, &[(NAME, "")])).await, NAME).unwrap();
    assert!(is_logged_in(&open(&site.manager, &[(NAME, ""), (NAME, &token)])).await, "one is empty");
    for other in [token.as_str(), "forged"] {
        assert!(!is_logged_in(&open(&site.manager, &[(NAME, &token), (NAME, other)])).await);
    }
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::BadCookie { count: 1 })), 2);
}

#[tokio::test]
async fn what_is_no_utf_8_is_no_token() {
    let site = site();
    let header = site.manager.token_header().unwrap();
    let exchange = site.manager.open(Incoming::default().with_token_header(header, [b"\xff".as_slice()]));
    assert!(exchange.is_header_client() && !is_logged_in(&exchange).await);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::BadCookie { count: 1 })), 1);
}

#[tokio::test]
async fn vary_names_both_for_either_client() {
    let site = site();
    let cookie = site.manager.login_for_tests(USER).await.unwrap();
    for request in [vec![(NAME, "")], vec![("cookie", cookie.as_str())], vec![]] {
        let exchange = open(&site.manager, &request);
        exchange.session().await.unwrap();
        exchange.commit().await.unwrap();
        let headers = exchange.headers();
        let vary: Vec<_> = headers.get_all(header::VARY).iter().collect();
        assert_eq!(vary, [NAME, "Cookie"], "{request:?}");
    }
    let silent = open(&site.manager, &[(NAME, "")]);
    silent.commit().await.unwrap();
    assert!(silent.headers().is_empty());
}

#[tokio::test]
async fn a_handler_s_own_value_of_the_header_goes() {
    let site = site();
    let exchange = open(&site.manager, &[(NAME, "")]);
    let ours = value(&login(&exchange).await, NAME).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(NAME, HeaderValue::from_static("stale"));
    exchange.apply(&mut headers);
    assert_eq!(value(&headers, NAME), Some(ours));
}

#[tokio::test]
async fn a_browser_gets_no_token_in_the_header() {
    let site = site();
    let headers = login(&open(&site.manager, &[])).await;
    assert!(headers.contains_key(header::SET_COOKIE) && !headers.contains_key(NAME));
}

#[tokio::test]
async fn a_form_of_another_site_cannot_pose_as_a_header_client_with_a_cookie() {
    let site = site();
    let cross_site = [("origin", "https://evil.example"), ("host", "example.com"), ("sec-fetch-site", "cross-site")];
    let exchange = open(&site.manager, &cross_site);
    exchange.session().await.unwrap().insert("n", &1).unwrap();
    assert!(matches!(exchange.commit().await.unwrap(), Outcome::Withheld(_)));
    assert!(!exchange.is_header_client());
}

#[test]
fn names_with_another_meaning_are_refused() {
    for name in ["", "a b", "Authorization", "cookie", "Content-Type", "Sec-Session", "Accept", "X-Forwarded-Token"] {
        let refused = TokenHeader::named(name);
        assert!(matches!(refused, Err(ConfigError::TokenHeader { .. })), "{name}: {refused:?}");
        assert!(TokenHeader::bearer().with_response_name(name).is_err(), "{name}");
    }
    let header = TokenHeader::named("X-Session").unwrap();
    assert_eq!(
        (header.request_name(), header.response_name()),
        (&"x-session".parse().unwrap(), &"x-session".parse().unwrap())
    );
    let error = TokenHeader::named("Authorization").unwrap_err();
    assert_eq!(error.to_string(), "the header of a token is for access tokens: take TokenHeader::bearer");
}
