//! The headers that tell caches how private a response is, and what the browser clears at a logout.

use http::{HeaderMap, HeaderValue, header};
use session_core::{EventKind, Exchange, HeaderChange, Incoming, Session, SiteData};

use crate::support::{unreadable::*, *};

/// The response's `Cache-Control` in two cases: the handler has set none, and the handler has set this one.
fn says(exchange: &Exchange, handler: Option<&'static str>) -> Option<String> {
    let mut headers = HeaderMap::new();
    if let Some(handler) = handler {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(handler));
    }
    exchange.apply(&mut headers);
    assert!(headers.get_all(header::CACHE_CONTROL).iter().count() <= 1);
    headers.get(header::CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned())
}

/// Checks a response that has read a session. The handler's own header stands.
fn assert_says(exchange: &Exchange, expected: Option<&str>) {
    assert!(!sets_cookie(exchange));
    assert_eq!(says(exchange, None).as_deref(), expected);
    assert_eq!(says(exchange, Some("private, max-age=60")).as_deref(), Some("private, max-age=60"));
}

/// Checks a response with a cookie of ours. None of the handler's headers for caches stays.
fn assert_sets_cookie(exchange: &Exchange) {
    assert!(sets_cookie(exchange));
    assert_eq!(says(exchange, None).as_deref(), Some("no-store"));
    assert_eq!(says(exchange, Some("public, max-age=60")).as_deref(), Some("no-store"));
}

async fn visited(browser: &Browser) -> Exchange {
    let (exchange, _) = browser.start().await;
    exchange.commit().await.unwrap();
    exchange
}

fn shared_caches_told(site: &Site) -> usize {
    site.events.count(|kind| matches!(kind, EventKind::SharedCacheAllowed { .. }))
}

// Depending on the session that was read.

#[tokio::test]
async fn what_a_response_says_to_caches_goes_by_the_session_that_was_read() {
    let site = Site::new();
    assert_says(&visited(&site.logged_in(USER).await).await, Some("no-store"));
    assert_says(&visited(&site.visitor().await).await, Some("private, no-cache"));
    let stranger = visited(&site.browser()).await;
    assert_says(&stranger, None);
    assert_eq!(stranger.headers().get(header::VARY).unwrap(), "Cookie");

    let asked_nothing = site.logged_in(USER).await.open();
    asked_nothing.commit().await.unwrap();
    assert!(asked_nothing.headers().is_empty());
}

#[tokio::test]
async fn a_cookie_that_names_no_session_any_more_is_none() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    site.lab.advance(25 * HOUR);
    assert_says(&visited(&browser).await, None);
}

#[tokio::test]
async fn a_page_that_is_right_for_one_moment_is_kept_by_none() {
    let site = Site::new();
    assert_says(&visited(&late(&site).await).await, Some("no-store"));

    let users = [site.logged_in(1).await, site.logged_in(2).await];
    let exchange = together(&site, &[&users[0], &users[1]]);
    exchange.session().await.unwrap();
    exchange.commit().await.unwrap();
    assert_says(&exchange, Some("no-store"));

    let browser = site.logged_in(USER).await;
    site.lab.set_down(true);
    let exchange = browser.open();
    assert!(exchange.session().await.is_err());
    site.lab.set_down(false);
    assert_says(&exchange, Some("no-store"));

    let site = going_on();
    let browser = site.visitor().await;
    in_garbage(&site, &id_of(&browser).await).await;
    assert_says(&visited(&browser).await, Some("no-store"));
}

#[tokio::test]
async fn a_session_that_was_lost_on_the_way_was_read_all_the_same() {
    let site = Site::new();
    for browser in [site.logged_in(USER).await, site.visitor().await] {
        let (exchange, session) = browser.start().await;
        browser.clone().visit(async |session| session.logout().await.unwrap()).await;
        session.insert("n", &1).unwrap();
        exchange.commit().await.unwrap();
        assert_says(&exchange, Some("no-store"));
        says(&exchange, Some("public"));
        let event = site.events.all().pop().unwrap();
        assert!(matches!(event.kind, EventKind::SharedCacheAllowed { .. }));
        assert_eq!((event.id, event.owner), (exchange.presented_id(), exchange.request_owner()));
    }
}

#[tokio::test]
async fn a_session_that_a_handler_asks_for_after_the_head_has_left_is_not_seen() {
    let site = Site::new();
    let exchange = site.logged_in(USER).await.open();
    exchange.commit().await.unwrap();
    assert!(exchange.headers().is_empty());
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
}

// Responses with a cookie.

#[tokio::test]
async fn a_response_with_a_cookie_is_kept_by_none_whatever_the_handler_says() {
    let site = Site::new();
    for deed in ["log in", "insert", "begin a login"] {
        let (exchange, session) = site.browser().start().await;
        match deed {
            "log in" => session.login(USER).await.unwrap(),
            "insert" => session.insert("n", &1).unwrap(),
            _ => session.begin_login().await.unwrap(),
        }
        exchange.commit().await.unwrap();
        assert_sets_cookie(&exchange);
    }
    let (exchange, session) = site.logged_in(USER).await.start().await;
    session.logout().await.unwrap();
    exchange.commit().await.unwrap();
    assert_sets_cookie(&exchange);

    let (_, old) = stolen(&site).await;
    assert_sets_cookie(&visited(&old).await);

    let browser = site.logged_in(USER).await;
    site.due().await;
    assert_sets_cookie(&visited(&browser).await);
    assert_eq!(shared_caches_told(&site), 0, "nothing has left that says `public`");
}

#[tokio::test]
async fn a_login_whose_save_fails_is_kept_by_none() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.login(USER).await.unwrap();
    session.insert("n", &1).unwrap();
    site.lab.set_down(true);
    assert!(exchange.commit().await.is_err());
    assert_sets_cookie(&exchange);
}

/// Headers that some caches obey in place of `Cache-Control`, and one that only looks like these.
const TARGETED: [&str; 6] = [
    "CDN-Cache-Control",
    "cloudflare-cdn-cache-control",
    "Surrogate-Control",
    "X-Accel-Expires",
    "Edge-Control",
    "x-cache-control-note",
];

#[tokio::test]
async fn beside_a_cookie_no_header_stays_that_a_cache_obeys_in_place_of_cache_control() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    let handled = TARGETED.map(|name| (name, &b"max-age=60"[..]));
    let changes = exchange.changes(handled);
    let removed = changes.iter().filter_map(|change| match change {
        HeaderChange::Remove(name) => Some(name.as_str()),
        HeaderChange::Append(..) => None,
    });
    let obeyed = TARGETED[..5].iter().map(|name| name.to_ascii_lowercase());
    assert!(removed.eq(obeyed), "{changes:?}");

    let mut headers = HeaderMap::new();
    for (name, value) in handled {
        headers.append(header::HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value).unwrap());
        headers.append(header::HeaderName::try_from(name).unwrap(), HeaderValue::from_static("public"));
    }
    exchange.apply(&mut headers);
    let mut names: Vec<_> = headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "set-cookie", "vary", "x-cache-control-note"]);
}

#[tokio::test]
async fn without_a_cookie_the_handler_s_own_headers_stand() {
    let site = Site::new();
    let exchange = visited(&site.logged_in(USER).await).await;
    let changes = exchange.changes([("CDN-Cache-Control", &b"no-store"[..]), ("CACHE-CONTROL", b"private")]);
    let vary = HeaderChange::Append(header::VARY, HeaderValue::from_static("Cookie"));
    assert_eq!(changes, [vary]);
}

#[tokio::test]
async fn to_apply_twice_is_to_apply_once() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.login(USER).await.unwrap();
    for exchange in [exchange, visited(&site.visitor().await).await] {
        exchange.commit().await.unwrap();
        let once = exchange.headers();
        let mut twice = once.clone();
        exchange.apply(&mut twice);
        assert_eq!(twice, once);
    }
}

// Clients without cookies.

#[tokio::test]
async fn a_client_with_a_header_of_its_own_is_answered_for_itself() {
    let site = Site::new();
    let visit = async |token: &str| {
        let exchange = site.manager.open(Incoming::default().with_token(token));
        exchange.session().await.unwrap();
        exchange.commit().await.unwrap();
        exchange
    };
    let stranger = visit("").await;
    assert_says(&stranger, Some("private, no-cache"));
    assert!(!stranger.headers().contains_key(header::VARY));

    let login = site.manager.open(Incoming::default().with_token(""));
    login.session().await.unwrap().login(USER).await.unwrap();
    login.commit().await.unwrap();
    assert_eq!(says(&login, Some("public")).as_deref(), Some("no-store"));
    let token = login.token().unwrap();
    assert_says(&visit(token.expose()).await, Some("no-store"));

    let logout = site.manager.open(Incoming::default().with_token(token.expose()));
    logout.session().await.unwrap().logout().await.unwrap();
    logout.commit().await.unwrap();
    assert_says(&logout, Some("no-store"));
}

#[tokio::test]
async fn a_logout_without_a_cookie_is_kept_by_none() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.logout().await.unwrap();
    exchange.commit().await.unwrap();
    assert_says(&exchange, Some("no-store"));
}

// Pages that shared caches may keep.

#[tokio::test]
async fn what_lets_shared_caches_keep_a_page_that_read_the_session_is_an_event() {
    let site = Site::new();
    for browser in [site.logged_in(USER).await, site.visitor().await] {
        for handled in [("Cache-Control", "public, max-age=60"), ("Surrogate-Control", "max-age=60")] {
            let before = shared_caches_told(&site);
            let exchange = visited(&browser).await;
            for _ in 0..2 {
                let changes = exchange.changes([(handled.0, handled.1.as_bytes())]);
                assert!(!changes.iter().any(|change| matches!(change, HeaderChange::Remove(_))), "it stands");
            }
            assert_eq!(shared_caches_told(&site), before + 1, "once a response");
            let event = site.events.all().pop().unwrap();
            let EventKind::SharedCacheAllowed { header } = &event.kind else { panic!("{event:?}") };
            assert_eq!(header.as_str(), handled.0.to_ascii_lowercase());
            assert_eq!(event.method.as_deref(), Some("GET"));
            assert_eq!((event.id, event.owner), (exchange.presented_id(), exchange.request_owner()));
        }
    }
}

#[tokio::test]
async fn what_is_everybody_s_is_no_event() {
    let site = Site::new();
    let public = Some("public, max-age=60");
    assert_eq!(says(&visited(&site.browser()).await, public).as_deref(), public);
    let asked_nothing = site.logged_in(USER).await.open();
    assert_eq!(says(&asked_nothing, public).as_deref(), public);
    for forbids in ["no-store", "private, max-age=60", "no-cache"] {
        says(&visited(&site.logged_in(USER).await).await, Some(forbids));
    }
    assert_eq!(shared_caches_told(&site), 0);
}

// Data that the browser clears.

fn clearing(data: impl IntoIterator<Item = SiteData>) -> Site {
    let mut site = Site::new();
    site.manager = site.manager.with_clear_site_data(data);
    site
}

fn cleared(exchange: &Exchange) -> Option<String> {
    exchange.headers().get("clear-site-data").map(|value| value.to_str().unwrap().to_owned())
}

async fn logged_out(browser: &Browser, after: impl AsyncFnOnce(&Session)) -> Exchange {
    let (exchange, session) = browser.start().await;
    session.logout().await.unwrap();
    after(&session).await;
    exchange.commit().await.unwrap();
    exchange
}

const ALL: [SiteData; 7] = [
    SiteData::Cache,
    SiteData::Cookies,
    SiteData::Storage,
    SiteData::ExecutionContexts,
    SiteData::ClientHints,
    SiteData::PrefetchCache,
    SiteData::PrerenderCache,
];

#[tokio::test]
async fn a_logout_clears_what_the_site_has_chosen() {
    let site = clearing(ALL);
    let all = r#""cache", "cookies", "storage", "executionContexts", "clientHints", "prefetchCache", "prerenderCache""#;
    for browser in [site.logged_in(USER).await, site.visitor().await] {
        assert_eq!(cleared(&visited(&browser).await), None);
        assert_eq!(cleared(&logged_out(&browser, async |_| ()).await).as_deref(), Some(all));
        let again = logged_out(&browser, async |_| ()).await;
        assert_eq!(cleared(&again).as_deref(), Some(all), "of a session that is gone already, too");
    }
    let site = Site::new();
    assert_eq!(cleared(&logged_out(&site.logged_in(USER).await, async |_| ()).await), None, "by default nothing");
}

#[tokio::test]
async fn the_cookies_are_never_cleared_beside_the_cookie_of_a_new_session() {
    let site = clearing([SiteData::Storage, SiteData::Cookies]);
    let exchange = logged_out(&site.logged_in(USER).await, async |session| session.insert("n", &1).unwrap()).await;
    assert_eq!(cleared(&exchange).as_deref(), Some(r#""storage""#));
    let exchange = logged_out(&site.logged_in(USER).await, async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(cleared(&exchange).as_deref(), Some(r#""storage""#));
    let site = clearing([SiteData::Cookies]);
    let exchange = logged_out(&site.logged_in(USER).await, async |session| session.insert("n", &1).unwrap()).await;
    assert_eq!(cleared(&exchange), None);
}

#[tokio::test]
async fn a_logout_that_a_stranger_may_have_sent_clears_nothing() {
    let site = clearing(ALL);
    assert_eq!(cleared(&logged_out(&site.browser(), async |_| ()).await), None, "no cookie came along");

    // There may be a login beside the late cookie, whose own cookie is on its way.
    let (late, login) = (late(&site).await, site.logged_in(USER).await);
    let exchange = together(&site, &[&late, &login]);
    exchange.session().await.unwrap().logout().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    assert_eq!(cleared(&exchange), None);
}

#[tokio::test]
async fn a_logout_that_fails_clears_nothing() {
    let site = clearing(ALL);
    let browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    site.lab.set_down(true);
    assert!(session.logout().await.is_err());
    site.lab.set_down(false);
    exchange.commit().await.unwrap();
    assert_eq!(cleared(&exchange), None);

    let (_, old) = stolen(&site).await;
    assert_eq!(cleared(&visited(&old).await), None, "a theft is no logout");
}
