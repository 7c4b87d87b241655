//! Cookies, the words of requests, and the policy.

use std::{net::IpAddr, time::Duration};

use proptest::prelude::*;
use session_core::{
    ConfigError, CookieConfig, EventKind, Incoming, Key, Keyring, Lifetime, Policy, SameSite, Store, TrustedProxies,
};

use crate::support::*;

fn headers(site: &Site, cookies: &[&str]) -> session_core::Exchange {
    site.manager.open(Incoming::new(cookies.iter().map(|cookie| cookie.as_bytes())))
}

// Reading.

#[tokio::test]
async fn a_bad_cookie_makes_no_call_is_counted_and_taken_as_absent() {
    let site = Site::new();
    let good = site.visitor().await.cookie.unwrap();
    let other_key = {
        let keys = Keyring::new(Key::from_bytes(&[8; 32]).unwrap());
        let mut browser = Browser { manager: session_core::SessionManager::new(site.lab.clone(), keys), cookie: None };
        browser.visit(async |session| session.insert("n", &1).unwrap()).await;
        browser.cookie.unwrap()
    };
    let unsigned = good.split('.').next().unwrap();
    let mut flipped = good.clone();
    flipped.replace_range(5..6, if &good[5..6] == "A" { "B" } else { "A" });
    let token_with_other_mac = format!("{unsigned}.{}", other_key.split('.').nth(1).unwrap());
    let cases = ["", "x", unsigned, &other_key, &flipped, &token_with_other_mac, "AAAAAAAAAAAAAAAAAAAAAA", "\u{e9}"];
    site.lab.calls();
    for bad in cases {
        let before =
            site.events.count(|kind| matches!(kind, EventKind::BadCookie { .. } | EventKind::UnknownKey { .. }));
        let exchange = headers(&site, &[&format!("__Host-session={bad}")]);
        let session = exchange.session().await.unwrap();
        assert_eq!((session.id(), exchange.presented_id()), (None, None), "{bad}");
        exchange.commit().await.unwrap();
        assert_eq!(site.lab.calls(), [], "{bad}");
        assert_eq!(
            site.events.count(|kind| matches!(kind, EventKind::BadCookie { .. } | EventKind::UnknownKey { .. })),
            before + 1
        );
        session.insert("n", &1).unwrap();
        session.save().await.unwrap_err();
    }
}

#[tokio::test]
async fn a_good_cookie_is_found_among_several_of_the_name() {
    let site = Site::new();
    let good = site.visitor().await.cookie.unwrap();
    for cookies in [
        vec![format!("__Host-session=bad; __Host-session={good}")],
        vec!["__Host-session=bad".to_owned(), format!("theme=dark;__Host-session={good} ; a=b")],
        vec![format!("__Host-session=1; __Host-session=2; __Host-session=3; __Host-session={good}")],
    ] {
        let cookies: Vec<_> = cookies.iter().map(String::as_str).collect();
        assert!(headers(&site, &cookies).presented_id().is_some(), "{cookies:?}");
    }
    let elsewhere = format!("__host-session={good}; x__Host-session={good}; __Host-session");
    assert!(headers(&site, &[&elsewhere]).presented_id().is_none());
}

#[tokio::test]
async fn keys_rotate_under_live_sessions() {
    let site = Site::new();
    let browser = site.visitor().await;
    let keys = Keyring::new(Key::from_bytes(&[1; 32]).unwrap()).and_retire(Key::from_bytes(&[7; 32]).unwrap());
    let manager = session_core::SessionManager::new(site.lab.clone(), keys);
    let mut browser = Browser { manager, ..browser };
    assert_eq!(browser.get::<i64>("n").await, Some(0));
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    let new_only = session_core::SessionManager::new(site.lab, Keyring::new(Key::from_bytes(&[1; 32]).unwrap()));
    assert!(Browser { manager: new_only, ..browser }.owner().await.is_some());
}

proptest! {
    #[test]
    fn cookies_are_read_as_the_cookie_crate_reads_them(
        pairs in prop::collection::vec(("(a|session|__Host-session| session )", "[!-:<-~ ]{0,6}"), 0..6),
        separator in "(;|; | ;|;;)",
    ) {
        let site = Site::new();
        let good = {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(site.visitor()).cookie.unwrap()
        };
        // One of the values is replaced by the good one. If the other crate finds it, ours must find it, too.
        let header = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .chain([format!("__Host-session={good}")])
            .collect::<Vec<_>>()
            .join(&separator);
        let theirs: Vec<_> = cookie::Cookie::split_parse(header.as_str())
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == "__Host-session")
            .collect();
        let finds = theirs.iter().any(|cookie| cookie.value() == good);
        prop_assert_eq!(headers(&site, &[&header]).presented_id().is_some(), finds, "{}", header);
    }
}

#[tokio::test]
async fn the_set_cookie_is_what_the_cookie_crate_reads() {
    let site = Site::new();
    let browser = site.browser();
    for remembered in [false, true] {
        let (exchange, session) = browser.start().await;
        session.login(session_core::Login::new(42).remembered(remembered)).await.unwrap();
        exchange.commit().await.unwrap();
        let header = exchange.headers().get("set-cookie").unwrap().clone();
        assert!(header.is_sensitive());
        let cookie = cookie::Cookie::parse(header.to_str().unwrap().to_owned()).unwrap();
        assert_eq!(cookie.name(), "__Host-session");
        assert_eq!((cookie.secure(), cookie.http_only()), (Some(true), Some(true)));
        assert_eq!((cookie.path(), cookie.domain()), (Some("/"), None));
        assert_eq!(cookie.same_site(), Some(cookie::SameSite::Lax));
        assert_eq!(cookie.max_age().is_some(), remembered);
    }
}

// Configuration.

#[test]
fn a_cookie_that_browsers_would_refuse_is_refused_when_it_is_built() {
    let refused = |name: &str, change: fn(session_core::CookieConfigBuilder) -> session_core::CookieConfigBuilder| {
        change(CookieConfig::builder(name)).build().unwrap_err().to_string()
    };
    for (error, sentence) in [
        (refused("__Host-s", |c| c.secure(false)), "a cookie whose name starts with __Host- needs Secure"),
        (refused("__Host-s", |c| c.path("/app")), "a cookie whose name starts with __Host- needs Path=/"),
        (refused("__Host-s", |c| c.domain("example.org")), "a cookie whose name starts with __Host- needs no Domain"),
        (refused("__host-s", |c| c.secure(false)), "a cookie whose name starts with __Host- needs Secure"),
        (refused("__Secure-s", |c| c.secure(false)), "a cookie whose name starts with __Secure- needs Secure"),
        (
            refused("__Host-Http-s", |c| c.http_only(false)),
            "a cookie whose name starts with __Host-Http- needs HttpOnly",
        ),
        (refused("__Host-Http-s", |c| c.path("/a")), "a cookie whose name starts with __Host-Http- needs Path=/"),
        (refused("__Http-s", |c| c.http_only(false)), "a cookie whose name starts with __Http- needs HttpOnly"),
        (
            refused("s", |c| c.same_site(SameSite::None).secure(false)),
            "SameSite=None needs Secure, or browsers refuse the cookie",
        ),
        (
            refused("s", |c| c.partitioned(true).secure(false)),
            "Partitioned needs Secure, or browsers refuse the cookie",
        ),
        (refused("s", |c| c.path("app")), "the cookie's Path does not start with a slash"),
        (refused("s", |c| c.domain("")), "the cookie's Domain is empty"),
    ] {
        assert_eq!(error, sentence);
    }
    for name in ["", "a b", "a=b", "a;b", "é", "a\"", "(a)"] {
        assert_eq!(CookieConfig::builder(name).build().unwrap_err(), ConfigError::CookieName, "{name}");
    }
    for name in ["__Host-s", "__Secure-s", "__Host-Http-s", "__Http-s", "s"] {
        CookieConfig::builder(name).build().unwrap();
    }
}

#[tokio::test]
async fn the_attributes_leave_with_the_cookie_and_with_its_removal() {
    let site = Site::new();
    let cookie = CookieConfig::builder("__Secure-s")
        .path("/app")
        .domain("example.org")
        .same_site(SameSite::None)
        .partitioned(true)
        .http_only(false)
        .build()
        .unwrap();
    let manager = site.manager.clone().with_cookie(cookie);
    let exchange = manager.open(Incoming::new([b"__Secure-s=stale".as_slice()]));
    let session = exchange.session().await.unwrap();
    let attributes = "; Domain=example.org; Secure; SameSite=None; Partitioned";
    session.insert("n", &1).unwrap();
    session.save().await.unwrap();
    let set = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert!(set.ends_with(&format!("; Path=/app{attributes}")), "{set}");
    session.logout().await.unwrap();
    let removed = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    let life = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(removed, format!("__Secure-s=; Path=/app{life}{attributes}"));
}

#[test]
fn a_policy_is_judged_whole() {
    let refused = |change: fn(session_core::PolicyBuilder) -> session_core::PolicyBuilder| {
        change(Policy::builder()).build().unwrap_err()
    };
    assert_eq!(refused(|p| p.rotation(MINUTE)), ConfigError::RotationWithinGrace);
    assert_eq!(refused(|p| p.grace(Duration::ZERO)), ConfigError::Duration { name: "grace" });
    assert_eq!(refused(|p| p.rotation(Duration::MAX)), ConfigError::Duration { name: "rotation" });
    assert_eq!(
        refused(|p| p.logged_in(Lifetime::new(2 * HOUR, HOUR))),
        ConfigError::IdleAboveAbsolute { name: "logged_in" }
    );
    assert_eq!(
        refused(|p| p.before_login(Lifetime::new(Duration::ZERO, HOUR))),
        ConfigError::Duration { name: "before_login" }
    );
    assert_eq!(
        refused(|p| p.remembered(Lifetime::new(HOUR, 401 * 24 * HOUR))),
        ConfigError::Duration { name: "remembered" }
    );
    assert_eq!(refused(|p| p.sessions_per_owner(0)), ConfigError::NoSessions);
    assert_eq!(refused(|p| p.size_limit((1 << 20) + 1)), ConfigError::SizeLimit);
    for (preset, idle, absolute) in
        [(Policy::aal1(), "14 d", "30 d"), (Policy::aal2(), "1 h", "1 d"), (Policy::aal3(), "15 min", "12 h")]
    {
        let sheet = preset.describe();
        assert!(sheet.contains(&format!("logged in: ends without use after      {idle}")), "{sheet}");
        assert!(sheet.contains(&format!("logged in: ends in any case after      {absolute}")), "{sheet}");
    }
}

#[tokio::test]
async fn a_changed_policy_applies_from_the_next_login_on() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let policy = Policy::builder().logged_in(Lifetime::new(2 * HOUR, 8 * HOUR)).build().unwrap();
    browser.manager = browser.manager.with_policy(policy);
    site.lab.advance(30 * MINUTE);
    browser.visit(async |session| assert_eq!(add_one(session), 1)).await;
    assert!(browser.start().await.1.expires_in().unwrap() <= HOUR);
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    assert!(browser.start().await.1.expires_in().unwrap() > HOUR);
}

// The words of a request.

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_login_over_plain_http_is_told_whose_cookie_browsers_drop() {
    let site = Site::new();
    let exchange = site.manager.open(Incoming::new(None).with_https(false));
    assert_eq!(exchange.is_https(), Some(false));
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::InsecureTransport(_))), 1);
}

#[tokio::test]
async fn a_request_of_the_http_crate_tells_all() {
    let site = Site::new();
    let cookie = site.visitor().await.cookie.unwrap();
    let request = http::Request::post("/cart?secret=1")
        .header("cookie", "a=b")
        .header("cookie", format!("__Host-session={cookie}"))
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-forwarded-for", "192.0.2.7")
        .header("x-forwarded-proto", "https")
        .body(())
        .unwrap();
    let proxies = TrustedProxies::at(["10.0.0.1"]).unwrap();
    let manager = site.manager.clone().with_trusted_proxies(proxies).with_paths_in_events();
    let exchange = manager.open(Incoming::from(&request).with_peer(address("10.0.0.1")));
    exchange.session().await.unwrap().login(42).await.unwrap();
    let event = site.events.all().pop().unwrap();
    assert_eq!((event.method.as_deref(), event.path.as_deref()), (Some("POST"), Some("/cart")));
    assert_eq!((event.peer, event.owner), (Some(address("192.0.2.7")), Some(42.into())));
}

// Clients without cookies.

#[tokio::test]
async fn a_header_client_gets_its_token_and_no_set_cookie() {
    let site = Site::new();
    let exchange = site.manager.open(Incoming::default().with_token(""));
    exchange.session().await.unwrap().login(42).await.unwrap();
    exchange.commit().await.unwrap();
    let token = exchange.token().unwrap();
    let headers = exchange.headers();
    assert!(!headers.contains_key("set-cookie") && headers.get("cache-control").unwrap() == "no-store");
    let exchange = site.manager.open(Incoming::default().with_token(token.expose()));
    assert_eq!(exchange.session().await.unwrap().owner(), Some(42.into()));
    exchange.commit().await.unwrap();
    assert!(exchange.token().is_none(), "no new one");
    let forged = site.manager.open(Incoming::default().with_token("forged"));
    assert_eq!(forged.session().await.unwrap().owner(), None);
    let browser = site.logged_in(42).await;
    browser.start().await.1.logout().await.unwrap();
    assert!(browser.open().token().is_none(), "a browser's token stays in its cookie");
}

#[tokio::test]
async fn development_sets_a_cookie_that_works_over_plain_http() {
    let manager = session_core::SessionManager::development(session_memory::MemoryStore::default());
    let exchange = manager.open(Incoming::default());
    exchange.session().await.unwrap().insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    let cookie = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert!(cookie.starts_with("session-") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn an_epoch_s_id_from_a_form_ends_nothing() {
    use sha2::{Digest, Sha256};
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    browser.visit(async |session| assert_eq!(session.revoke_others().await.unwrap(), 0)).await;
    let hash = Sha256::new().chain_update("session/epoch/v1").chain_update("42").finalize();
    let id = session_core::SessionId::from_bytes(std::array::from_fn(|at| hash[at]));
    assert!(site.lab.memory.load(&id).await.unwrap().is_some());
    assert!(!site.manager.end(&42.into(), &id).await.unwrap());
    assert!(site.lab.memory.load(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn debug_of_incoming_shows_no_token() {
    let site = Site::new();
    let cookie = site.logged_in(42).await.cookie.unwrap();
    let header = format!("__Host-session={cookie}");
    let by_cookie = format!("{:?}", Incoming::new([header.as_bytes()]));
    let by_token = format!("{:?}", Incoming::new([]).with_token(&cookie));
    assert!(!by_token.contains(&cookie), "{by_token}");
    assert!(!by_cookie.contains(&cookie), "{by_cookie}");
}

#[tokio::test]
async fn headers_applied_twice_are_one_cookie() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    let mut headers = http::HeaderMap::new();
    exchange.apply(&mut headers);
    exchange.apply(&mut headers);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 1);
}
