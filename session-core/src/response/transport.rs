//! A secure cookie on its way to a client that speaks plain http: the browser drops it, and no login sticks.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Level;

use crate::{
    EventKind,
    event::bounded,
    exchange::{Answer, Inner},
};

/// How it is known that a client speaks plain http.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainHttp {
    /// The application says so, by [`Incoming::with_https`](crate::Incoming::with_https).
    Application,
    /// A trusted proxy says so, in `X-Forwarded-Proto` or in `Forwarded`.
    Proxy,
    /// The browser says so: the `Origin` or the `Referer` of the request is the request's own host, and begins with `http:`.
    Page,
}

impl PlainHttp {
    /// The cause's name in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Proxy => "proxy",
            Self::Page => "page",
        }
    }

    fn cause(self) -> &'static str {
        match self {
            Self::Application => "the application says that the connection is not TLS (`with_https`)",
            Self::Proxy => "the trusted proxy says `X-Forwarded-Proto: http`, or `proto=http` in `Forwarded`",
            Self::Page => "the request comes from a page of this host whose address begins with `http:`",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Application => {
                "redirect http to https; where a proxy ends TLS, name it in `with_trusted_proxies`; \
                 for a site without https, build the cookie with `secure(false)`"
            }
            Self::Proxy => {
                "let the proxy redirect http to https; behind two proxies, let the last one pass on what the first one says; \
                 for a site without https, build the cookie with `secure(false)`"
            }
            Self::Page => {
                "redirect http to https; on a developer's machine, take `SessionManager::development`; \
                 for a site without https, build the cookie with `secure(false)`"
            }
        }
    }
}

/// The causes that the log has been told of. One line for each is enough.
#[derive(Debug, Default)]
pub(crate) struct PlainHttpLog {
    application: AtomicBool,
    proxy: AtomicBool,
    page: AtomicBool,
}

impl PlainHttpLog {
    fn warn(&self, of: PlainHttp, cookie: &str, route: Option<&str>) {
        let is_told = match of {
            PlainHttp::Application => &self.application,
            PlainHttp::Proxy => &self.proxy,
            PlainHttp::Page => &self.page,
        };
        if !is_told.swap(true, Ordering::Relaxed) {
            tracing::event!(
                name: "session.insecure_transport",
                target: "session",
                Level::WARN,
                event.name = "session.insecure_transport",
                session.reason = of.name(),
                http.route = route,
                cookie,
                cause = of.cause(),
                setting = of.setting(),
                "LOGINS DO NOT STICK: the session cookie is `Secure`, and browsers that speak plain http drop it"
            );
        }
    }
}

impl Inner {
    /// Warns if the response carries a cookie that the browser will drop.
    pub(crate) fn warn_of_plain_http(&self) {
        let Some(plain_http) = self.resource.plain_http else { return };
        let cookie = &self.site().cookie;
        if self.header_client || !cookie.is_secure() || !matches!(self.state().answer, Answer::Token { .. }) {
            return;
        }
        self.site().plain_http_log.warn(plain_http, cookie.name(), self.resource.route().map(bounded).as_deref());
        self.tell_live(EventKind::InsecureTransport(plain_http));
    }
}
