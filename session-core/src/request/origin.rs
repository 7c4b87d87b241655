//! The page that a request comes from: whether it is another site's, and what is not made for it then.

use std::{
    fmt, mem,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use http::{HeaderValue, Uri, uri::Authority};

use crate::{EventKind, Exchange, PlainHttp, SameSite, TrustedOrigins, exchange::Inner};

/// Why a request gets no session, or no new one. See [`Outcome::Withheld`](crate::Outcome::Withheld).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithheldReason {
    /// The request comes from a page of another site, as the answer of a bank or of an identity provider does. Browsers keep
    /// a cookie with `SameSite=Lax` or `Strict` back there, so the user may well have a session that this request cannot
    /// show. The cookie of a new one would replace it.
    ///
    /// Read what the other site has sent, and answer with a way to a `GET` of your own site, where the session is at hand:
    /// under `Lax` a redirect with the status 303, under `Strict` a page that goes on by itself, with
    /// `<meta http-equiv="refresh">`. What that page has to know goes along in its URL, signed, or is kept in your database
    /// under the `state` (or `RelayState`, or order number) that the other site hands back.
    CrossSite,
    /// The application gives this visitor none:
    /// [`Incoming::without_anonymous_session`](crate::Incoming::without_anonymous_session).
    Refused,
    /// The cookies of the request open logins of different users:
    /// [`EventKind::ConflictingLogins`](crate::EventKind::ConflictingLogins). A login, `begin_login` and a logout end them
    /// all.
    SeveralUsers,
    /// The request has cookies of more than four sessions, or more than 16 KiB of cookies of the name:
    /// [`EventKind::TooManyCookies`](crate::EventKind::TooManyCookies). A login, `begin_login` and a logout end them all.
    TooManyCookies,
}

impl WithheldReason {
    /// The reason's name in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site",
            Self::Refused => "refused",
            Self::SeveralUsers => "several_users",
            Self::TooManyCookies => "too_many_cookies",
        }
    }
}

impl fmt::Display for WithheldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrossSite => "the request comes from another site, and the browser has kept its cookies back",
            Self::Refused => "the application gives this visitor no session",
            Self::SeveralUsers => "its cookies are of several users",
            Self::TooManyCookies => "it has cookies of too many sessions",
        })
    }
}

/// How a request arrives, as far as its cookies depend on it (RFC 6265bis, section 5.8.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// From the site itself, or nobody knows.
    #[default]
    Ordinary,
    /// From another site, by a link or a redirect. A strict cookie stays behind.
    CrossSiteLink,
    /// From another site, by a form. A lax cookie stays behind, too.
    CrossSiteForm,
}

impl Arrival {
    fn leaves_behind(self, cookie: SameSite) -> bool {
        match cookie {
            SameSite::None => false,
            SameSite::Lax => self == Self::CrossSiteForm,
            SameSite::Strict => self != Self::Ordinary,
        }
    }
}

/// The `Origin` of a request that another origin's page has sent, and that may change something. It is empty if only
/// `Sec-Fetch-Site` tells.
#[derive(Clone, Debug)]
pub(crate) struct OtherOrigin(String);

/// What the headers say of the page that a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// The host that the request is for, as it is written. Of most requests nobody asks for it.
    host: Option<HeaderValue>,
    has_several_hosts: bool,
    /// What the browser itself says. `None`: it says nothing.
    fetch_site: Option<FetchSite>,
    is_navigation: bool,
    /// Whether it asks for another protocol, such as that of a websocket.
    is_upgrade: bool,
    /// As it is written.
    origin: String,
    referer: Option<Page>,
}

/// What a browser says in `Sec-Fetch-Site`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FetchSite {
    /// The site's own origin, or the user.
    Own,
    /// Another origin of the site, such as a sibling domain.
    SameSite,
    CrossSite,
}

/// What an `Origin` or a `Referer` tells.
#[derive(Clone, Debug)]
struct Page {
    host: String,
    is_http: bool,
}

impl Source {
    /// Takes note of the request's host, with its port if it has one.
    pub(crate) fn set_host(&mut self, host: Option<HeaderValue>) {
        let before = mem::replace(&mut self.host, host);
        let is_other = |before| !self.authority().is_some_and(|host| has_same_name(&before, &host));
        // A framework may find the page by the one, and the list the site by the other.
        self.has_several_hosts |= before.as_ref().and_then(authority).is_some_and(is_other);
    }

    /// Takes note of several lines of `Host`. Nobody can tell which of them a proxy has read.
    pub(crate) fn note_several_hosts(&mut self) {
        self.has_several_hosts = true;
    }

    /// The one host that the request names. `None`: none, several, or one that cannot be read.
    pub(crate) fn one_host(&self) -> Option<Authority> {
        self.authority().filter(|host| !self.has_several_hosts && is_host_and_port(host))
    }

    /// Takes note of `Origin`, or of several lines of it with commas between them.
    pub(crate) fn set_origin(&mut self, origin: String) {
        self.origin = origin;
    }

    /// Takes note of `Upgrade`.
    pub(crate) fn set_upgrade(&mut self, upgrade: &str) {
        self.is_upgrade |= !upgrade.is_empty();
    }

    /// Takes note of `Referer`. Nobody asks for one with https, which most are: they are not worth the reading.
    pub(crate) fn set_referer(&mut self, referer: &str) {
        let is_http = referer.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
        self.referer = if is_http { Page::of(referer) } else { None };
    }

    /// Takes note of `Sec-Fetch-Site` and `Sec-Fetch-Mode` (W3C Fetch Metadata).
    pub(crate) fn set_fetch_metadata(&mut self, site: &str, mode: &str) {
        self.fetch_site = (!site.is_empty()).then(|| FetchSite::of(site));
        self.is_navigation = mode == "navigate";
        self.is_upgrade |= mode == "websocket";
    }

    /// How a request with this method arrives. The browser's own judgement goes first: a proxy may have changed `Host`, and
    /// two hosts may be one site.
    pub(crate) fn arrival(&self, method: Option<&str>) -> Arrival {
        let is_cross_site = match self.fetch_site {
            Some(site) => site == FetchSite::CrossSite,
            None => self.has_another_host(),
        };
        if is_cross_site && method.is_some_and(|method| !is_safe(method)) {
            Arrival::CrossSiteForm
        } else if is_cross_site && self.is_navigation {
            Arrival::CrossSiteLink
        } else {
            Arrival::Ordinary
        }
    }

    /// The other origin whose page has sent this request, if it may change something. It is judged as by
    /// `http.CrossOriginProtection` of Go, which explains why these two headers are enough. A request that asks for another
    /// protocol changes something, too: browsers send the cookies with a websocket of any page, and its method is GET.
    ///
    /// Browsers send one of the two headers with each such request. A client that sends neither is no browser, and carries
    /// nobody's cookie. `Sec-Fetch-Site` goes first, because it is the browser's own judgement.
    pub(crate) fn other_origin(&self, method: Option<&str>, is_https: Option<bool>) -> Option<OtherOrigin> {
        let only_reads = matches!(method, Some("GET" | "HEAD" | "OPTIONS"));
        let is_of_own_page = match self.fetch_site {
            Some(site) => site == FetchSite::Own,
            None => self.origin.is_empty() || self.is_own_origin(is_https),
        };
        let is_harmless = only_reads && !self.is_upgrade || is_of_own_page;
        (!is_harmless).then(|| OtherOrigin(self.origin.clone()))
    }

    /// Whether `Origin` is that of the host. Browsers leave out the port that the scheme has by default, proxies add it. A
    /// page that was fetched without TLS is none of a site with TLS, because anybody on the way may have written it.
    fn is_own_origin(&self, is_https: Option<bool>) -> bool {
        let (default_port, origin) = match self.origin.split_once("://") {
            Some(("https", origin)) => (443, origin),
            Some(("http", origin)) if is_https != Some(true) => (80, origin),
            _ => return false,
        };
        let (Some(host), Ok(origin)) = (self.authority(), origin.parse::<Authority>()) else { return false };
        let port = |of: &Authority| of.port_u16().unwrap_or(default_port);
        origin.host().eq_ignore_ascii_case(host.host()) && port(&origin) == port(&host)
    }

    /// Whether the client speaks plain http, so that it drops a secure cookie; `said`: what is believed of the connection,
    /// and who has said it.
    pub(crate) fn plain_http(&self, said: Option<(bool, PlainHttp)>) -> Option<PlainHttp> {
        let by = match said {
            Some((is_https, by)) => (!is_https).then_some(by),
            None => self.has_plain_page().then_some(PlainHttp::Page),
        };
        // Browsers send `Sec-Fetch-Site` to addresses alone that they trust: with https, or on this machine.
        by.filter(|_| self.fetch_site.is_none() && !self.is_loopback())
    }

    /// Whether `Origin` has another host. Ports are left out, because cookies do not know them. Of `null` and of nonsense there
    /// is nothing to know.
    fn has_another_host(&self) -> bool {
        let Some(origin) = self.origin() else { return false };
        self.authority().is_some_and(|host| !origin.is_at(host.host()))
    }

    /// Whether the request comes from a page of its own host that was fetched without TLS.
    fn has_plain_page(&self) -> bool {
        let is_plain = |page: &Page| page.is_http && self.authority().is_some_and(|host| page.is_at(host.host()));
        self.referer.as_ref().is_some_and(is_plain) || self.origin().as_ref().is_some_and(is_plain)
    }

    /// Whether the host is the user's own machine, where Chromium and Firefox keep a secure cookie without TLS.
    fn is_loopback(&self) -> bool {
        let Some(host) = self.authority() else { return false };
        let host = host.host();
        let name = host.to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        name == "localhost"
            || name.ends_with(".localhost")
            || address.is_ok_and(|address: IpAddr| address.is_loopback())
    }

    fn authority(&self) -> Option<Authority> {
        self.host.as_ref().and_then(authority)
    }

    /// The first, where there are several.
    fn origin(&self) -> Option<Page> {
        if self.origin.is_empty() {
            return None;
        }
        self.origin.split(',').next().and_then(Page::of)
    }
}

impl FetchSite {
    /// Of several lines, which no browser sends, the worst counts. A value that is not known yet is not the site's own.
    fn of(list: &str) -> Self {
        let mut sites = list.split(',').map(str::trim);
        if sites.clone().any(|site| site == "cross-site") {
            Self::CrossSite
        } else if sites.all(|site| site == "same-origin" || site == "none") {
            Self::Own
        } else {
            Self::SameSite
        }
    }
}

impl Page {
    fn of(address: &str) -> Option<Self> {
        let address: Uri = address.parse().ok()?;
        let is_http = address.scheme_str()? == "http";
        Some(Self { host: address.host()?.to_owned(), is_http })
    }

    fn is_at(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }
}

/// Whether it is a host with or without a port (RFC 9110, section 7.2). There is no user in a `Host`.
pub(crate) fn is_host_and_port(authority: &Authority) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && authority.port_u16().is_some();
    let rest = authority.as_str().strip_prefix(authority.host());
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

fn has_same_name(one: &Authority, other: &Authority) -> bool {
    one.host().eq_ignore_ascii_case(other.host())
}

/// Whether the method only reads (RFC 9110, section 9.2.1).
fn is_safe(method: &str) -> bool {
    ["GET", "HEAD", "OPTIONS", "TRACE"].iter().any(|safe| method.eq_ignore_ascii_case(safe))
}

/// What the application wants withheld, and whether that has been told of: once a request is enough.
#[derive(Debug, Default)]
pub(crate) struct Withholding {
    is_refused: AtomicBool,
    is_told: AtomicBool,
}

impl Withholding {
    pub(crate) fn new(is_refused: bool) -> Self {
        Self { is_refused: is_refused.into(), is_told: false.into() }
    }
}

impl Exchange {
    /// Gives this visitor no session, if they have none yet: what
    /// [`Incoming::without_anonymous_session`](crate::Incoming::without_anonymous_session) says from the start, for a
    /// middleware that finds it out later.
    pub fn refuse_anonymous(&self) {
        self.inner().withholding.is_refused.store(true, Ordering::Relaxed);
    }

    /// Whether a page of another origin has sent this request, and its cookies could let it do something in its user's name:
    /// a *forged* request, unless the site expects it. It is `false` for a page of a trusted origin. It is `false` for a header
    /// client, too, because no cookie counts in its request.
    ///
    /// A guard asks this. So does the handler of a websocket, if its guard lets every GET pass.
    ///
    /// - `GET`, `HEAD` and `OPTIONS` pass, because they must not change anything. One that asks for another protocol is
    ///   judged like a `POST`: any page can open a websocket, and the browser sends the cookies along.
    /// - `Sec-Fetch-Site` must be `same-origin` or `none`. A sibling domain (`same-site`) is another origin.
    /// - Without that header, `Origin` must be of the request's host, with its port. If the client speaks TLS, `Origin` must
    ///   be of `https`. `null` is another origin.
    /// - A request with neither header passes. It is no browser's, so it carries nobody's cookie.
    ///
    /// The host is that of [`Incoming::with_host`](crate::Incoming::with_host). If a proxy changes it, `Sec-Fetch-Site` still
    /// tells, but browsers send it over https only.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionManager, TrustedOrigins};
    ///
    /// # let manager = SessionManager::development(session_memory::MemoryStore::new());
    /// let form = http::Request::post("/transfer")
    ///     .header("host", "bank.example")
    ///     .header("origin", "https://elsewhere.example")
    ///     .body(())
    ///     .unwrap();
    /// assert!(manager.open(&form).is_cross_origin(&TrustedOrigins::default()));
    /// ```
    #[must_use]
    pub fn is_cross_origin(&self, trusted: &TrustedOrigins) -> bool {
        let sent_by = self.inner().resource.other_origin.as_ref();
        !self.is_header_client() && sent_by.is_some_and(|OtherOrigin(origin)| !trusted.have(origin))
    }
}

impl Inner {
    /// Withholds a new anonymous session if there is a reason to, and tells so.
    pub(crate) fn withhold(&self) -> Option<WithheldReason> {
        let reason = if self.is_cross_site() {
            WithheldReason::CrossSite
        } else if self.withholding.is_refused.load(Ordering::Relaxed) {
            WithheldReason::Refused
        } else {
            return None;
        };
        if !self.withholding.is_told.swap(true, Ordering::Relaxed) {
            self.tell(EventKind::Withheld(reason), None);
        }
        Some(reason)
    }

    /// Whether the request comes from another site, and the browser may have kept our cookie back.
    pub(crate) fn is_cross_site(&self) -> bool {
        let cookie = self.site().cookie.same_site();
        !self.header_client && !self.cookie_present && self.resource.arrival.leaves_behind(cookie)
    }

    /// Whether the request has a cookie of ours, and would have a stricter one, too: from before `SameSite` was loosened. A
    /// page in a frame of another site has none, and nothing in its requests says that it is in one.
    pub(crate) fn shows_all_cookies(&self) -> bool {
        let is_own = self.resource.arrival == Arrival::Ordinary && self.site().cookie.same_site() != SameSite::None;
        self.cookie_present && is_own
    }
}
