//! What a browser clears when its user logs out.

use http::HeaderValue;

/// Data of a site that browsers clear at a logout, where
/// [`with_clear_site_data`](crate::SessionManager::with_clear_site_data) says so: the types of `Clear-Site-Data` (W3C Clear
/// Site Data, section 3.1).
///
/// - The header leaves with the response of a successful [`logout`](crate::Session::logout) whose request had a token of
///   ours. Without one it does not leave: the page of a stranger can send such a request, and would clear the user's data.
///   Nor does it where the response would not remove the cookie either, because a later login has overtaken the request.
/// - Browsers obey it on secure origins alone: over https, and on the user's own machine. Elsewhere they ignore it.
/// - A browser that does not know a type ignores that type.
/// - The response is shown when the data is cleared. In Chromium a large cache may take seconds.
/// - [`Cache`](Self::Cache) also drops pages from the browser's memory for the way back. Over https Chromium may keep a page
///   with `no-store` there for three minutes, and over a logout if a redirect that set the cookie has led to it. A script in
///   the page can drop it, too, and faster: see "The Back button after a logout" in the guide's page on security.
/// - It clears what the site's scripts have stored, and pages that a handler's own `Cache-Control` has let the browser keep
///   (ASVS 5.0, 14.3.1).
///
/// `"*"` is not offered, because it means cookies, too, and whatever browsers will add.
///
/// # Examples
///
/// ```
/// use session_core::{SessionManager, SiteData};
/// use session_memory::MemoryStore;
///
/// let manager = SessionManager::development(MemoryStore::default())
///     .with_clear_site_data([SiteData::Cache, SiteData::Storage]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SiteData {
    /// `"cache"`: what the browser has kept of the origin's responses, in its memory for the way back, too.
    Cache,
    /// `"cookies"`: all cookies of the registrable domain, also those of its other hosts, and what the origin knows of HTTP
    /// authentication. It is left out of a response that carries the token of a new session, which it would take away.
    Cookies,
    /// `"storage"`: what scripts have stored: `localStorage`, `sessionStorage`, IndexedDB, service workers.
    Storage,
    /// `"executionContexts"`: the origin's open pages are loaded again. Few browsers know it.
    ExecutionContexts,
    /// `"clientHints"`: which client hints the browser sends to the origin.
    ClientHints,
    /// `"prefetchCache"`: pages that were fetched before they were asked for.
    PrefetchCache,
    /// `"prerenderCache"`: pages that were rendered before they were asked for.
    PrerenderCache,
}

impl SiteData {
    /// How it is written: a quoted string.
    fn directive(self) -> &'static str {
        match self {
            Self::Cache => r#""cache""#,
            Self::Cookies => r#""cookies""#,
            Self::Storage => r#""storage""#,
            Self::ExecutionContexts => r#""executionContexts""#,
            Self::ClientHints => r#""clientHints""#,
            Self::PrefetchCache => r#""prefetchCache""#,
            Self::PrerenderCache => r#""prerenderCache""#,
        }
    }

    /// The value of `Clear-Site-Data`; none where nothing is left to clear.
    pub(crate) fn header(data: &[Self], keeps_cookies: bool) -> Option<HeaderValue> {
        let data = data.iter().filter(|&&data| !(keeps_cookies && data == Self::Cookies));
        let directives: Vec<_> = data.map(|data| data.directive()).collect();
        if directives.is_empty() { None } else { HeaderValue::try_from(directives.join(", ")).ok() }
    }
}
