//! What a request tells: its cookies, its resource, its peer, and what trusted proxies say of it.

use std::{borrow::Cow, fmt, net::IpAddr, sync::OnceLock};

use http::{HeaderMap, HeaderValue, Method, Uri, request, uri::Authority};
use zeroize::Zeroizing;

use crate::{
    Peer, PlainHttp, TokenHeader, TrustedProxies,
    request::{
        Arrival, ChosenHost, OtherOrigin, ProxyHeaders, Source,
        forwarded::Lines,
        origin::is_host_and_port,
        read_headers::{Cookies, ReadHeaders},
    },
};

/// What a request tells about itself.
///
/// It is made of a request of the `http` crate, or of bytes where a framework has types of its own.
///
/// # Examples
///
/// ```
/// use std::net::IpAddr;
///
/// use session_core::Incoming;
///
/// let cookies: &[u8] = b"theme=dark; __Host-session=...";
/// let incoming = Incoming::new([cookies])
///     .with_resource("GET", "/account")
///     .with_peer(IpAddr::from([192, 0, 2, 7]));
/// ```
#[derive(Clone, Default)]
pub struct Incoming {
    pub(crate) cookies: Cookies,
    pub(crate) token: Option<Zeroizing<String>>,
    method: Option<Cow<'static, str>>,
    path: Option<String>,
    route: Option<String>,
    peer: Option<Peer>,
    https: Option<bool>,
    proxy_headers: ProxyHeaders,
    source: Source,
    listed_host: Option<String>,
    pub(crate) refuses_anonymous: bool,
}

impl Incoming {
    /// A request with these `Cookie` headers.
    pub fn new<'a>(cookie_headers: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { cookies: Cookies::joined(cookie_headers), ..Self::default() }
    }

    /// What the request has in the header of clients without cookies, a value for each line. Without a value it has no such
    /// header, and its cookies count.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Exchange, Incoming, SessionManager};
    ///
    /// fn open(manager: &SessionManager, request: &http::Request<()>) -> Exchange {
    ///     let mut incoming = Incoming::from(request);
    ///     if let Some(header) = manager.token_header() {
    ///         let values = request.headers().get_all(header.request_name());
    ///         incoming = incoming.with_token_header(header, values.iter().map(|value| value.as_bytes()));
    ///     }
    ///     manager.open(incoming)
    /// }
    /// ```
    #[must_use]
    pub fn with_token_header<'a>(self, header: &TokenHeader, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        match header.token(values) {
            Some(token) => Self { token: Some(token), ..self },
            None => self,
        }
    }

    /// A client without cookies, which sends its token by another way than a header: `""` if it has none yet. For a header,
    /// take [`with_token_header`](Self::with_token_header).
    ///
    /// Its response gets no `Set-Cookie`; what to send is [`Exchange::token`](crate::Exchange::token).
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(Zeroizing::new(token.to_owned()));
        self
    }

    /// Gives this visitor no session, if they have none yet: for crawlers and health checks, whose sessions would fill the
    /// store and never be asked for again.
    ///
    /// What the request changes is then lost, and the commit answers [`Outcome::Withheld`](crate::Outcome::Withheld). A
    /// session that is there goes on, and a login makes one. [`begin_login`](crate::Session::begin_login) would need an
    /// anonymous one, and is refused: leave out the pages where logins begin.
    #[must_use]
    pub fn without_anonymous_session(mut self) -> Self {
        self.refuses_anonymous = true;
        self
    }

    /// The method and the path, without the query. The path goes into events only if the application
    /// [wants it](crate::SessionManager::with_paths_in_events).
    #[must_use]
    pub fn with_resource(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method_name(method));
        self.path = Some(path.to_owned());
        self
    }

    /// The route that the request has matched, as the application has written it: `/reset/{token}`. It goes into events, in
    /// place of the path. Where it is found out later: [`Exchange::set_route`](crate::Exchange::set_route).
    #[must_use]
    pub fn with_route(mut self, route: &str) -> Self {
        self.route = Some(route.to_owned());
        self
    }

    /// The other end of the connection: its address, or [`Peer::Unix`]. The trusted proxies are known by it.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<Peer>) -> Self {
        self.peer = Some(peer.into());
        self
    }

    /// Whether the connection itself is TLS; behind a trusted proxy the proxy's word on it goes first.
    ///
    /// A cookie with `Secure` that leaves over plain http is told as
    /// [`EventKind::InsecureTransport`](crate::EventKind::InsecureTransport), because browsers drop it; nothing is refused.
    /// Where neither is said, the page counts that the request comes from. The scheme of the request's target is no
    /// evidence: a proxy that ends TLS may go on in plain HTTP/2.
    #[must_use]
    pub fn with_https(mut self, https: bool) -> Self {
        self.https = Some(https);
        self
    }

    /// The values of `X-Forwarded-For` and `X-Forwarded-Proto`: `""` for one that is not there, several lines of one joined
    /// by a comma. They are believed only if the peer is a proxy that the manager trusts: [`TrustedProxies`].
    #[must_use]
    pub fn with_x_forwarded(mut self, forwarded_for: &str, proto: &str) -> Self {
        self.proxy_headers.x_forwarded_for = Lines::of(forwarded_for).into_list();
        self.proxy_headers.x_forwarded_proto = Lines::of(proto).into_list();
        self
    }

    /// The value of `X-Forwarded-Host`: `""` if it is not there, several lines joined by a comma. It is believed only if the
    /// peer is a proxy that a list of hosts trusts: [`Hosts::with_forwarded_host`](crate::Hosts::with_forwarded_host).
    #[must_use]
    pub fn with_x_forwarded_host(mut self, host: &str) -> Self {
        self.proxy_headers.x_forwarded_host = Lines::of(host).into_list();
        self
    }

    /// The value of `Forwarded` (RFC 7239): `""` if it is not there, several lines joined by a comma. It is believed only if
    /// the peer is a proxy that the manager trusts, and that [says it there](crate::ProxyHeader::Forwarded).
    #[must_use]
    pub fn with_forwarded(mut self, forwarded: &str) -> Self {
        self.proxy_headers.forwarded = Lines::of(forwarded).into_list();
        self
    }

    /// The host that the request is for: the `Host` header, or the authority of the request's target, as in HTTP/2. The port
    /// may be there or not.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.source.set_host(HeaderValue::from_str(host).ok());
        self
    }

    /// The value of `Origin`: `""` if it is not there, several lines joined by a comma. Together with
    /// [`with_host`](Self::with_host) it tells whether a form comes from another site, where the browser does not say so
    /// itself. See [`WithheldReason::CrossSite`](crate::WithheldReason::CrossSite).
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        self.source.set_origin(origin.to_owned());
        self
    }

    /// The value of `Referer`: `""` if it is not there. Like `Origin` it can show that a page of your own was fetched without
    /// https: see [`EventKind::InsecureTransport`](crate::EventKind::InsecureTransport).
    #[must_use]
    pub fn with_referer(mut self, referer: &str) -> Self {
        self.source.set_referer(referer);
        self
    }

    /// The value of `Upgrade`: `""` if it is not there. A websocket begins with a `GET` that has it. The guard against forged
    /// requests has to know: see [`Exchange::is_cross_origin`](crate::Exchange::is_cross_origin).
    #[must_use]
    pub fn with_upgrade(mut self, upgrade: &str) -> Self {
        self.source.set_upgrade(upgrade);
        self
    }

    /// The values of `Sec-Fetch-Site` and `Sec-Fetch-Mode`: `""` for one that is not there, several lines of one joined by a
    /// comma. Browsers say there whether the
    /// request comes from another site. They send them over https, and to their own machine.
    #[must_use]
    pub fn with_fetch_metadata(mut self, site: &str, mode: &str) -> Self {
        self.source.set_fetch_metadata(site, mode);
        self
    }

    pub(crate) fn with_headers(read: ReadHeaders) -> Self {
        let (cookies, source, proxy_headers) = read.into_parts();
        Self { cookies, source, proxy_headers, ..Self::default() }
    }

    fn of(method: &Method, target: &Uri, headers: &HeaderMap) -> Self {
        let mut incoming = Self::from(headers).with_resource(method.as_str(), target.path());
        // Where the target names a host, it goes before `Host` (RFC 9112, section 3.2.2).
        if let Some(authority) = target.authority() {
            incoming.source.set_host(HeaderValue::from_str(authority.as_str()).ok());
        }
        incoming
    }

    /// Whether the adapter has told nothing of the other end of the connection.
    pub(crate) fn hides_peer(&self) -> bool {
        self.peer.is_none()
    }

    /// The host that the request is for, behind these proxies. `None`: it cannot be told.
    pub(crate) fn asked_host(&self, proxies: &TrustedProxies) -> Option<Authority> {
        match proxies.forwarded_host(self.peer, &self.proxy_headers) {
            Some(host) => host.parse().ok().filter(is_host_and_port),
            None => self.source.one_host(),
        }
    }

    /// Takes note of the host that was found on a list.
    pub(crate) fn with_listed_host(self, host: &ChosenHost) -> Self {
        Self { listed_host: Some(host.name.clone()), ..self.with_host(&host.authority) }
    }

    /// Decides what to believe.
    pub(crate) fn resource(self, trusted_proxies: &TrustedProxies) -> Resource {
        let (peer, by_proxy) = trusted_proxies.judge(self.peer, &self.proxy_headers);
        let said = match by_proxy {
            Some(https) => Some((https, PlainHttp::Proxy)),
            None => self.https.map(|https| (https, PlainHttp::Application)),
        };
        let https = said.map(|(https, _)| https);
        Resource {
            arrival: self.source.arrival(self.method.as_deref()),
            other_origin: self.source.other_origin(self.method.as_deref(), https),
            plain_http: self.source.plain_http(said),
            https,
            listed_host: self.listed_host,
            method: self.method,
            path: self.path,
            route: self.route.map(OnceLock::from).unwrap_or_default(),
            peer,
        }
    }
}

/// The usual methods take no memory.
fn method_name(method: &str) -> Cow<'static, str> {
    let usual = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"].into_iter().find(|usual| *usual == method);
    usual.map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed)
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, peer, https, .. } = self;
        f.debug_struct("Incoming")
            .field("method", method)
            .field("path", path)
            .field("peer", peer)
            .field("https", https)
            .finish_non_exhaustive()
    }
}

impl From<&HeaderMap> for Incoming {
    fn from(headers: &HeaderMap) -> Self {
        Self::with_headers(ReadHeaders::of(headers))
    }
}

impl<B> From<&http::Request<B>> for Incoming {
    fn from(request: &http::Request<B>) -> Self {
        Self::of(request.method(), request.uri(), request.headers())
    }
}

impl From<&request::Parts> for Incoming {
    fn from(head: &request::Parts) -> Self {
        Self::of(&head.method, &head.uri, &head.headers)
    }
}

/// What is believed of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) method: Option<Cow<'static, str>>,
    pub(crate) path: Option<String>,
    /// The first that was told.
    pub(crate) route: OnceLock<String>,
    pub(crate) peer: Option<IpAddr>,
    /// `None`: unknown.
    pub(crate) https: Option<bool>,
    pub(crate) listed_host: Option<String>,
    pub(crate) arrival: Arrival,
    /// The other origin whose page has sent it, if it may change something.
    pub(crate) other_origin: Option<OtherOrigin>,
    /// The client speaks plain http, and drops secure cookies.
    pub(crate) plain_http: Option<PlainHttp>,
}

impl Resource {
    pub(crate) fn route(&self) -> Option<&str> {
        self.route.get().map(String::as_str)
    }
}
