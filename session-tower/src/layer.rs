//! The layer: what it is told, and how it opens an exchange.

use std::{fmt, marker::PhantomData, panic::Location, sync::Arc};

use http::{Extensions, HeaderValue, Uri, request::Parts};
use session_core::{
    Hosts, Incoming, Peer, SessionManager, TokenHeader,
    adapter::{AccessNote, LayerName, Managers, Opened, Users},
};

use crate::{Exchange, SessionError};

type FindPeer = dyn Fn(&Extensions) -> Option<Peer> + Send + Sync;
type Https = fn(&Extensions) -> Option<bool>;
type Refuses = dyn Fn(&Parts) -> bool + Send + Sync;

/// Gives every request its session.
///
/// - It opens an exchange without asking the store: the session is loaded when a handler or a middleware asks for it.
/// - It commits **before the response head leaves**, whatever the status: a redirect never outruns its session.
/// - If the commit fails, the handler's response is not sent. In its place leaves one with the status of the error, an
///   empty body, and the [`session_core::Error`] in its extensions. Cookies leave all the same: that of a login that
///   succeeded, the removal of a logout, and those that anything inside has set.
/// - If the session was ended or taken over by a login while the handler ran, the handler's response stays as it is,
///   with [`Outcome::Gone`](session_core::Outcome::Gone) or [`Outcome::Superseded`](session_core::Outcome::Superseded)
///   in its extensions. A handler that must know calls [`save`](session_core::Session::save).
/// - A form of another site makes no new anonymous session. The browser keeps the cookie of a login out of such a
///   request, and the new cookie would replace it. If something was withheld,
///   [`Outcome::Withheld`](session_core::Outcome::Withheld) is in the response's extensions.
/// - A stored session may be unreadable, for example after a roll-back. Handlers that log in or out still work then.
///   For the others the policy says whether the answer is 500 or they go on without a session: see
///   [`WhenUnreadable`](session_core::WhenUnreadable).
/// - It tells caches how private a response is. `Cache-Control` is `no-store` if a session with an owner was read, and
///   `private, no-cache` if an anonymous one was. A handler's own `Cache-Control` stands, but with a cookie of ours it
///   is always `no-store`. The rules are those of [`Exchange::apply`](session_core::Exchange::apply). The layer does
///   not see headers that a middleware outside of it adds.
/// - An inner service that fails commits nothing. A panic commits nothing either, and ends the connection: put
///   `CatchPanicLayer` of tower-http inside this layer, as the example does. Its 500 is then committed like any other
///   response.
/// - Any other layer may stand inside or outside: the body that leaves is a [`ResponseBody`](crate::ResponseBody). When
///   a `TimeoutLayer` inside gives up, the changes that the handler has made until then are committed. When one outside
///   gives up, nothing is committed.
/// - A client without cookies is served if the manager has a [`TokenHeader`](session_core::TokenHeader). Such a client
///   sends its token in that header, on the same routes as browsers.
/// - A layer inside another, with the same marker and a clone of its manager, opens nothing of its own. The session is
///   that of the layer outside, under the policy of the layer inside. So a part of the site gets a policy of its own
///   with `SessionLayer::new(manager.clone().with_policy(stricter))` around it. The policy holds for logins made
///   inside. A login made outside keeps its lifetime. The peer and the connection are those that the layer outside was
///   told of.
/// - If two layers have cookies of one name, but their markers, stores, keys or scopes differ, each request is answered
///   500, and the log names both layers.
/// - Events have the route that axum has matched, such as `/reset/{token}`. It is known at once if the layer is one of
///   the router's, else as soon as a handler takes its session. Under another framework, tell the route with
///   [`set_route`](session_core::Exchange::set_route).
/// - The [`Exchange`] is in the extensions of the request, and afterwards of the response.
///
/// When a client hangs up, either all changes that wait for the commit are saved, or none.
///
/// # Examples
///
/// A site with everything around it:
///
/// ```
/// # #[cfg(feature = "axum")]
/// # mod example {
/// use std::net::SocketAddr;
///
/// use axum::{
///     Router,
///     extract::ConnectInfo,
///     routing::{get, post},
/// };
/// use session_tower::{
///     AccessLogLayer, CurrentOwner, Keyring, Session, SessionError, SessionLayer, SessionManager, Store,
/// };
/// use tower_http::catch_panic::CatchPanicLayer;
///
/// fn app(store: impl Store, keys: Keyring) -> Router {
///     let manager = SessionManager::new(store, keys);
///     let sessions = SessionLayer::new(manager)
///         .with_peer(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
///     Router::new()
///         .route("/account", get(account))
///         .route("/login", post(login))
///         // Inside: its 500 gets what the session has to say.
///         .layer(CatchPanicLayer::new())
///         .layer(sessions)
///         .layer(AccessLogLayer::new()) // outside: it sees what leaves
/// }
///
/// async fn account(CurrentOwner(owner): CurrentOwner) -> String {
///     format!("the account of user {owner}")
/// }
///
/// async fn login(session: Session) -> Result<(), SessionError> {
///     // ... once the password has been checked:
///     Ok(session.login(42).await?)
/// }
///
/// async fn serve(app: Router, listener: tokio::net::TcpListener) -> std::io::Result<()> {
///     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
/// }
/// # }
/// ```
///
/// Without axum:
///
/// ```
/// use session_memory::MemoryStore;
/// use session_tower::{Session, SessionError, SessionLayer, SessionManager};
/// use tower::ServiceBuilder;
///
/// async fn hello(request: http::Request<String>) -> Result<http::Response<String>, SessionError> {
///     let session = Session::of(request.extensions()).await?;
///     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
///     Ok(http::Response::new(format!("visit {visits}")))
/// }
///
/// let manager = SessionManager::development(MemoryStore::new());
/// let service = ServiceBuilder::new().layer(SessionLayer::new(manager)).service_fn(hello);
/// ```
#[doc(alias("SessionManagerLayer", "AuthManagerLayer"))]
pub struct SessionLayer<K = ()> {
    managers: Managers,
    made_at: &'static Location<'static>,
    peer: Option<Arc<FindPeer>>,
    https: Https,
    refuses: Option<Arc<Refuses>>,
    pub(crate) users: Option<Users>,
    name: PhantomData<fn() -> K>,
}

impl SessionLayer {
    /// Gives every request a session of this manager.
    #[must_use]
    #[track_caller]
    pub fn new(manager: SessionManager) -> Self {
        Self::of(manager.into())
    }

    /// Gives every request a session of the manager of its host: for a program that serves several sites. A request for
    /// a host that is not listed is answered with 421 (Misdirected Request), and its handler is not called. See
    /// [`Hosts`], also on which stores the sites may share.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_tower::{ConfigError, Hosts, SessionLayer, SessionManager};
    ///
    /// fn sessions(shop: SessionManager, blog: SessionManager) -> Result<SessionLayer, ConfigError> {
    ///     Ok(SessionLayer::by_host(Hosts::new("shop.example", shop)?.and("blog.example", blog)?))
    /// }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn by_host(hosts: Hosts) -> Self {
        Self::of(hosts.into())
    }

    #[track_caller]
    fn of(managers: Managers) -> Self {
        Self {
            managers,
            made_at: Location::caller(),
            peer: None,
            https: |_| None,
            refuses: None,
            users: None,
            name: PhantomData,
        }
    }
}

impl<K> SessionLayer<K> {
    /// The same with a function that finds the peer, which is the other end of the connection. The peer's address goes
    /// into events, and by it the manager knows its trusted proxies. Without this function no proxy is trusted, unless
    /// they are [counted](session_core::TrustedProxies::hops). What else belongs to it: [behind a
    /// proxy](crate#behind-a-proxy).
    ///
    /// # Examples
    ///
    /// Where axum keeps it, if the server is started with `into_make_service_with_connect_info::<SocketAddr>()`:
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use axum::extract::ConnectInfo;
    /// use session_tower::SessionLayer;
    ///
    /// # fn layer(manager: session_tower::SessionManager) -> SessionLayer {
    /// SessionLayer::new(manager)
    ///     .with_peer(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0))
    /// # }
    /// ```
    ///
    /// For a server that listens on a Unix socket, behind a proxy that the manager trusts as `unix:`:
    ///
    /// ```
    /// use session_core::Peer;
    /// use session_tower::SessionLayer;
    ///
    /// # fn layer(manager: session_core::SessionManager) -> SessionLayer {
    /// SessionLayer::new(manager).with_peer(|_| Some(Peer::Unix))
    /// # }
    /// ```
    #[must_use]
    pub fn with_peer<P: Into<Peer>>(self, peer: impl Fn(&Extensions) -> Option<P> + Send + Sync + 'static) -> Self {
        Self { peer: Some(Arc::new(move |extensions| peer(extensions).map(Into::into))), ..self }
    }

    /// The same with a function that says whether the connection is TLS, for a server that speaks TLS itself. `None`
    /// means that it is not known. Behind a trusted proxy, the proxy's word counts first.
    ///
    /// [`is_https`](session_core::Exchange::is_https) returns it. If it is `false` and the cookie is `Secure`, the log
    /// warns that logins do not stick: see
    /// [`EventKind::InsecureTransport`](session_core::EventKind::InsecureTransport). The scheme of the request line
    /// plays no part, because a proxy that ends TLS may go on in plain HTTP/2.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_tower::SessionLayer;
    ///
    /// /// The part that accepts connections puts this into the extensions of each
    /// /// request.
    /// #[derive(Clone)]
    /// struct Connection {
    ///     is_tls: bool,
    /// }
    ///
    /// # fn layers(manager: session_tower::SessionManager) -> [SessionLayer; 2] {
    /// let always = SessionLayer::new(manager.clone()).with_https(|_| Some(true));
    /// let sometimes = SessionLayer::new(manager)
    ///     .with_https(|extensions| extensions.get::<Connection>().map(|connection| connection.is_tls));
    /// # [always, sometimes]
    /// # }
    /// ```
    #[must_use]
    pub fn with_https(self, https: fn(&Extensions) -> Option<bool>) -> Self {
        Self { https, ..self }
    }

    /// The same without a new anonymous session for the requests that `refuses` picks, such as crawlers and health
    /// checks. Their sessions would fill the store, and nobody would ask for them again.
    ///
    /// A change that such a request makes is lost, with [`Outcome::Withheld`](session_core::Outcome::Withheld) in the
    /// response's extensions. `save` and `begin_login` return an error, which is a 403. A session that is already there
    /// goes on, and a login still makes one.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::header;
    /// use session_tower::SessionLayer;
    ///
    /// # fn layer(manager: session_tower::SessionManager) -> SessionLayer {
    /// SessionLayer::new(manager).without_anonymous_sessions(|request| {
    ///     let agent = request.headers.get(header::USER_AGENT);
    ///     request.uri.path() == "/health" || agent.is_some_and(|agent| agent.as_bytes().ends_with(b"bot"))
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn without_anonymous_sessions(self, refuses: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        Self { refuses: Some(Arc::new(refuses)), ..self }
    }

    /// The same under a marker type, for a second session with a second cookie. The site's is a
    /// [`Session`](crate::Session), the other a `Session<Admin>`. Each manager needs a cookie with a name of its own,
    /// or each request is answered 500. The same holds for a `TokenHeader`, if both have one. Each also needs a prefix or table
    /// of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "axum")]
    /// # mod example {
    /// use axum::{Router, routing::get};
    /// use session_tower::{Session, SessionLayer, SessionManager};
    ///
    /// struct Admin;
    ///
    /// async fn page(site: Session, admin: Session<Admin>) -> String {
    ///     format!("{:?} {:?}", site.owner(), admin.owner())
    /// }
    ///
    /// fn app(site: SessionManager, admin: SessionManager) -> Router {
    ///     Router::new()
    ///         .route("/", get(page))
    ///         .layer(SessionLayer::new(site))
    ///         .layer(SessionLayer::new(admin).named::<Admin>())
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn named<N: 'static>(self) -> SessionLayer<N> {
        let Self { managers, made_at, peer, https, refuses, users, .. } = self;
        SessionLayer { managers, made_at, peer, https, refuses, users, name: PhantomData }
    }
}

impl<K: 'static> SessionLayer<K> {
    /// Lets a request in, and returns the exchange to commit. `None` if a layer outside has opened one for the cookie
    /// and commits it.
    pub(crate) fn enter(&self, head: &mut Parts) -> Result<Option<Exchange<K>>, SessionError> {
        let layer = LayerName::new::<K>(self.made_at);
        let is_refused = self.refuses.as_ref().is_some_and(|refuses| refuses(head));
        let mut opened = head.extensions.remove::<Opened>().unwrap_or_default();
        let manager = opened.choose(&self.managers, || self.incoming(head, None))?;
        let entered = opened.enter(layer, manager, || self.incoming(head, manager.token_header()))?;
        let exchange = entered.exchange();
        if is_refused {
            exchange.refuse_anonymous();
        }
        if let Some(users) = &self.users {
            users.attach(exchange);
        }
        if let Some(note) = head.extensions.get::<AccessNote>() {
            note.fill(exchange, route(&head.extensions));
        }
        head.extensions.insert(Exchange::<K>::new(exchange.clone()));
        head.extensions.insert(opened);
        Ok(entered.to_commit().map(Exchange::new))
    }

    fn incoming(&self, head: &Parts, token_header: Option<&TokenHeader>) -> Incoming {
        let mut incoming = Incoming::from(head);
        let path = whole_uri(&head.extensions, &head.uri).path();
        if path != head.uri.path() {
            incoming = incoming.with_resource(head.method.as_str(), path);
        }
        if let Some(route) = route(&head.extensions) {
            incoming = incoming.with_route(route);
        }
        if let Some(peer) = self.peer.as_ref().and_then(|peer| peer(&head.extensions)) {
            incoming = incoming.with_peer(peer);
        }
        if let Some(header) = token_header {
            let values = head.headers.get_all(header.request_name());
            incoming = incoming.with_token_header(header, values.iter().map(HeaderValue::as_bytes));
        }
        if let Some(https) = (self.https)(&head.extensions) {
            incoming = incoming.with_https(https);
        }
        incoming
    }
}

/// The address of the request. That is the whole one, from before any `nest` of axum has cut it.
pub(crate) fn whole_uri<'a>(extensions: &'a Extensions, uri: &'a Uri) -> &'a Uri {
    #[cfg(feature = "axum")]
    let uri = extensions.get::<axum::extract::OriginalUri>().map_or(uri, |original| &original.0);
    #[cfg(not(feature = "axum"))]
    let _ = extensions;
    uri
}

/// The route that axum has matched. It is known if the layer is one of the router's, or is inside of one.
#[cfg(feature = "axum")]
pub(crate) fn route(extensions: &Extensions) -> Option<&str> {
    extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
pub(crate) fn route(_: &Extensions) -> Option<&str> {
    None
}

impl<K> Clone for SessionLayer<K> {
    fn clone(&self) -> Self {
        let Self { managers, made_at, peer, https, refuses, users, .. } = self;
        let (managers, peer, refuses, users) = (managers.clone(), peer.clone(), refuses.clone(), users.clone());
        Self { managers, made_at, peer, https: *https, refuses, users, name: PhantomData }
    }
}

impl<K> fmt::Debug for SessionLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("managers", &self.managers).finish_non_exhaustive()
    }
}
