//! A site that moves its cookie to another scope, under the same name.

use axum::{
    Router,
    http::{HeaderMap, Uri},
};
use session_core::{CookieConfig, CookieConfigBuilder, CookieScope, Key, Keyring, SessionManager};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};
use tokio::net::TcpListener;

use crate::browser::{
    chromium::{Chromium, Profile},
    stall::in_a_browser,
};

in_a_browser! {
    a_cookie_that_moves_to_another_scope_ends_as_one_cookie_and_leaves_none_at_logout
    without_its_former_scope_a_cookie_that_moves_ends_as_two
    a_token_stays_where_the_browser_takes_the_former_domain_for_none
}

/// A site before and after its cookie has moved: two ports of one host, for which a browser has one jar.
struct Moved {
    host: &'static str,
    before: u16,
    after: u16,
}

impl Moved {
    async fn serve(host: &'static str, before: CookieConfigBuilder, after: CookieConfigBuilder) -> Self {
        let keys = Keyring::new(Key::generate().unwrap());
        let manager = SessionManager::new(MemoryStore::new(), keys);
        let [before, after] = [before, after].map(|cookie| manager.clone().with_cookie(cookie.build().unwrap()));
        Self { host, before: serve(before).await, after: serve(after).await }
    }

    async fn before(&self, profile: &Profile, page: &str) {
        self.open(profile, self.before, page).await;
    }

    async fn after(&self, profile: &Profile, page: &str) {
        self.open(profile, self.after, page).await;
    }

    async fn open(&self, profile: &Profile, port: u16, page: &str) {
        profile.driver.goto(format!("http://{}:{port}/app/{page}", self.host)).await.unwrap();
    }

    /// Logs in before the move and after it.
    async fn log_in_across(&self, profile: &Profile) {
        self.before(profile, "login").await;
        self.before(profile, "").await;
        profile.sees("user 42, 1 cookies").await;
        self.after(profile, "").await;
        profile.sees("user 42, 1 cookies").await;
        self.after(profile, "login").await;
        self.after(profile, "").await;
    }
}

async fn serve(manager: SessionManager) -> u16 {
    let pair = format!("{}=", manager.cookie().name());
    let page = async move |uri: Uri, headers: HeaderMap, session: Session| -> Result<String, SessionError> {
        match uri.path() {
            "/app/login" => session.login(42).await?,
            "/app/logout" => session.logout().await?,
            _ => {}
        }
        let cookies = headers.get("cookie").map_or(0, |line| line.to_str().unwrap().matches(&pair).count());
        let user = session.owner().map_or("nobody".to_owned(), |owner| format!("user {owner}"));
        Ok(format!("{user}, {cookies} cookies"))
    };
    let app = Router::new().fallback(page).layer(SessionLayer::new(manager));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

type Scoped = fn(CookieConfigBuilder) -> CookieConfigBuilder;

/// The moves: the host, the name, the cookie's configuration before and after, and how the site names the former scope.
fn moves() -> [(&'static str, &'static str, Scoped, Scoped, CookieScope); 7] {
    let host = CookieScope::host;
    let plain: Scoped = |cookie| cookie.secure(false);
    let domain: Scoped = |cookie| cookie.secure(false).domain("shop.test");
    let path: Scoped = |cookie| cookie.secure(false).path("/app");
    let secure: Scoped = |cookie| cookie;
    let partitioned: Scoped = |cookie| cookie.partitioned(true);
    // Browsers trust a page of their own machine as one over https, and take a Secure cookie from it.
    [
        ("a.shop.test", "to_host", domain, plain, host().domain("shop.test")),
        ("a.shop.test", "to_domain", plain, domain, host()),
        ("a.shop.test", "to_root", path, plain, host().path("/app")),
        ("a.shop.test", "to_path", plain, path, host()),
        ("a.shop.test", "to_path_of_host", domain, path, host().domain("shop.test")),
        ("localhost", "__Host-to_partition", secure, partitioned, host()),
        ("localhost", "__Host-from_partition", partitioned, secure, host().partitioned(true)),
    ]
}

async fn profile(chromium: &Chromium) -> Profile {
    chromium.profile_at(chromium.new_folder(), String::new()).await
}

async fn a_cookie_that_moves_to_another_scope_ends_as_one_cookie_and_leaves_none_at_logout() {
    let chromium = Chromium::start();
    let profile = profile(&chromium).await;
    for (host, name, before, after, former) in moves() {
        let cookie = || CookieConfig::builder(name);
        let site = Moved::serve(host, before(cookie()), after(cookie()).former_scope(former)).await;
        for rolled_back in [false, true] {
            site.log_in_across(&profile).await;
            profile.sees("user 42, 1 cookies").await;
            // After a roll-back of the site, a login leaves two cookies. A logout ends the sessions of both.
            if rolled_back {
                site.before(&profile, "login").await;
            }
            site.after(&profile, "logout").await;
            site.after(&profile, "").await;
            profile.sees("nobody, 0 cookies").await;
        }
    }
}

async fn without_its_former_scope_a_cookie_that_moves_ends_as_two() {
    let chromium = Chromium::start();
    let profile = profile(&chromium).await;
    for (host, name, before, after, _) in moves() {
        let cookie = || CookieConfig::builder(name);
        let site = Moved::serve(host, before(cookie()), after(cookie())).await;
        site.log_in_across(&profile).await;
        profile.sees("2 cookies").await;
    }
}

async fn a_token_stays_where_the_browser_takes_the_former_domain_for_none() {
    let chromium = Chromium::start();
    let profile = profile(&chromium).await;
    for host in ["127.0.0.1", "localhost"] {
        let cookie = || CookieConfig::builder("s").secure(false);
        let after = cookie().former_scope(CookieScope::host().domain(host));
        let site = Moved::serve(host, cookie().domain(host), after).await;
        site.log_in_across(&profile).await;
        profile.sees("user 42, 1 cookies").await;
    }
}
