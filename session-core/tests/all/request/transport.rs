//! A client that speaks plain http drops a secure cookie. Then "the login does not stick".

use std::net::IpAddr;

use http::Request;
use session_core::{CookieConfig, EventKind, Incoming, PlainHttp, Policy, SessionManager, TrustedProxies};

use crate::support::{log::Log, *};

fn warnings(log: &Log) -> Vec<String> {
    log.lines().into_iter().filter(|line| line.contains("WARN session") && line.contains("STICK")).collect()
}

/// A login form, as a browser sends it to this host.
fn form(host: &str, headers: &[(&str, &str)]) -> Incoming {
    let request = headers.iter().fold(Request::post("/login"), |request, (name, value)| request.header(*name, *value));
    Incoming::from(&request.header("host", host).body(()).unwrap())
}

/// The same through the proxy that the site trusts.
fn proxied(host: &str, proto: &str, headers: &[(&str, &str)]) -> Incoming {
    form(host, headers).with_x_forwarded("192.0.2.7", proto).with_peer(IpAddr::from([10, 0, 0, 1]))
}

/// Logs in. Returns whether a cookie leaves, and the reason in the event that the browser will drop it.
async fn login(manager: &SessionManager, events: &Events, incoming: Incoming) -> (bool, Vec<PlainHttp>) {
    let told_before = events.all().len();
    let exchange = manager.open(incoming);
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    let told = events.all().into_iter().skip(told_before).filter_map(|event| match event.kind {
        EventKind::InsecureTransport(plain_http) => Some(plain_http),
        _ => None,
    });
    (sets_cookie(&exchange), told.collect())
}

/// The event of a login at a site behind a proxy.
async fn told(incoming: Incoming) -> Option<PlainHttp> {
    let site = Site::new();
    let manager = site.manager.clone().with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let (has_cookie, told) = login(&manager, &site.events, incoming).await;
    assert!(has_cookie && told.len() <= 1, "nothing is withheld, and one response tells it once");
    told.first().copied()
}

const SHOP: &str = "shop.example";

#[tokio::test]
async fn a_secure_cookie_for_a_client_that_speaks_plain_http_is_told_with_the_cause() {
    use PlainHttp::{Application, Page, Proxy};
    let plain = ("origin", "http://shop.example");
    let plain_referer = ("referer", "http://shop.example/login?next=/");
    for (incoming, expected) in [
        (form(SHOP, &[]).with_https(false), Some(Application)),
        (Incoming::new([]).with_https(false), Some(Application)),
        (proxied(SHOP, "http", &[]), Some(Proxy)),
        (proxied(SHOP, "https, http", &[]), Some(Proxy)),
        (proxied(SHOP, "http", &[]).with_https(true), Some(Proxy)),
        (form(SHOP, &[plain]), Some(Page)),
        (form(SHOP, &[plain_referer]), Some(Page)),
        (form("SHOP.example:80", &[("origin", "http://shop.example")]), Some(Page)),
        (form("shop.example:3000", &[("origin", "http://shop.example:3000")]), Some(Page)),
        (form("[2001:db8::1]:3000", &[("origin", "http://[2001:db8::1]:3000")]), Some(Page)),
        (proxied(SHOP, "", &[plain]), Some(Page)),
        // Nobody says that it is http, or somebody who knows better says that it is https.
        (form(SHOP, &[]), None),
        (form(SHOP, &[("origin", "https://shop.example"), ("referer", "https://shop.example/login")]), None),
        (form(SHOP, &[plain]).with_https(true), None),
        (proxied(SHOP, "https", &[plain]), None),
        (proxied(SHOP, "https", &[]).with_https(false), None),
        (form(SHOP, &[plain, ("sec-fetch-site", "same-origin")]), None),
        (proxied(SHOP, "http", &[("sec-fetch-site", "same-origin")]), None),
        (form(SHOP, &[]).with_https(false).with_fetch_metadata("none", "navigate"), None),
        // A page of another host says nothing of this one.
        (form(SHOP, &[("origin", "http://bank.example"), ("referer", "http://bank.example/")]), None),
        (form(SHOP, &[("origin", "null"), ("referer", "about:blank")]), None),
        (form("", &[plain]), None),
        // Nobody trusts this proxy.
        (form(SHOP, &[("x-forwarded-proto", "http")]).with_peer(IpAddr::from([10, 0, 0, 9])), None),
    ] {
        assert_eq!(told(incoming.clone()).await, expected, "{incoming:?}");
    }
}

#[tokio::test]
async fn the_scheme_of_the_request_line_is_no_evidence() {
    let request = Request::post("http://shop.example/login").body(()).unwrap();
    assert_eq!(told(Incoming::from(&request)).await, None, "a proxy that ends TLS may speak plain HTTP/2");
    let request = Request::post("https://shop.example/login").body(()).unwrap();
    assert_eq!(told(Incoming::from(&request).with_https(false)).await, Some(PlainHttp::Application));
}

#[tokio::test]
async fn on_the_users_own_machine_nothing_is_told() {
    for host in ["localhost:3000", "LOCALHOST", "shop.localhost", "127.0.0.1:3000", "127.8.9.10", "[::1]:3000"] {
        let origin = format!("http://{host}");
        let headers = [("origin", origin.as_str())];
        for incoming in [form(host, &headers), form(host, &[]).with_https(false), proxied(host, "http", &[])] {
            assert_eq!(told(incoming).await, None, "{host}");
        }
    }
    for host in ["localhost.example", "mylocalhost", "128.0.0.1", "[::2]:3000", "127.0.0.1.example", "10.0.0.1"] {
        assert_eq!(told(proxied(host, "http", &[])).await, Some(PlainHttp::Proxy), "{host}");
    }
}

#[tokio::test]
async fn insecure_transport_is_not_told_without_secure() {
    let site = Site::new();
    let log = Log::start();
    let cookie = CookieConfig::builder("session").secure(false).build().unwrap();
    let plain = || form(SHOP, &[("origin", "http://shop.example")]).with_https(false);
    assert_eq!(login(&site.manager.clone().with_cookie(cookie), &site.events, plain()).await, (true, vec![]));
    assert_eq!(login(&site.manager, &site.events, plain().with_token("")).await, (false, vec![]), "no cookie at all");
    let unused = site.manager.open(plain());
    assert!(unused.session().await.unwrap().get::<u64>("n").unwrap().is_none());
    unused.commit().await.unwrap();
    let browser = site.logged_in(USER).await;
    let line = format!("__Host-session={}", browser.cookie.unwrap());
    let leaving = site.manager.open(Incoming::new([line.as_bytes()]).with_https(false));
    leaving.session().await.unwrap().logout().await.unwrap();
    leaving.commit().await.unwrap();
    assert!(sets_cookie(&leaving), "a removal, which nobody misses");
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::InsecureTransport(_))), 0);
    assert_eq!(warnings(&log), Vec::<String>::new());
}

#[tokio::test]
async fn the_log_is_told_once_for_each_cause_what_to_set() {
    let site = Site::new();
    let manager = site.manager.clone().with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let clone = manager.clone().with_policy(Policy::default());
    let log = Log::start();
    let causes = [
        (PlainHttp::Application, "with_https", form(SHOP, &[]).with_https(false)),
        (PlainHttp::Proxy, "X-Forwarded-Proto: http", proxied(SHOP, "http", &[])),
        (PlainHttp::Page, "begins with `http:`", form(SHOP, &[("origin", "http://shop.example")])),
    ];
    for (so_far, (cause, words, incoming)) in causes.into_iter().enumerate() {
        for manager in [&manager, &clone, &manager] {
            let (_, told) = login(manager, &site.events, incoming.clone()).await;
            assert_eq!(told, [cause], "an observer is told each time");
        }
        let warnings = warnings(&log);
        assert_eq!(warnings.len(), so_far + 1, "{warnings:?}");
        for words in [
            words,
            "redirect http to https",
            "secure(false)",
            "__Host-session",
            "event.name=\"session.insecure_transport\"",
        ] {
            assert!(warnings[so_far].contains(words), "{}", warnings[so_far]);
        }
    }
    let other = Site::new();
    login(&other.manager, &other.events, form(SHOP, &[]).with_https(false)).await;
    assert_eq!(warnings(&log).len(), 4, "another manager has another cookie");
}

#[tokio::test]
async fn an_adapter_of_another_framework_tells_the_page_too() {
    let page = |incoming: Incoming| incoming.with_resource("POST", "/login").with_host(SHOP);
    for incoming in [
        page(Incoming::new([])).with_origin("http://shop.example"),
        Incoming::new([]).with_referer("HTTP://shop.example/login").with_host(SHOP),
    ] {
        assert_eq!(told(incoming).await, Some(PlainHttp::Page));
    }
    assert_eq!(told(page(Incoming::new([])).with_origin("").with_referer("")).await, None);
}
