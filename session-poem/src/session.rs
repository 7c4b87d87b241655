//! The session and the exchange, each under its marker, as handlers and middleware hold them.

use std::{
    fmt,
    marker::PhantomData,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use poem::{PathPattern, Request};

use crate::SessionError;

/// The session of a request. It derefs to [`session_core::Session`].
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

/// The exchange that the layer opened for a request. It derefs to [`session_core::Exchange`].
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
