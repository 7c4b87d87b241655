//! Several sites in one program: which host is on the list, and which manager a request gets.

use std::{net::IpAddr, panic::Location};

use http::{Request, StatusCode};
use session_core::{
    ConfigError, CookieConfig, Exchange, Hosts, Incoming, Key, Keyring, Lifetime, Policy, ProxyHeader, SessionManager,
    TrustedOrigins, TrustedProxies,
    adapter::{Failure, LayerName, Managers, Opened},
};

use crate::support::*;

const PROXY: [u8; 4] = [10, 0, 0, 1];

fn manager() -> SessionManager {
    Site::new().manager
}

/// A shop with two hosts, and a blog.
fn hosts() -> Hosts {
    let shop = Hosts::new("shop.example", manager()).unwrap().and_alias("www.shop.example").unwrap();
    shop.and("blog.example", manager()).unwrap()
}

/// Opens the exchange of a request, as a layer does.
fn open(hosts: &Hosts, incoming: impl Into<Incoming>) -> Result<Exchange, Failure> {
    let (managers, mut opened, incoming) = (Managers::from(hosts.clone()), Opened::default(), incoming.into());
    let manager = opened.choose(&managers, || incoming.clone())?;
    let entered = opened.enter(LayerName::new::<()>(Location::caller()), manager, || incoming.clone())?;
    Ok(entered.exchange().clone())
}

fn request(headers: &[(&'static str, &str)]) -> Request<()> {
    let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap()
}

/// The listed host that the request is found to be for, or the status of the refusal.
fn found(hosts: &Hosts, incoming: impl Into<Incoming>) -> Result<String, u16> {
    match open(hosts, incoming) {
        Ok(exchange) => Ok(exchange.listed_host().unwrap().to_owned()),
        Err(failure) => Err(failure.status().as_u16()),
    }
}

fn found_by_host(host: &str) -> Result<String, u16> {
    found(&hosts(), &request(&[("host", host)]))
}

#[test]
fn a_host_is_found_whatever_its_case_and_port() {
    for host in ["shop.example", "SHOP.example", "shop.example:443", "shop.example:8080"] {
        assert_eq!(found_by_host(host).as_deref(), Ok("shop.example"), "{host}");
    }
    assert_eq!(found_by_host("www.shop.example").as_deref(), Ok("www.shop.example"));
}

#[test]
fn a_host_that_is_not_listed_is_a_421() {
    for host in ["evil.example", "shop.example.", "x.shop.example", "shop.example.evil.example", "127.0.0.1", "[::1]"] {
        assert_eq!(found_by_host(host), Err(421), "{host}");
    }
    let failure = open(&hosts(), &request(&[("host", "evil.example")])).unwrap_err();
    let answer = failure.answer([]);
    assert_eq!(
        (answer.status(), &answer.headers()["cache-control"]),
        (StatusCode::MISDIRECTED_REQUEST, &"no-store".parse().unwrap())
    );
    assert_eq!(failure.to_string(), "the host of the request is not listed");
}

#[test]
fn a_request_that_names_no_host_or_two_is_a_400() {
    assert_eq!(found(&hosts(), &request(&[])), Err(400), "as in HTTP/1.0");
    for host in [
        "",
        "user@shop.example",
        "shop.example:x",
        "shop.example:99999",
        "shop example",
        "shop.example/x",
        "b\u{fc}cher.example",
    ] {
        assert_eq!(found_by_host(host), Err(400), "{host}");
    }
    let two = request(&[("host", "shop.example"), ("host", "blog.example")]);
    assert_eq!(found(&hosts(), &two), Err(400));
    let same = request(&[("host", "shop.example"), ("host", "shop.example")]);
    assert_eq!(found(&hosts(), &same), Err(400), "RFC 9112, section 3.2");
}

#[test]
fn a_target_with_a_host_needs_no_header_and_suffers_no_other() {
    let absolute = |target: &str, headers: &[(&'static str, &str)]| {
        let mut request = request(headers);
        *request.uri_mut() = target.parse().unwrap();
        found(&hosts(), &request)
    };
    let other = [("host", "blog.example")];
    let same = [("host", "Shop.example:80")];
    assert_eq!(absolute("http://shop.example/", &same).as_deref(), Ok("shop.example"));
    assert_eq!(absolute("http://shop.example/", &other), Err(400), "a router may go by the header");
    assert_eq!(absolute("https://shop.example:443/", &[]).as_deref(), Ok("shop.example"), "HTTP/2 has no Host");
    assert_eq!(absolute("https://evil.example/", &[]), Err(421));
    for with_a_user in ["user@shop.example", "shop.example@shop.example:80", "shop.example:80@shop.example:80"] {
        assert_eq!(absolute(&format!("https://{with_a_user}/"), &[]), Err(400), "{with_a_user}");
    }
    assert_eq!(absolute("http://shop.example/", &[other[0], other[0]]), Err(400), "two are two");
}

#[test]
fn a_forwarded_host_is_believed_of_a_trusted_proxy_only() {
    let proxies = || TrustedProxies::at(["10.0.0.1", "10.0.0.2"]).unwrap();
    let forwarded = [("host", "backend.internal"), ("x-forwarded-host", "blog.example")];
    let from = |hosts: &Hosts, headers: &[(&'static str, &str)], peer: [u8; 4]| {
        found(hosts, Incoming::from(&request(headers)).with_peer(IpAddr::from(peer)))
    };
    let behind = hosts().with_forwarded_host(proxies());
    assert_eq!(from(&behind, &forwarded, PROXY).as_deref(), Ok("blog.example"));
    assert_eq!(from(&behind, &forwarded, [192, 0, 2, 7]), Err(421), "a stranger's word");
    assert_eq!(from(&hosts(), &forwarded, PROXY), Err(421), "nobody is trusted");
    assert_eq!(found(&behind, &request(&forwarded)), Err(421), "the peer is not known");
    assert_eq!(
        from(&behind, &[("host", "shop.example")], PROXY).as_deref(),
        Ok("shop.example"),
        "the proxy says nothing"
    );
    for (word, found) in [
        ("evil.example, shop.example:8443", Ok("shop.example")),
        ("shop.example, evil.example", Err(421)),
        ("shop.example,", Err(400)),
        ("user@shop.example", Err(400)),
    ] {
        let headers = [("host", "blog.example"), ("x-forwarded-host", word)];
        assert_eq!(from(&behind, &headers, PROXY), found.map(str::to_owned), "{word}: the last word counts");
    }
    let by_word = hosts().with_forwarded_host(proxies().with_header(ProxyHeader::Forwarded));
    let word = |word| [("host", "backend.internal"), ("x-forwarded-host", "blog.example"), ("forwarded", word)];
    for (said, found) in [
        ("for=192.0.2.7;host=shop.example", Ok("shop.example")),
        ("for=192.0.2.7;host=\"shop.example:8443\"", Ok("shop.example")),
        ("for=192.0.2.7;host=shop.example, for=10.0.0.2;host=inner.internal", Ok("shop.example")),
        ("for=192.0.2.6;host=blog.example, for=192.0.2.7;host=shop.example", Ok("shop.example")),
        ("for=192.0.2.7;host=shop.example;host=blog.example", Err(421)),
        ("for=192.0.2.7", Err(421)),
    ] {
        assert_eq!(from(&by_word, &word(said), PROXY), found.map(str::to_owned), "{said}");
    }
}

#[test]
fn the_origin_is_compared_with_the_forwarded_host() {
    let behind = hosts().with_forwarded_host(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let is_refused = |origin| {
        let mut form =
            request(&[("host", "backend.internal"), ("x-forwarded-host", "shop.example"), ("origin", origin)]);
        *form.method_mut() = http::Method::POST;
        let exchange = open(&behind, Incoming::from(&form).with_peer(IpAddr::from(PROXY))).unwrap();
        exchange.is_cross_origin(&TrustedOrigins::default())
    };
    assert!(!is_refused("https://shop.example") && is_refused("https://blog.example"));
}

#[tokio::test]
async fn a_token_of_one_host_opens_nothing_at_another_with_its_keys_and_store() {
    let site = Site::new();
    let shop = Hosts::new("shop.example", site.manager.clone()).unwrap().and_alias("www.shop.example").unwrap();
    let hosts = shop.and("blog.example", site.manager.clone()).unwrap();
    let cookie = hosts.manager("shop.example").unwrap().login_for_tests(USER).await.unwrap();
    let owner_at = async |host| {
        let exchange = open(&hosts, &request(&[("host", host), ("cookie", &cookie)])).unwrap();
        exchange.session().await.unwrap().owner()
    };
    assert_eq!(owner_at("shop.example").await, Some(user()));
    assert_eq!(owner_at("www.shop.example").await, Some(user()), "another host of the same site");
    site.lab.calls();
    assert_eq!(owner_at("blog.example").await, None);
    assert_eq!(site.lab.calls(), [], "the store is not asked");
    let plain = site.manager.open(&request(&[("cookie", &cookie)]));
    assert_eq!(plain.session().await.unwrap().owner(), None, "the manager that is not from the list");
}

#[test]
fn a_host_that_no_request_can_name_is_refused() {
    for host in ["shop.example", "localhost", "127.0.0.1", "xn--bcher-kva.example", "a-b.example"] {
        assert!(Hosts::new(host, manager()).is_ok(), "{host}");
    }
    for host in [
        "",
        "Shop.example",
        "shop.example.",
        "shop.example:443",
        "https://shop.example",
        "shop.example/",
        ".shop.example",
        "shop..example",
        "*.example",
        "b\u{fc}cher.example",
        "-shop.example",
        "1.2.3",
        "[::1]",
        "user@shop.example",
    ] {
        let refused = hosts().and(host, manager());
        assert!(matches!(refused, Err(ConfigError::Host { index: 3, .. })), "{host}: {refused:?}");
    }
    let long = format!("{}.example", "a".repeat(64));
    assert!(Hosts::new(&long, manager()).is_err());
}

#[test]
fn sites_that_cannot_stand_beside_each_other_are_refused() {
    let fault = |refused: Result<Hosts, ConfigError>| match refused {
        Err(ConfigError::Host { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert!(fault(hosts().and("shop.example", manager().with_label("other"))).contains("listed twice"));
    assert!(fault(hosts().and_alias("shop.example")).contains("listed twice"));
    assert!(
        fault(hosts().and("new.example", manager().with_label("shop.example"))).contains("the label of another site")
    );
    let one = Hosts::new("a.example", manager().with_label("shop")).unwrap();
    assert!(fault(one.and("b.example", manager().with_label("shop"))).contains("the label of another site"));

    let with_domain = |name: &str, domain| {
        let cookie = CookieConfig::builder(name).domain(domain).build().unwrap();
        manager().with_cookie(cookie)
    };
    assert!(fault(Hosts::new("shop.example", with_domain("session", "other.example"))).contains("not within"));
    assert!(fault(Hosts::new("myshop.example", with_domain("session", "shop.example"))).contains("not within"));
    let wide = || Hosts::new("shop.example", with_domain("session", "shop.example")).unwrap();
    assert!(
        wide().and_alias("www.shop.example").is_ok() && fault(wide().and_alias("other.example")).contains("not within")
    );
    let cookie = |name: &str| manager().with_cookie(CookieConfig::builder(name).build().unwrap());
    assert!(fault(wide().and("blog.shop.example", cookie("session"))).contains("the cookie of another site"));
    assert!(wide().and("blog.shop.example", cookie("blog")).is_ok());
    let narrow = Hosts::new("blog.shop.example", cookie("session")).unwrap();
    assert!(
        fault(narrow.and("shop.example", with_domain("session", "shop.example"))).contains("the cookie of another")
    );
}

#[test]
fn a_label_of_one_s_own_stays() {
    let keys = || Keyring::new(Key::from_bytes(&[7; 32]).unwrap());
    let store = session_memory::MemoryStore::new();
    let labelled = SessionManager::new(store.clone(), keys()).with_label("the shop");
    let hosts = Hosts::new("shop.example", labelled.clone()).unwrap();
    let exchange = open(&hosts, &request(&[("host", "shop.example")])).unwrap();
    assert!(!exchange.is_of(&labelled), "the list has a manager of its own");
    assert!(exchange.join(&labelled.with_policy(Policy::default())).is_ok(), "its label is the one that was given");
    let other = SessionManager::new(store, keys());
    assert_eq!(exchange.join(&other).unwrap_err().to_string(), "their labels are not the same");
}

#[test]
fn a_layer_inside_takes_the_host_of_the_one_outside() {
    let behind = hosts().with_forwarded_host(TrustedProxies::at(["10.0.0.1"]).unwrap());
    let incoming = Incoming::from(&request(&[("host", "backend.internal"), ("x-forwarded-host", "blog.example")]));
    let known = incoming.clone().with_peer(IpAddr::from(PROXY));
    let minute = std::time::Duration::from_secs(60);
    let strict = Policy::builder().logged_in(Lifetime::new(minute, minute)).build().unwrap();
    let (outside, inside) = (Managers::from(behind.clone()), Managers::from(behind.with_policy(&strict)));
    let only_shop = Managers::from(Hosts::new("shop.example", manager()).unwrap());
    let name = LayerName::new::<()>(Location::caller());
    let mut opened = Opened::default();
    let manager = opened.choose(&outside, || known.clone()).unwrap();
    opened.enter(name, manager, || known).unwrap();
    // The layer inside was not told of the peer.
    let manager = opened.choose(&inside, || incoming.clone()).unwrap();
    let entered = opened.enter(name, manager, || incoming.clone()).unwrap();
    assert!(entered.to_commit().is_none(), "it is the exchange of the layer outside");
    assert_eq!(opened.choose(&only_shop, || incoming).unwrap_err().status(), 421);
}
