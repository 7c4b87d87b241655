//! The session and the exchange, each under its marker, as handlers and middleware hold them.

use std::{fmt, marker::PhantomData, ops::Deref};

use http::Extensions;

use crate::{SessionError, layer::route};

/// The session of a request. It derefs to [`session_core::Session`].
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

/// The exchange that the layer opened for a request. It derefs to [`session_core::Exchange`].
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
    pub(crate) fn of(extensions: &Extensions) -> Result<Self, SessionError> {
        let exchange = extensions.get::<Self>().cloned().ok_or_else(SessionError::no_layer::<K>)?;
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
