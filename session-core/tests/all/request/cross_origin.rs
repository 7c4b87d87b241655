//! Requests that a page of another origin has sent, and that a guard against forged requests refuses.

use std::panic::Location;

use http::Request;
use session_core::{
    ConfigError, CookieConfig, Incoming, TokenHeader, TrustedOrigins, TrustedProxies,
    adapter::{LayerName, Opened},
};

use crate::support::*;

type Headers<'a> = &'a [(&'static str, &'a str)];

fn request(method: &str, headers: Headers<'_>) -> Request<()> {
    let request = Request::builder().method(method).uri("/transfer");
    let add = |request: http::request::Builder, (name, value): &(&'static str, &str)| request.header(*name, *value);
    headers.iter().fold(request, add).body(()).unwrap()
}

fn trusted(origins: &[&'static str]) -> TrustedOrigins {
    TrustedOrigins::at(origins.iter().copied()).unwrap()
}

/// Whether it is refused at a host whose own origins are `https://bank.example` and `http://bank.example`.
fn is_refused(method: &str, headers: Headers<'_>) -> bool {
    let headers = [&[("host", "bank.example")], headers].concat();
    Site::new().manager.open(&request(method, &headers)).is_cross_origin(&TrustedOrigins::default())
}

const OWN: (&str, &str) = ("origin", "https://bank.example");
const OTHER: (&str, &str) = ("origin", "https://evil.example");

fn site_is(value: &str) -> (&'static str, &str) {
    ("sec-fetch-site", value)
}

#[test]
fn the_browser_s_own_word_goes_first() {
    assert!(!is_refused("POST", &[site_is("same-origin"), OTHER]), "a proxy may have changed the host");
    assert!(!is_refused("POST", &[site_is("none")]), "the user has typed it");
    for word in ["cross-site", "same-site", "", "Same-Origin", "later-word"] {
        assert!(is_refused("POST", &[site_is(word), OTHER]), "{word}");
    }
    assert!(is_refused("POST", &[site_is("cross-site"), OWN]), "the word of the browser counts");
    assert!(is_refused("POST", &[site_is("same-site")]), "a sibling domain is another origin");
    assert!(is_refused("POST", &[site_is("same-origin"), site_is("cross-site")]), "of two lines the worse one counts");
}

#[test]
fn without_it_the_origin_is_compared_with_the_host() {
    assert!(!is_refused("POST", &[OWN]));
    for origin in ["http://bank.example", "https://bank.example:443", "https://BANK.example"] {
        assert!(!is_refused("POST", &[("origin", origin)]), "{origin}");
    }
    for origin in [
        "https://evil.example",
        "https://shop.bank.example",
        "https://bank.example.evil.example",
        "https://bank.example:8443",
        "https://bank.example@evil.example",
        "ftp://bank.example",
        "bank.example",
        "null",
        "https://",
        "https://bank.example/path",
        "https://bank.example,https://evil.example",
        "\u{fffd}",
    ] {
        assert!(is_refused("POST", &[("origin", origin)]), "{origin}");
    }
    assert!(is_refused("POST", &[OWN, OTHER]) && is_refused("POST", &[OTHER, OWN]), "no browser sends two");
    assert!(!is_refused("POST", &[]), "with neither header it is no browser's");
}

#[test]
fn ports_are_those_of_the_host_header_or_of_the_scheme() {
    let is_refused = |host, origin| {
        let request = request("POST", &[("host", host), ("origin", origin)]);
        Site::new().manager.open(&request).is_cross_origin(&TrustedOrigins::default())
    };
    assert!(!is_refused("127.0.0.1:3000", "http://127.0.0.1:3000") && !is_refused("[::1]:3000", "http://[::1]:3000"));
    assert!(is_refused("127.0.0.1:3000", "http://127.0.0.1:3001") && is_refused("127.0.0.1:3000", "http://127.0.0.1"));
    assert!(!is_refused("bank.example:443", "https://bank.example"), "a proxy adds the port of the scheme");
    assert!(
        is_refused("bank.example:443", "http://bank.example") && is_refused("bank.example:80", "https://bank.example")
    );
    assert!(is_refused("", "https://bank.example"), "a host that cannot be read is not the origin's");
}

#[test]
fn the_host_of_the_target_goes_before_the_header() {
    let manager = Site::new().manager;
    let mut request = request("POST", &[("host", "other.example"), OWN]);
    assert!(manager.open(&request).is_cross_origin(&TrustedOrigins::default()));
    *request.uri_mut() = "https://bank.example/transfer".parse().unwrap();
    assert!(!manager.open(&request).is_cross_origin(&TrustedOrigins::default()));
}

#[test]
fn a_plain_page_is_another_origin_where_the_client_speaks_tls() {
    let proxies = TrustedProxies::at(["10.0.0.1"]).unwrap();
    let manager = Site::new().manager.with_trusted_proxies(proxies);
    let is_refused = |proto, origin| {
        let headers = [("host", "bank.example"), ("x-forwarded-proto", proto), ("origin", origin)];
        let incoming = Incoming::from(&request("POST", &headers)).with_peer(std::net::IpAddr::from([10, 0, 0, 1]));
        manager.open(incoming).is_cross_origin(&TrustedOrigins::default())
    };
    assert!(is_refused("https", "http://bank.example") && !is_refused("https", "https://bank.example"));
    assert!(!is_refused("http", "http://bank.example") && !is_refused("http", "https://bank.example"));
}

#[test]
fn methods_that_only_read_pass_and_a_websocket_is_none_of_them() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert!(!is_refused(method, &[site_is("cross-site"), OTHER]), "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"] {
        assert!(is_refused(method, &[OTHER]), "{method}");
    }
    let socket = ("upgrade", "websocket");
    assert!(is_refused("GET", &[socket, site_is("cross-site"), OTHER]) && is_refused("GET", &[socket, OTHER]));
    assert!(is_refused("GET", &[("sec-fetch-mode", "websocket"), site_is("same-site")]));
    assert!(!is_refused("GET", &[socket, site_is("same-origin"), OWN]) && !is_refused("GET", &[socket, OWN]));
    assert!(!is_refused("GET", &[socket]), "a program");
    let untold = Incoming::new([]).with_host("bank.example").with_origin("https://evil.example");
    assert!(Site::new().manager.open(untold).is_cross_origin(&TrustedOrigins::default()), "a method that is not told");
}

#[test]
fn a_trusted_origin_is_trusted_as_it_is_written() {
    let manager = Site::new().manager;
    let is_refused = |headers: Headers<'_>, origins: &[&'static str]| {
        let headers = [&[("host", "bank.example")], headers].concat();
        manager.open(&request("POST", &headers)).is_cross_origin(&trusted(origins))
    };
    let app = ["https://app.example", "https://app.example:8443"];
    for origin in app {
        for word in [&[][..], &[site_is("cross-site")], &[site_is("same-site")]] {
            let headers = [&[("origin", origin)], word].concat();
            assert!(!is_refused(&headers, &app) && is_refused(&headers, &[]), "{origin}");
        }
    }
    for origin in ["http://app.example", "https://app.example:1", "https://x.app.example", "null", ""] {
        assert!(is_refused(&[("origin", origin), site_is("cross-site")], &app), "{origin}");
    }
    assert!(is_refused(&[site_is("cross-site")], &app), "nobody knows of which origin");
    assert!(is_refused(&[("origin", app[0]), OTHER], &app), "no browser sends two");
}

#[test]
fn an_origin_that_no_browser_writes_is_refused() {
    for origin in ["https://app.example", "http://localhost:3000", "https://127.0.0.1", "https://xn--bcher-kva.example"]
    {
        assert!(TrustedOrigins::at([origin]).is_ok(), "{origin}");
    }
    for origin in [
        "",
        "null",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:0",
        "https://app.example:080",
        "https://app.example:x",
        "https://app.example:",
        "https://App.example",
        "https://b\u{fc}cher.example",
        "https://user@app.example",
        "https://app.example.",
        "https://*.example",
        "ftp://app.example",
        "HTTPS://app.example",
    ] {
        let refused = TrustedOrigins::at(["https://app.example", origin]);
        assert!(matches!(refused, Err(ConfigError::TrustedOrigin { index: 1, .. })), "{origin}: {refused:?}");
    }
}

#[test]
fn the_token_header_lets_a_request_pass_only_where_it_takes_the_cookies_away() {
    let header = TokenHeader::default();
    let site = Site::new().manager.with_token_header(header.clone());
    let admin = CookieConfig::builder("admin").build().unwrap();
    let admin = Site::new().manager.with_cookie(admin);
    let name = LayerName::new::<()>(Location::caller());
    let forged = || Incoming::from(&request("POST", &[("host", "bank.example"), OTHER, ("cookie", "admin=x")]));
    let with_token = || forged().with_token_header(&header, [&b""[..]]);

    let mut alone = Opened::default();
    alone.enter(name, &site, with_token).unwrap();
    assert!(alone.refuse_other_origins(&TrustedOrigins::default()).is_ok(), "no cookie counts");

    let mut beside = Opened::default();
    beside.enter(name, &site, with_token).unwrap();
    beside.enter(name, &admin, forged).unwrap();
    assert_eq!(
        beside.refuse_other_origins(&TrustedOrigins::default()).unwrap_err().status(),
        403,
        "the other cookie counts"
    );

    let mut inside = Opened::default();
    inside.enter(name, &site, with_token).unwrap();
    inside.refuse_other_origins(&TrustedOrigins::default()).unwrap();
    assert_eq!(inside.enter(name, &admin, forged).unwrap_err().status(), 403, "a layer inside of the guard");

    let mut trusting = Opened::default();
    trusting.enter(name, &site, with_token).unwrap();
    trusting.refuse_other_origins(&trusted(&["https://evil.example"])).unwrap();
    assert!(trusting.enter(name, &admin, forged).is_ok());
}

#[test]
fn a_refusal_is_an_empty_403_that_no_cache_keeps() {
    let mut opened = Opened::default();
    let forged = || Incoming::from(&request("POST", &[("host", "bank.example"), OTHER]));
    opened.enter(LayerName::new::<()>(Location::caller()), &Site::new().manager, forged).unwrap();
    let failure = opened.refuse_other_origins(&TrustedOrigins::default()).unwrap_err();
    let answer = failure.answer([]);
    assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (403, &"no-store".parse().unwrap()));
    assert_eq!(failure.to_string(), "a page of another origin has sent the request");
    assert!(failure.cause().is_none());
}
