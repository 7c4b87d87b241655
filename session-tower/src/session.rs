//! The session and the exchange, each under its marker, as handlers and middleware hold them.

use std::{fmt, marker::PhantomData, ops::Deref};

use http::Extensions;

use crate::{SessionError, layer::route};

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
/// `K` is the marker of the layer that it belongs to: see [`SessionLayer::named`](crate::SessionLayer::named). With the
/// feature `axum` it is an extractor, and so are
///
/// - `Option<Session>`: none where nothing is stored yet;
/// - `Result<Session, SessionError>`: for a handler that goes on while the store is down.
///
/// A websocket or stream keeps it after the response has left. There, [`update_now`](session_core::Session::update_now)
/// changes a value and returns the stored one. Before a `get`, call [`reload`](session_core::Session::reload).
///
/// # Examples
///
/// ```
/// use http::{Request, Response};
/// use session_tower::{Session, SessionError};
///
/// async fn handle(request: Request<()>) -> Result<Response<String>, SessionError> {
///     let session = Session::of(request.extensions()).await?;
///     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
///     Ok(Response::new(format!("visit {visits}")))
/// }
/// ```
#[doc(alias("get", "set", "insert", "remove", "login", "authenticate", "logout"))]
#[doc(alias("regenerate", "cycle_id", "flush", "destroy", "session_id"))]
pub struct Session<K = ()> {
    session: session_core::Session,
    layer: PhantomData<fn() -> K>,
}

impl Session {
    /// The session of the request with these extensions. The first call loads it; later calls return the same. It is
    /// for middleware, and for handlers under a framework without an extractor.
    ///
    /// # Errors
    ///
    /// [`session_core::Error::Store`] if the store fails. A 500 where no [`SessionLayer`](crate::SessionLayer) is around
    /// the handler.
    pub async fn of(extensions: &Extensions) -> Result<Self, SessionError> {
        Self::named(extensions).await
    }
}

impl<K: 'static> Session<K> {
    /// The session of the layer with this marker.
    ///
    /// # Errors
    ///
    /// Those of [`of`](Session::of).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_tower::{Session, SessionError};
    ///
    /// struct Admin;
    ///
    /// async fn is_admin(request: &http::Request<()>) -> Result<bool, SessionError> {
    ///     Ok(Session::<Admin>::named(request.extensions()).await?.owner().is_some())
    /// }
    /// ```
    pub async fn named(extensions: &Extensions) -> Result<Self, SessionError> {
        let exchange = Exchange::<K>::of(extensions)?;
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
/// use http::Response;
/// use session_tower::Exchange;
///
/// fn access_log(response: &Response<String>) -> String {
///     let session = response.extensions().get::<Exchange>().and_then(|exchange| exchange.loaded());
///     let owner = session.and_then(|session| session.owner());
///     format!("{} {owner:?}", response.status())
/// }
/// ```
pub struct Exchange<K = ()> {
    exchange: session_core::Exchange,
    layer: PhantomData<fn() -> K>,
}

impl<K> Exchange<K> {
    pub(crate) fn new(exchange: session_core::Exchange) -> Self {
        Self { exchange, layer: PhantomData }
    }
}

impl<K: 'static> Exchange<K> {
    pub(crate) fn of(extensions: &Extensions) -> Result<&Self, SessionError> {
        let exchange = extensions.get::<Self>().ok_or_else(SessionError::no_layer::<K>)?;
        if let Some(route) = route(extensions) {
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
        Self::new(self.exchange.clone())
    }
}

impl<K> fmt::Debug for Exchange<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exchange.fmt(f)
    }
}
