//! The session and the exchange, each under its marker, as handlers and middleware hold them.

use std::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use poem::{PathPattern, Request};

use crate::SessionError;

/// The session of a request: its values, and who is logged in.
///
/// It derefs to [`session_core::Session`], so it has the methods of that:
///
/// | to | call |
/// | --- | --- |
/// | read a value | [`get`](session_core::Session::get), [`contains`](session_core::Session::contains), [`keys`](session_core::Session::keys) |
/// | set a value | [`insert`](session_core::Session::insert) |
/// | change a value, so that no update is lost | [`update`](session_core::Session::update) |
/// | take a value out, for one caller only: a flash message, a code | [`take`](session_core::Session::take) |
/// | remove a value, or all | [`remove`](session_core::Session::remove), [`clear`](session_core::Session::clear) |
/// | log in, at once or over several requests | [`login`](session_core::Session::login), [`begin_login`](session_core::Session::begin_login) |
/// | log out | [`logout`](session_core::Session::logout) |
/// | give the session a fresh token, as `regenerate` and `cycle_id` do elsewhere | [`renew`](session_core::Session::renew) |
/// | know who is logged in | [`owner`](session_core::Session::owner), [`current_login`](session_core::Session::current_login) |
/// | ask for a proof again: a password, a code | [`require_fresh`](session_core::Session::require_fresh), [`proved`](session_core::Session::proved), [`proved_age`](session_core::Session::proved_age) |
/// | list the user's devices, end one, log out everywhere | [`devices`](session_core::Session::devices), [`end`](session_core::Session::end), [`revoke_others`](session_core::Session::revoke_others) |
/// | act as another user | [`act_as`](session_core::Session::act_as), [`stop_acting`](session_core::Session::stop_acting), [`acting_as`](session_core::Session::acting_as) |
/// | know the name of the session, its age and the time left | [`id`](session_core::Session::id), [`is_new`](session_core::Session::is_new), [`age`](session_core::Session::age), [`expires_in`](session_core::Session::expires_in), [`ends_in`](session_core::Session::ends_in), [`idle_timeout`](session_core::Session::idle_timeout) |
/// | work in a websocket or a stream | [`update_now`](session_core::Session::update_now), [`save`](session_core::Session::save), [`reload`](session_core::Session::reload) |
/// | poll without keeping the user logged in | [`skip_touch`](session_core::Session::skip_touch) |
/// | know whether the stored session can be read | [`readable`](session_core::Session::readable) |
///
/// Values that are inserted, updated or removed are kept in memory and saved before the response head leaves, merged into
/// what other requests have saved. What acts at once is `async`.
///
/// `K` is the marker of the layer that it belongs to: see [`SessionLayer::named`](crate::SessionLayer::named). It is an
/// extractor.
///
/// In an `Option` poem makes `None` of every error of an extractor. So an `Option<Session>` is `Some` even if nothing
/// is stored yet: ask for its [`id`](session_core::Session::id). If the store is down, the 503 replaces the handler's
/// response, unless that is an error itself. So an outage never looks like a visitor without a session. A handler that
/// goes on while the store is down takes the `&Request`, and calls [`Session::of`].
///
/// A websocket or stream keeps it after the response has left. There, [`update_now`](session_core::Session::update_now)
/// changes a value and returns the stored one. Before a `get`, call [`reload`](session_core::Session::reload).
///
/// # Examples
///
/// ```
/// use poem::handler;
/// use session_poem::{Session, SessionError};
///
/// #[handler]
/// async fn visit(session: Session) -> Result<String, SessionError> {
///     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
///     Ok(format!("visit {visits}"))
/// }
/// ```
#[doc(alias("get", "set", "insert", "remove", "login", "authenticate", "logout"))]
#[doc(alias("regenerate", "cycle_id", "flush", "destroy", "session_id"))]
pub struct Session<K = ()> {
    session: session_core::Session,
    layer: PhantomData<fn() -> K>,
}

impl Session {
    /// The session of this request. The first call loads it; later calls return the same. It is for middleware, and for
    /// a handler that goes on while the store is down.
    ///
    /// # Errors
    ///
    /// [`session_core::Error::Store`] if the store fails. A 500 where no [`SessionLayer`](crate::SessionLayer) is around
    /// the handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use poem::{Request, handler};
    /// use session_poem::Session;
    ///
    /// #[handler]
    /// async fn page(request: &Request) -> String {
    ///     match Session::of(request).await {
    ///         Ok(session) => format!("hello, your session is {:?}", session.id()),
    ///         Err(_) => "hello".to_owned(),
    ///     }
    /// }
    /// ```
    pub async fn of(request: &Request) -> Result<Self, SessionError> {
        Self::named(request).await
    }
}

impl<K: 'static> Session<K> {
    /// The session of the layer with this marker.
    ///
    /// # Errors
    ///
    /// Those of [`of`](Session::of).
    pub async fn named(request: &Request) -> Result<Self, SessionError> {
        Self::asked(&Exchange::of(request)?).await
    }

    pub(crate) async fn asked(exchange: &Exchange<K>) -> Result<Self, SessionError> {
        Ok(Self { session: exchange.session().await?, layer: PhantomData })
    }
}

impl<K> Deref for Session<K> {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.session
    }
}

impl<K> Clone for Session<K> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), layer: PhantomData }
    }
}

impl<K> fmt::Debug for Session<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

/// The exchange that the layer opened for a request: the request with its response. It derefs to
/// [`session_core::Exchange`], so it has the methods of that.
///
/// **Why two types of one name?** The core's is the exchange itself, for who writes an adapter. This one adds the marker of
/// its layer, by which an extractor finds the right one of two. In an application take this one. A function that takes a
/// `&session_core::Exchange` takes it, too. With [`Session`] it is the same.
///
/// | to know | call |
/// | --- | --- |
/// | the session, if somebody asked for it; no I/O | [`loaded`](session_core::Exchange::loaded) |
/// | whose session the request's token was good for | [`request_owner`](session_core::Exchange::request_owner) |
/// | whether a page of another origin has sent the request | [`is_cross_origin`](session_core::Exchange::is_cross_origin) |
/// | the client's address, and whether it speaks TLS | [`peer`](session_core::Exchange::peer), [`is_https`](session_core::Exchange::is_https) |
/// | the host, of a list of hosts | [`listed_host`](session_core::Exchange::listed_host) |
///
/// The layer puts it into the extensions of the request and of the response, and commits it. So all that is left to do
/// is to ask it, for example for the user.
///
/// # Examples
///
/// ```
/// use poem::Response;
/// use session_poem::Exchange;
///
/// fn access_log(response: &Response) -> String {
///     let session = response.data::<Exchange>().and_then(|exchange| exchange.loaded());
///     let owner = session.and_then(|session| session.owner());
///     format!("{} {owner:?}", response.status())
/// }
/// ```
pub struct Exchange<K = ()> {
    exchange: session_core::Exchange,
    /// The error of an extractor, which poem may have thrown away.
    failed: Arc<OnceLock<SessionError>>,
    layer: PhantomData<fn() -> K>,
}

impl<K> Exchange<K> {
    pub(crate) fn new(exchange: session_core::Exchange) -> Self {
        Self { exchange, failed: Arc::default(), layer: PhantomData }
    }

    /// Lets the request fail with this error, even if the handler never hears of it.
    pub(crate) fn must_fail(&self, error: &SessionError) {
        // The first error stands, because both are of the same outage.
        let _ = self.failed.set(error.clone());
    }

    /// The error with which the request must fail.
    pub(crate) fn failed(&self) -> Option<&SessionError> {
        self.failed.get()
    }
}

impl<K: 'static> Exchange<K> {
    pub(crate) fn of(request: &Request) -> Result<Self, SessionError> {
        let exchange = request.data::<Self>().cloned().ok_or_else(SessionError::no_layer::<K>)?;
        if let Some(PathPattern(route)) = request.data() {
            exchange.set_route(route);
        }
        Ok(exchange)
    }
}

impl<K> Deref for Exchange<K> {
    type Target = session_core::Exchange;

    fn deref(&self) -> &session_core::Exchange {
        &self.exchange
    }
}

impl<K> Clone for Exchange<K> {
    fn clone(&self) -> Self {
        Self { exchange: self.exchange.clone(), failed: self.failed.clone(), layer: PhantomData }
    }
}

impl<K> fmt::Debug for Exchange<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exchange.fmt(f)
    }
}
