//! A cookie has a name and a scope. These tests are about cookies in former scopes, and when they are removed.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use session_core::{
    ConfigError, CookieConfig, CookieConfigBuilder, CookieScope, Exchange, Incoming, Outcome, Owner, SameSite, Session,
    SessionManager,
};

use crate::support::*;

const NAME: &str = "s";

fn domain() -> CookieScope {
    CookieScope::host().domain("example.org")
}

fn app() -> CookieScope {
    CookieScope::host().path("/app")
}

/// A site whose cookie was in the scope of the domain once, and under `/app` once.
fn moved(site: &Site) -> SessionManager {
    let cookie = CookieConfig::builder(NAME).former_scope(domain()).former_scope(app()).build().unwrap();
    site.manager.clone().with_cookie(cookie)
}

fn open(manager: &SessionManager, cookie: Option<&str>, path: &str) -> Exchange {
    let header = cookie.map(|cookie| format!("{NAME}={cookie}"));
    manager.open(Incoming::new(header.as_deref().map(str::as_bytes)).with_resource("GET", path))
}

/// The scopes in which a response removes the cookie, and then those in which it sets a token.
fn removed_and_set(headers: &HeaderMap) -> (Vec<String>, Vec<String>) {
    let (set, removed): (Vec<_>, Vec<_>) = set_cookies(headers).into_iter().partition(|cookie| cookie.value.is_some());
    let scopes = |cookies: Vec<SetCookie>| cookies.into_iter().map(|cookie| cookie.scope).collect();
    (scopes(removed), scopes(set))
}

fn former() -> Vec<String> {
    ["Path=/; Domain=example.org", "Path=/app"].map(str::to_owned).to_vec()
}

async fn logged_in(manager: &SessionManager) -> String {
    let exchange = open(manager, None, "/login");
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    set_cookies(&exchange.headers()).pop().unwrap().value.unwrap()
}

#[tokio::test]
async fn a_login_renewal_or_rotation_removes_the_cookies_of_the_former_scopes() {
    for change in ["login", "renewal", "rotation"] {
        let site = Site::new();
        let manager = moved(&site);
        let token = logged_in(&manager).await;
        if change == "rotation" {
            site.due().await;
        }
        let exchange = open(&manager, Some(&token), "/");
        let session = exchange.session().await.unwrap();
        match change {
            "login" => session.login(USER).await.unwrap(),
            "renewal" => session.renew().await.unwrap(),
            _ => assert_eq!(session.owner(), Some(user())),
        }
        exchange.commit().await.unwrap();
        let mut headers = exchange.headers();
        exchange.apply(&mut headers);
        assert_eq!(removed_and_set(&headers), (former(), vec!["Path=/".to_owned()]), "{change}");
        let last = set_cookies(&headers).pop().unwrap();
        let token = last.value.expect("the token comes last: some browsers take a domain that is this host for none");
        assert_eq!(open(&manager, Some(&token), "/").session().await.unwrap().owner(), Some(user()));
    }
}

#[tokio::test]
async fn a_logout_removes_the_cookies_of_all_scopes_also_where_a_new_session_begins_in_it() {
    let site = Site::new();
    let manager = moved(&site);
    for says_goodbye in [false, true] {
        for path in ["/", "/elsewhere"] {
            let token = logged_in(&manager).await;
            let exchange = open(&manager, Some(&token), path);
            let session = exchange.session().await.unwrap();
            session.logout().await.unwrap();
            if says_goodbye {
                session.insert("flash", "goodbye").unwrap();
            }
            exchange.commit().await.unwrap();
            let (mut removed, set) = removed_and_set(&exchange.headers());
            removed.extend(set.clone());
            assert_eq!(removed, [former(), vec!["Path=/".to_owned()]].concat());
            assert_eq!(set.len(), usize::from(says_goodbye));
        }
    }
    // The cookie of a session that had ended before.
    let exchange = open(&manager, Some(&logged_in(&manager).await), "/");
    manager.revoke_all(&user()).await.unwrap();
    exchange.session().await.unwrap().logout().await.unwrap();
    assert_eq!(removed_and_set(&exchange.headers()).0.len(), 3);
}

#[tokio::test]
async fn former_scopes_are_never_removed_alone_nor_with_a_theft_nor_by_the_loser_of_a_race() {
    let site = Site::new();
    let manager = moved(&site);
    let token = logged_in(&manager).await;

    let exchange = open(&manager, Some(&token), "/app");
    add_one(&exchange.session().await.unwrap());
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    assert_eq!(set_cookies(&exchange.headers()), [], "a session that goes on");

    let loser = open(&manager, Some(&token), "/app");
    add_one(&loser.session().await.unwrap());
    let renewing = open(&manager, Some(&token), "/app");
    renewing.session().await.unwrap().renew().await.unwrap();
    assert_eq!(loser.commit().await.unwrap(), Outcome::Superseded);
    assert_eq!(set_cookies(&loser.headers()), []);

    let late = open(&manager, Some(&token), "/app");
    assert_eq!(late.session().await.unwrap().owner(), None);
    late.commit().await.unwrap();
    assert_eq!(set_cookies(&late.headers()), []);

    site.lab.advance(2 * HOUR);
    let dead = open(&manager, Some(&token), "/app");
    dead.session().await.unwrap();
    site.lab.calls();
    dead.commit().await.unwrap();
    assert_eq!(set_cookies(&dead.headers()), [], "the one cookie met may be in either scope");
}

#[tokio::test]
async fn a_theft_removes_the_cookie_of_the_present_scope_only() {
    let site = Site::new();
    let (_, thief) = stolen(&site).await;
    let former = CookieScope::host().partitioned(true);
    let cookie = CookieConfig::builder("__Host-session").former_scope(former).build().unwrap();
    let thief = Browser { manager: site.manager.clone().with_cookie(cookie), ..thief };
    let (exchange, _) = thief.start().await;
    exchange.commit().await.unwrap();
    assert_eq!((removed_and_set(&exchange.headers()), site.events.thefts()), ((vec!["Path=/".to_owned()], vec![]), 1));
}

#[tokio::test]
async fn a_new_anonymous_session_removes_only_what_its_request_could_show() {
    let site = Site::new();
    let manager = moved(&site);
    for (cookie, path, removed) in [
        (Some("dead"), "/app", former()),
        (Some("dead"), "/app/page", former()),
        // A login that the browser keeps for /app is not shown here.
        (Some("dead"), "/apple", vec![former()[0].clone()]),
        (Some("dead"), "/", vec![former()[0].clone()]),
        (None, "/app", vec![]),
    ] {
        let exchange = open(&manager, cookie, path);
        exchange.session().await.unwrap().insert("n", &0).unwrap();
        exchange.commit().await.unwrap();
        assert_eq!(removed_and_set(&exchange.headers()), (removed, vec!["Path=/".to_owned()]), "{cookie:?} {path}");
    }
}

#[tokio::test]
async fn a_new_anonymous_session_removes_no_cookie_that_the_browser_may_have_kept_back() {
    let site = Site::new();
    // A cookie of a former scope may be stricter than the present one. A link of another site comes without one that is
    // `Strict`, and a page in a frame of another site without one that is `Lax`. Its own requests say that they are its own.
    for (same_site, fetch_site, removes) in [
        (SameSite::Lax, "cross-site", false),
        (SameSite::Lax, "same-origin", true),
        (SameSite::Strict, "same-origin", true),
        (SameSite::None, "cross-site", false),
        (SameSite::None, "same-origin", false),
    ] {
        let cookie = CookieConfig::builder(NAME).same_site(same_site).former_scope(app()).build().unwrap();
        let incoming = Incoming::new([format!("{NAME}=dead").as_bytes()]).with_resource("GET", "/app");
        let manager = site.manager.clone().with_cookie(cookie);
        let exchange = manager.open(incoming.with_fetch_metadata(fetch_site, "navigate"));
        exchange.session().await.unwrap().insert("n", &0).unwrap();
        exchange.commit().await.unwrap();
        let removed = if removes { vec!["Path=/app".to_owned()] } else { vec![] };
        let expected = (removed, vec!["Path=/".to_owned()]);
        assert_eq!(removed_and_set(&exchange.headers()), expected, "{same_site:?} {fetch_site}");
    }
}

#[tokio::test]
async fn a_removal_has_the_attributes_that_make_browsers_obey() {
    let site = Site::new();
    let former = CookieScope::host().partitioned(true);
    let cookie = CookieConfig::builder("__Host-s").same_site(SameSite::None).former_scope(former).build().unwrap();
    let exchange = site.manager.clone().with_cookie(cookie).open(Incoming::default());
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    let headers = exchange.headers();
    let lines: Vec<_> = headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
    let life = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(lines[0], format!("__Host-s=; Path=/; {life}; Secure; HttpOnly; SameSite=None; Partitioned"));
    assert!(lines[1].ends_with("; Path=/; Secure; HttpOnly; SameSite=None"), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_header_client_has_no_scopes() {
    let site = Site::new();
    let manager = moved(&site);
    let exchange = manager.open(Incoming::default().with_token(""));
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    assert!(exchange.token().is_some() && set_cookies(&exchange.headers()).is_empty());
}

/// The cookies that a browser keeps, each under its path.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    /// A request for this page, and whose session it has shown.
    async fn visit(
        &mut self,
        manager: &SessionManager,
        path: &str,
        handler: impl AsyncFnOnce(&Session),
    ) -> Option<Owner> {
        let is_sent = |scope: &str| path.starts_with(scope.strip_prefix("Path=").unwrap());
        let cookies = self.0.iter().filter(|(scope, _)| is_sent(scope)).map(|(_, value)| format!("{NAME}={value}"));
        let header = cookies.collect::<Vec<_>>().join("; ");
        let exchange = manager.open(Incoming::new([header.as_bytes()]).with_resource("GET", path));
        let session = exchange.session().await.unwrap();
        handler(&session).await;
        exchange.commit().await.unwrap();
        for SetCookie { scope, value, .. } in set_cookies(&exchange.headers()) {
            match value {
                Some(value) => drop(self.0.insert(scope, value)),
                None => drop(self.0.remove(&scope)),
            }
        }
        session.owner()
    }
}

#[tokio::test]
async fn while_two_versions_run_that_name_the_scope_of_each_other_no_browser_keeps_an_old_token() {
    for is_named_before in [false, true] {
        let site = Site::new();
        let (before, after) =
            (CookieConfig::builder(NAME).path("/app"), CookieConfig::builder(NAME).former_scope(app()));
        let before = if is_named_before { before.former_scope(CookieScope::host()) } else { before };
        let [old, new] = [before, after].map(|cookie| site.manager.clone().with_cookie(cookie.build().unwrap()));
        let mut jar = Jar::default();
        jar.visit(&old, "/app", async |session| session.login(USER).await.unwrap()).await;
        for (version, path) in [(&new, "/app"), (&new, "/app"), (&old, "/app"), (&new, "/app")] {
            site.due().await;
            assert_eq!(jar.visit(version, path, async |_| ()).await, Some(user()));
        }
        site.lab.advance(2 * MINUTE);
        jar.visit(&new, "/", async |_| ()).await;
        // The old version does not know that the token for `/` is replaced, so it cannot remove it. That one comes alone here.
        assert_eq!(site.events.thefts(), usize::from(!is_named_before));
    }
}

#[test]
fn a_former_scope_that_cannot_have_been_or_is_the_present_one_is_refused() {
    let refused = |cookie: CookieConfigBuilder, scope: CookieScope| cookie.former_scope(scope).build().unwrap_err();
    let s = || CookieConfig::builder("s");
    let host = || CookieConfig::builder("__Host-s");
    assert_eq!(refused(s(), CookieScope::host()), ConfigError::FormerScope);
    assert_eq!(refused(s().domain("Example.org"), CookieScope::host().domain("example.ORG")), ConfigError::FormerScope);
    assert_eq!(refused(s().partitioned(true), CookieScope::host().partitioned(true)), ConfigError::FormerScope);
    assert_eq!(refused(s().former_scope(app()), app()), ConfigError::FormerScope);
    let prefix = |demand| ConfigError::CookiePrefix { prefix: "__Host-", demand };
    assert_eq!(refused(host(), domain()), prefix("no Domain"));
    assert_eq!(refused(host(), app()), prefix("Path=/"));
    assert_eq!(
        refused(s().secure(false), CookieScope::host().partitioned(true)),
        ConfigError::NeedsSecure { attribute: "Partitioned" }
    );
    let attribute = |error| match error {
        ConfigError::CookieAttribute { attribute, .. } => attribute,
        error => panic!("{error}"),
    };
    assert_eq!(attribute(refused(s(), CookieScope::host().domain("example.org."))), "Domain");
    assert_eq!(attribute(refused(s(), CookieScope::host().path("app"))), "Path");
    assert_eq!(
        refused(s().public_suffixes(|d| d == "org"), CookieScope::host().domain("org")),
        ConfigError::PublicSuffix
    );
    for (cookie, scope) in [(s(), app()), (s().path("/app"), CookieScope::host()), (s(), app().domain("a.example"))] {
        cookie.former_scope(scope).build().unwrap();
    }
    host().former_scope(CookieScope::host().partitioned(true)).build().unwrap();
    host().partitioned(true).former_scope(CookieScope::host()).build().unwrap();
}
