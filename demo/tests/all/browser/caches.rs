//! Private pages in the browser's cache and in its memory for the way back, and what a logout clears.

use std::sync::Arc;

use axum::{
    Router,
    http::{Uri, header},
    middleware::map_response,
    response::{Html, Response},
};
use serde_json::json;
use session_core::{SessionManager, SiteData};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::browser::{
    chromium::{Chromium, Profile, until},
    stall::in_a_browser,
};

in_a_browser! {
    the_back_button_after_a_logout_shows_no_private_page
    the_back_button_after_a_session_was_ended_elsewhere_shows_no_private_page
    without_cache_control_the_back_button_shows_the_private_page
    a_visitor_s_page_comes_back_out_of_the_browser_s_memory
    a_logout_clears_what_scripts_have_stored_and_no_cookie_of_a_new_session
}

/// The browser's switches: with its memory for the way back (bfcache), and without it.
const MEMORIES: [&[&str]; 2] = [&[], &["--disable-back-forward-cache"]];

const USER_S: &str = "the page of user 42";
const NOBODY_S: &str = "the page of nobody";

fn manager() -> SessionManager {
    SessionManager::development(MemoryStore::new())
}

async fn page(uri: Uri, session: Session) -> Result<Html<String>, SessionError> {
    match uri.path() {
        "/login" => session.login(42).await?,
        "/logout" => session.logout().await?,
        "/leave-and-count" => {
            session.logout().await?;
            session.insert("count", &1)?;
        }
        "/count" => session.insert("count", &1)?,
        _ => {}
    }
    let user = session.owner().map_or("nobody".to_owned(), |owner| format!("user {owner}"));
    Ok(Html(format!(
        "<p>the page of {user}</p><script>onpageshow = (event) => document.title = event.persisted</script>"
    )))
}

fn pages(manager: &SessionManager) -> Router {
    Router::new().fallback(page).layer(SessionLayer::new(manager.clone()))
}

/// The pages with `Vary: Cookie` alone, as an earlier version sent them.
fn pages_with_vary_alone(manager: &SessionManager) -> Router {
    pages(manager).layer(map_response(async |mut response: Response| {
        response.headers_mut().remove(header::CACHE_CONTROL);
        response
    }))
}

/// A browser that shows this site.
async fn browser(chromium: &Chromium, switches: &[&str], pages: Router) -> Profile {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, pages).await });
    chromium.profile_with(Arc::new(TempDir::new().unwrap()), address, switches).await
}

impl Profile {
    /// The text of the page that the Back button leads to, and whether the page comes out of the browser's memory.
    pub(super) async fn goes_back_to(&self, path: &str) -> (String, bool) {
        self.driver.back().await.unwrap();
        self.is_at(path).await;
        let mut title = String::new();
        until("the page is shown", async || {
            title = self.driver.title().await.unwrap_or_default();
            ["true", "false"].contains(&title.as_str())
        })
        .await;
        (self.seen().await, title == "true")
    }

    async fn opens(&self, paths: &[&str]) {
        for path in paths {
            self.open(path).await;
        }
    }
}

async fn the_back_button_after_a_logout_shows_no_private_page() {
    let chromium = Chromium::start();
    for switches in MEMORIES {
        let profile = browser(&chromium, switches, pages(&manager())).await;
        profile.opens(&["/login", "/private", "/other"]).await;
        assert_eq!(profile.goes_back_to("/private").await, (USER_S.to_owned(), false), "{switches:?}");
        profile.open("/logout").await;
        assert_eq!(profile.goes_back_to("/private").await, (NOBODY_S.to_owned(), false), "{switches:?}");
    }
}

async fn the_back_button_after_a_session_was_ended_elsewhere_shows_no_private_page() {
    let chromium = Chromium::start();
    for switches in MEMORIES {
        let manager = manager();
        let profile = browser(&chromium, switches, pages(&manager)).await;
        profile.opens(&["/login", "/private", "/other"]).await;
        assert_eq!(manager.revoke_all(&42.into()).await.unwrap(), 1);
        assert_eq!(profile.goes_back_to("/private").await, (NOBODY_S.to_owned(), false), "{switches:?}");
    }
}

/// This shows that the tests above can fail: `Vary: Cookie` alone keeps no page from the Back button.
async fn without_cache_control_the_back_button_shows_the_private_page() {
    let chromium = Chromium::start();
    let [with_memory, without_memory] = MEMORIES;
    let profile = browser(&chromium, with_memory, pages_with_vary_alone(&manager())).await;
    profile.opens(&["/login", "/private", "/logout"]).await;
    assert_eq!(profile.goes_back_to("/private").await, (USER_S.to_owned(), true));

    // The page comes out of the cache, as long as the browser has the cookie.
    let manager = manager();
    let profile = browser(&chromium, without_memory, pages_with_vary_alone(&manager)).await;
    profile.opens(&["/login", "/private", "/other"]).await;
    assert_eq!(manager.revoke_all(&42.into()).await.unwrap(), 1);
    assert_eq!(profile.goes_back_to("/private").await, (USER_S.to_owned(), false));
}

async fn a_visitor_s_page_comes_back_out_of_the_browser_s_memory() {
    let chromium = Chromium::start();
    let profile = browser(&chromium, &[], pages(&manager())).await;
    profile.opens(&["/count", "/page", "/other"]).await;
    assert_eq!(profile.goes_back_to("/page").await, (NOBODY_S.to_owned(), true));
}

async fn a_logout_clears_what_scripts_have_stored_and_no_cookie_of_a_new_session() {
    let chromium = Chromium::start();
    let manager = manager().with_clear_site_data([SiteData::Storage, SiteData::Cookies]);
    let profile = browser(&chromium, &[], pages(&manager)).await;
    let stored = async || {
        let script = "return [localStorage.note ?? null, document.cookie]";
        profile.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    };
    for (logout, cookie) in [("/leave-and-count", "theme=dark"), ("/logout", "")] {
        profile.open("/login").await;
        let script = "localStorage.note = 'secret'; document.cookie = 'theme=dark'";
        profile.driver.execute(script, Vec::new()).await.unwrap();
        assert_eq!(stored().await, json!(["secret", "theme=dark"]));
        profile.open(logout).await;
        assert_eq!(stored().await, json!([null, cookie]), "{logout}");
        assert_eq!(profile.session_cookie().await.is_some(), logout == "/leave-and-count");
    }
}
