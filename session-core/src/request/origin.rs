//! The page that a request comes from: whether it is another site's, and what is not made for it then.

use std::{
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use http::{Uri, uri::Authority};

use crate::{EventKind, Exchange, PlainHttp, SameSite, exchange::Inner};

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

/// What the headers say of the page that a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// The host that the request is for.
    host: Option<String>,
    /// What the browser itself says. `None`: it says nothing.
    is_cross_site: Option<bool>,
    is_navigation: bool,
    origin: Option<Page>,
    referer: Option<Page>,
}

/// What an `Origin` or a `Referer` tells.
#[derive(Clone, Debug)]
struct Page {
    host: String,
    is_http: bool,
}

impl Source {
    /// Takes note of the request's host, without its port: cookies do not know ports.
    pub(crate) fn set_host(&mut self, host: &str) {
        self.host = host.parse().ok().map(|authority: Authority| authority.host().to_owned());
    }

    /// Takes note of `Origin`. Of `null` and of nonsense there is nothing to note.
    pub(crate) fn set_origin(&mut self, origin: &str) {
        self.origin = Page::of(origin);
    }

    /// Takes note of `Referer`. Nobody asks for one with https, which most are: they are not worth the reading.
    pub(crate) fn set_referer(&mut self, referer: &str) {
        let is_http = referer.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
        self.referer = if is_http { Page::of(referer) } else { None };
    }

    /// Takes note of `Sec-Fetch-Site` and `Sec-Fetch-Mode` (W3C Fetch Metadata).
    pub(crate) fn set_fetch_metadata(&mut self, site: &str, mode: &str) {
        self.is_cross_site = (!site.is_empty()).then(|| site == "cross-site");
        self.is_navigation = mode == "navigate";
    }

    /// How a request with this method arrives. The browser's own judgement goes first: a proxy may have changed `Host`, and
    /// two hosts may be one site.
    pub(crate) fn arrival(&self, method: Option<&str>) -> Arrival {
        let is_cross_site = self.is_cross_site.unwrap_or_else(|| self.has_another_origin());
        if is_cross_site && method.is_some_and(|method| !is_safe(method)) {
            Arrival::CrossSiteForm
        } else if is_cross_site && self.is_navigation {
            Arrival::CrossSiteLink
        } else {
            Arrival::Ordinary
        }
    }

    /// Whether the client speaks plain http, so that it drops a secure cookie; `said`: what is believed of the connection,
    /// and who has said it.
    pub(crate) fn plain_http(&self, said: Option<(bool, PlainHttp)>) -> Option<PlainHttp> {
        // Browsers send `Sec-Fetch-Site` to addresses alone that they trust: with https, or on this machine.
        if self.is_cross_site.is_some() || self.is_loopback() {
            return None;
        }
        match said {
            Some((is_https, by)) => (!is_https).then_some(by),
            None => self.has_plain_page().then_some(PlainHttp::Page),
        }
    }

    fn has_another_origin(&self) -> bool {
        let (Some(host), Some(origin)) = (&self.host, &self.origin) else { return false };
        !origin.is_at(host)
    }

    /// Whether the request comes from a page of its own host that was fetched without TLS.
    fn has_plain_page(&self) -> bool {
        let Some(host) = &self.host else { return false };
        [&self.origin, &self.referer].into_iter().flatten().any(|page| page.is_http && page.is_at(host))
    }

    /// Whether the host is the user's own machine, where Chromium and Firefox keep a secure cookie without TLS.
    fn is_loopback(&self) -> bool {
        let Some(host) = &self.host else { return false };
        let name = host.to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        name == "localhost"
            || name.ends_with(".localhost")
            || address.is_ok_and(|address: IpAddr| address.is_loopback())
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
}
