//! Requests from other sites, with which browsers send no cookie. A new cookie would replace a login that such a
//! request cannot show.

use http::{HeaderMap, HeaderValue, Request, StatusCode};
use session_core::{
    CookieConfig, Error, EventKind, Exchange, Incoming, Outcome, SameSite, SessionManager, WithheldReason,
};

use crate::support::*;

const CROSS_SITE: WithheldReason = WithheldReason::CrossSite;

/// A request without cookies, with these headers.
fn request(method: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/return").header("host", "shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// A form on a page of another site, as browsers send it over https.
fn form() -> Request<()> {
    request(
        "POST",
        &[("origin", "https://bank.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    )
}

fn with_same_site(site: &Site, same_site: SameSite) -> SessionManager {
    site.manager.clone().with_cookie(CookieConfig::builder("__Host-session").same_site(same_site).build().unwrap())
}

/// The outcome for a value that is inserted in a request without a session.
async fn insert(exchange: &Exchange) -> Outcome {
    exchange.session().await.unwrap().insert("paid", &true).unwrap();
    exchange.commit().await.unwrap()
}

async fn inserted(manager: &SessionManager, incoming: impl Into<Incoming>) -> Outcome {
    insert(&manager.open(incoming)).await
}

#[tokio::test]
async fn a_form_of_another_site_replaces_no_login_by_an_anonymous_session() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let exchange = site.manager.open(&form());
    let session = exchange.session().await.unwrap();
    session.insert("paid", &true).unwrap();
    assert_eq!(session.get("paid").unwrap(), Some(true), "the page itself sees what it has inserted");
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(CROSS_SITE));
    browser.receive(&exchange.headers());
    assert_eq!(site.lab.calls(), [], "nothing is stored");
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Withheld(CROSS_SITE))), 1);
    let event = site.events.all().pop().unwrap();
    assert_eq!((event.method.as_deref(), event.path), (Some("POST"), None), "nobody wants the path");
}

#[tokio::test]
async fn no_way_to_make_an_anonymous_session_is_open_to_a_form_of_another_site() {
    let site = Site::new();
    let exchange = site.manager.open(&form());
    let session = exchange.session().await.unwrap();
    assert!(matches!(session.begin_login().await, Err(Error::Withheld(CROSS_SITE))));
    session.save().await.unwrap();
    session.renew().await.unwrap();
    session.reload().await.unwrap();
    session.insert("code", &1).unwrap();
    session.update("n", |n: &mut u64| *n += 1).unwrap();
    assert!(matches!(session.save().await, Err(Error::Withheld(CROSS_SITE))));
    assert!(matches!(session.begin_login().await, Err(Error::Withheld(CROSS_SITE))));
    assert_eq!(session.take("code").await.unwrap(), Some(1), "what this request inserted is its own");
    session.logout().await.unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged, "a logout drops what was changed");
    assert!(!sets_cookie(&exchange), "a removal would end the login of a browser that has kept its cookie back");
    assert_eq!(site.lab.calls(), []);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Withheld(_))), 1, "once a request");
    assert_eq!(Error::Withheld(CROSS_SITE).status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_login_by_a_form_of_another_site_works_and_is_told() {
    let site = Site::new();
    let mut browser = site.browser();
    let exchange = site.manager.open(&form());
    let session = exchange.session().await.unwrap();
    session.insert("paid", &true).unwrap();
    session.login(USER).await.unwrap();
    session.insert("after", &true).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    browser.receive(&exchange.headers());
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!((browser.get("paid").await, browser.get("after").await), (Some(true), Some(true)));
    let told: Vec<_> = site.events.all();
    let [logged_in, cross_site] = &told[..] else { panic!("{told:?}") };
    assert!(matches!(logged_in.kind, EventKind::LoggedIn) && matches!(cross_site.kind, EventKind::CrossSiteLogin));
    assert_eq!((cross_site.id, cross_site.owner.clone()), (session.id(), Some(user())));

    let ordinary = site.manager.open(&request("POST", &[("sec-fetch-site", "same-origin")]));
    ordinary.session().await.unwrap().login(USER).await.unwrap();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::CrossSiteLogin)), 1);
}

#[tokio::test]
async fn what_follows_a_login_and_its_logout_in_a_form_of_another_site_is_withheld() {
    let site = Site::new();
    let exchange = site.manager.open(&form());
    let session = exchange.session().await.unwrap();
    session.login(USER).await.unwrap();
    session.logout().await.unwrap();
    session.insert("flash", "you are logged out").unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(CROSS_SITE));
    assert!(!sets_cookie(&exchange));
}

/// The method, the headers, and whether the request is withheld under Lax and under Strict.
type Case = (&'static str, &'static [(&'static str, &'static str)], bool, bool);

#[tokio::test]
async fn what_shows_that_a_request_comes_from_another_site() {
    let site = Site::new();
    let (lax, strict) = (site.manager.clone(), with_same_site(&site, SameSite::Strict));
    const FOREIGN: (&str, &str) = ("origin", "https://bank.example");
    let cases: &[Case] = &[
        ("POST", &[("sec-fetch-site", "cross-site"), FOREIGN], true, true),
        ("POST", &[("sec-fetch-site", "cross-site")], true, true),
        ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "null")], true, true),
        ("PUT", &[("sec-fetch-site", "cross-site")], true, true),
        ("DELETE", &[("sec-fetch-site", "cross-site")], true, true),
        ("POST", &[FOREIGN], true, true),
        ("POST", &[("origin", "http://bank.example:3000")], true, true),
        ("POST", &[("origin", "https://shop.example.net")], true, true),
        // No reason to withhold: the browser says that it is the same site, or nobody knows.
        ("POST", &[("sec-fetch-site", "same-site"), ("origin", "https://www.shop.example")], false, false),
        ("POST", &[("sec-fetch-site", "same-origin"), FOREIGN], false, false),
        ("POST", &[("sec-fetch-site", "none")], false, false),
        ("POST", &[("origin", "null")], false, false),
        ("POST", &[("origin", "nonsense of a proxy")], false, false),
        ("POST", &[("origin", "https://shop.example")], false, false),
        ("POST", &[("origin", "http://SHOP.example:8443")], false, false),
        ("POST", &[], false, false),
        // Browsers send a lax cookie when a link is followed, but not a strict one.
        ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], false, true),
        ("HEAD", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], false, true),
        ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false, false),
        ("GET", &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")], false, false),
        ("GET", &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], false, false),
        ("GET", &[FOREIGN], false, false),
        ("OPTIONS", &[("sec-fetch-site", "cross-site")], false, false),
        ("TRACE", &[("sec-fetch-site", "cross-site")], false, false),
    ];
    for (method, headers, lax_withholds, strict_withholds) in cases {
        for (manager, withholds) in [(&lax, lax_withholds), (&strict, strict_withholds)] {
            let expected = if *withholds { Outcome::Withheld(CROSS_SITE) } else { Outcome::Saved };
            assert_eq!(
                inserted(manager, &request(method, headers)).await,
                expected,
                "{method} {headers:?} {:?}",
                manager.cookie()
            );
        }
    }
    let unbound = with_same_site(&site, SameSite::None);
    assert_eq!(inserted(&unbound, &form()).await, Outcome::Saved, "such a cookie comes along from everywhere");
}

#[tokio::test]
async fn a_request_that_shows_a_cookie_of_ours_is_no_stranger() {
    let site = Site::new();
    for cookie in ["forged", "", site.visitor().await.cookie.as_deref().unwrap()] {
        let mut form = form();
        let line = HeaderValue::try_from(format!("theme=dark; __Host-session={cookie}")).unwrap();
        form.headers_mut().insert("cookie", line);
        assert_eq!(inserted(&site.manager, &form).await, Outcome::Saved, "{cookie}");
    }
    let mut form = form();
    form.headers_mut().insert("cookie", HeaderValue::from_static("theme=dark; __Host-session2=x"));
    assert_eq!(inserted(&site.manager, &form).await, Outcome::Withheld(CROSS_SITE), "another cookie is not ours");
}

#[tokio::test]
async fn a_client_with_a_header_of_its_own_is_of_no_site() {
    let site = Site::new();
    let exchange = site.manager.open(Incoming::from(&form()).with_token(""));
    assert_eq!(insert(&exchange).await, Outcome::Saved);
    assert!(exchange.token().is_some());
}

#[tokio::test]
async fn the_host_is_that_of_the_target_where_it_names_one() {
    let site = Site::new();
    let request = |target: &str, host: &str, origin: &str| {
        let request = Request::post(target).header("origin", origin);
        let request = if host.is_empty() { request } else { request.header("host", host) };
        request.body(()).unwrap()
    };
    let withheld = Outcome::Withheld(CROSS_SITE);
    for (target, host, origin, expected) in [
        // HTTP/2 has the host in `:authority`, which hyper puts into the target.
        ("https://shop.example/return", "", "https://shop.example", Outcome::Saved),
        ("https://shop.example/return", "", "https://bank.example", withheld),
        ("https://shop.example/return", "bank.example", "https://bank.example", withheld),
        ("/return", "shop.example:443", "https://shop.example", Outcome::Saved),
        ("/return", "[2001:db8::1]:8080", "http://[2001:db8::1]", Outcome::Saved),
        ("/return", "[2001:db8::1]:8080", "http://[2001:db8::2]", withheld),
        // If the own host is not known, no other host can be recognised as another one.
        ("/return", "", "https://bank.example", Outcome::Saved),
        ("/return", "not a host", "https://bank.example", Outcome::Saved),
    ] {
        assert_eq!(inserted(&site.manager, &request(target, host, origin)).await, expected, "{target} {host} {origin}");
    }
}

#[tokio::test]
async fn an_adapter_of_another_framework_tells_the_same() {
    let site = Site::new();
    let post = || Incoming::new([]).with_resource("POST", "/return");
    let withheld = Outcome::Withheld(CROSS_SITE);
    let by_origin = post().with_host("shop.example").with_origin("https://bank.example");
    assert_eq!(inserted(&site.manager, by_origin).await, withheld);
    let by_browser = Incoming::new([]).with_fetch_metadata("cross-site", "navigate").with_resource("POST", "/return");
    assert_eq!(inserted(&site.manager, by_browser).await, withheld, "in whatever order it is told");
    for nothing in [
        post(),
        post().with_host("").with_origin("").with_fetch_metadata("", ""),
        Incoming::new([]).with_fetch_metadata("cross-site", "navigate"),
    ] {
        assert_eq!(inserted(&site.manager, nothing).await, Outcome::Saved, "what was not told is no reason");
    }
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("shop.example"));
    headers.insert("origin", HeaderValue::from_static("https://bank.example"));
    assert_eq!(inserted(&site.manager, Incoming::from(&headers).with_resource("POST", "/return")).await, withheld);
}
