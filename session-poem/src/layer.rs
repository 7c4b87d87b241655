//! The layer: what it is told, and how it opens an exchange.

use std::{fmt, marker::PhantomData, panic::Location, sync::Arc};

use http::uri::Scheme;
use poem::{Addr, Request};
use session_core::{
    Hosts, Incoming, Peer, SessionManager, TokenHeader,
    adapter::{self, AccessNote, LayerName, Managers, Opened, Users},
};

use crate::{Exchange, SessionError, future::pairs};

type FindPeer = dyn Fn(&Request) -> Option<Peer> + Send + Sync;
type Https = fn(&Request) -> Option<bool>;
type Refuses = dyn Fn(&Request) -> bool + Send + Sync;

/// Gives every request its session.
///
/// - It opens an exchange without asking the store: the session is loaded when a handler or a middleware asks for it.
/// - It commits **before the response head leaves**, whatever the status: a redirect never outruns its session.
/// - If the commit fails, the handler's response is not sent. In its place leaves one with the status of the error, an
///   empty body, and the [`session_core::Error`] in its extensions. Cookies leave all the same: that of a login that
///   succeeded, the removal of a logout, and those that anything inside has set.
/// - The error of a handler is committed, too. Its response is made here, committed, and given back as an error. If the
///   session adds nothing to it, the error passes untouched. Otherwise it becomes an error [from a
///   response](poem::Error::from_response), and its own type is not seen outside. So put `catch_error` inside of the
///   layer.
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
/// - A panic commits nothing, and ends the connection: put poem's `CatchPanic` inside this layer. Its 500 is then
///   committed like any other response.
/// - A layer inside another, with the same marker and a clone of its manager, opens nothing of its own. The session is
///   that of the layer outside, under the policy of the layer inside. So a part of the site gets a policy of its own
///   with `.with(SessionLayer::new(manager.clone().with_policy(stricter)))` on its `Route`. The policy holds for logins
///   made inside. A login made outside keeps its lifetime. The peer and the connection are those that the layer outside
///   was told of.
/// - If two layers have cookies of one name, but their markers, stores, keys or scopes differ, each request is answered
///   500, and the log names both layers.
/// - Events have the route that poem has matched, such as `/reset/:token`, as soon as a handler takes its session.
/// - The [`Exchange`] is in the extensions of the request, and afterwards of the response.
///
/// When a client hangs up, either all changes that wait for the commit are saved, or none. poem's own server lets the
/// handler go on to its end then.
///
/// # Examples
///
/// ```no_run
/// use poem::{EndpointExt, Route, Server, get, handler, listener::TcpListener, post};
/// use session_poem::{CurrentOwner, Keyring, Session, SessionError, SessionLayer, SessionManager, Store};
///
/// async fn serve(store: impl Store, keys: Keyring) -> std::io::Result<()> {
///     let manager = SessionManager::new(store, keys);
///     let app = Route::new()
///         .at("/account", get(account))
///         .at("/login", post(login))
///         .with(SessionLayer::new(manager));
///     Server::new(TcpListener::bind("127.0.0.1:8080")).run(app).await
/// }
///
/// #[handler]
/// async fn account(CurrentOwner(owner): CurrentOwner) -> String {
///     format!("the account of user {owner}")
/// }
///
/// #[handler]
/// async fn login(session: Session) -> Result<&'static str, SessionError> {
///     // ... once the password has been checked:
///     session.login(42).await?;
///     Ok("welcome")
/// }
/// ```
#[doc(alias("ServerSession", "CookieSession"))]
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
    /// use session_poem::{ConfigError, Hosts, SessionLayer, SessionManager};
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
            https: is_tls,
            refuses: None,
            users: None,
            name: PhantomData,
        }
    }
}

/// Whether the connection is TLS, as far as poem knows from its listener. A plain connection says nothing, because a
/// proxy may have ended TLS.
fn is_tls(request: &Request) -> Option<bool> {
    (*request.scheme() == Scheme::HTTPS).then_some(true)
}

fn peer_of(request: &Request) -> Option<Peer> {
    match &request.remote_addr().0 {
        Addr::SocketAddr(address) => Some((*address).into()),
        #[cfg(unix)]
        Addr::Unix(_) => Some(Peer::Unix),
        Addr::Custom(..) => None,
    }
}

impl<K> SessionLayer<K> {
    /// The same with a function that finds the peer, which is the other end of the connection. The peer's address goes
    /// into events, and by it the manager knows its trusted proxies. Without this function it is poem's
    /// [`remote_addr`](Request::remote_addr), also that of a Unix socket.
    ///
    /// # Examples
    ///
    /// For a listener of your own that tells the address in another way:
    ///
    /// ```
    /// use std::net::IpAddr;
    ///
    /// use session_poem::SessionLayer;
    ///
    /// # fn layer(manager: session_core::SessionManager) -> SessionLayer {
    /// SessionLayer::new(manager).with_peer(|request| request.data::<IpAddr>().copied())
    /// # }
    /// ```
    #[must_use]
    pub fn with_peer<P: Into<Peer>>(self, peer: impl Fn(&Request) -> Option<P> + Send + Sync + 'static) -> Self {
        Self { peer: Some(Arc::new(move |request| peer(request).map(Into::into))), ..self }
    }

    /// The same with a function that says whether the connection is TLS. `None` means that it is not known. Behind a
    /// trusted proxy, the proxy's word counts first. Without this function it is `Some(true)` behind a listener of poem
    /// that speaks TLS, and `None` behind others.
    ///
    /// [`is_https`](session_core::Exchange::is_https) returns it. If it is `false` and the cookie is `Secure`, the log
    /// warns that logins do not stick: see
    /// [`EventKind::InsecureTransport`](session_core::EventKind::InsecureTransport).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_poem::SessionLayer;
    ///
    /// # fn layer(manager: session_core::SessionManager) -> SessionLayer {
    /// // Every connection comes from a tunnel that ends TLS.
    /// SessionLayer::new(manager).with_https(|_| Some(true))
    /// # }
    /// ```
    #[must_use]
    pub fn with_https(self, https: fn(&Request) -> Option<bool>) -> Self {
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
    /// use session_poem::SessionLayer;
    ///
    /// # fn layer(manager: session_core::SessionManager) -> SessionLayer {
    /// SessionLayer::new(manager).without_anonymous_sessions(|request| {
    ///     let agent = request.headers().get("user-agent");
    ///     request.uri().path() == "/health" || agent.is_some_and(|agent| agent.as_bytes().ends_with(b"bot"))
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn without_anonymous_sessions(self, refuses: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
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
    /// use poem::{EndpointExt, Route, get, handler};
    /// use session_poem::{Session, SessionLayer, SessionManager};
    ///
    /// struct Admin;
    ///
    /// #[handler]
    /// async fn page(site: Session, admin: Session<Admin>) -> String {
    ///     format!("{:?} {:?}", site.owner(), admin.owner())
    /// }
    ///
    /// # fn mount(site: SessionManager, admin: SessionManager) {
    /// let app = Route::new()
    ///     .at("/", get(page))
    ///     .with(SessionLayer::new(site))
    ///     .with(SessionLayer::new(admin).named::<Admin>());
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
    pub(crate) fn enter(&self, request: &mut Request) -> Result<Option<Exchange<K>>, SessionError> {
        let layer = LayerName::new::<K>(self.made_at);
        let is_refused = self.refuses.as_ref().is_some_and(|refuses| refuses(request));
        let mut opened = request.extensions_mut().remove::<Opened>().unwrap_or_default();
        let manager = opened.choose(&self.managers, || self.incoming(request, None))?;
        let entered = opened.enter(layer, manager, || self.incoming(request, manager.token_header()))?;
        if is_refused {
            entered.exchange().refuse_anonymous();
        }
        if let Some(users) = &self.users {
            users.attach(entered.exchange());
        }
        if let Some(note) = request.data::<AccessNote>() {
            note.fill(entered.exchange(), None);
        }
        request.set_data(opened);
        // A joined exchange is already there, and the layer outside knows its failure.
        let Some(opened) = entered.to_commit() else { return Ok(None) };
        let exchange = Exchange::<K>::new(opened);
        request.set_data(exchange.clone());
        Ok(Some(exchange))
    }

    fn incoming(&self, request: &Request, token_header: Option<&TokenHeader>) -> Incoming {
        // This is the whole path, from before any `nest` has cut it.
        let target = request.original_uri();
        let mut incoming =
            adapter::incoming(token_header, request.method().as_str(), target.path(), pairs(request.headers()));
        if let Some(authority) = target.authority() {
            // If the target names a host, that one counts before `Host` (RFC 9112, section 3.2.2).
            incoming = incoming.with_host(authority.as_str());
        }
        let peer = match &self.peer {
            Some(peer) => peer(request),
            None => peer_of(request),
        };
        if let Some(peer) = peer {
            incoming = incoming.with_peer(peer);
        }
        if let Some(https) = (self.https)(request) {
            incoming = incoming.with_https(https);
        }
        incoming
    }
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
