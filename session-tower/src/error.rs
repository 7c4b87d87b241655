//! What a handler answers when its session fails.

use std::{any::type_name, error::Error as StdError, fmt};

use http::{HeaderValue, Response, StatusCode, header};
use session_core::{
    Error, InvalidOwner, InvalidSessionId, UnexpectedOwner,
    adapter::{self, Kind, LayersError},
};

/// Why a handler has no session, or could not change it.
///
/// As a response it has the status of its cause and an empty body: what went wrong is nobody's business outside. The
/// cause lies as [`session_core::Error`] in the response's extensions, and failures of the server are logged.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use session_tower::{Error, SessionError};
///
/// let error = SessionError::from(Error::Superseded);
/// assert_eq!(error.status(), StatusCode::CONFLICT);
/// let response = error.answer::<String>();
/// assert_eq!(response.body(), "");
/// assert!(response.extensions().get::<Error>().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct SessionError(Reason);

#[derive(Clone, Debug)]
enum Reason {
    Session(Error),
    /// The name of the marker that was asked for.
    NoLayer(&'static str),
    Layers(LayersError),
    #[cfg(feature = "axum")]
    NotLoggedIn,
}

impl SessionError {
    /// The handler runs outside of the layer.
    pub(crate) fn no_layer<K>() -> Self {
        Self(Reason::NoLayer(type_name::<K>()))
    }

    /// The handler asked for an owner where there is none.
    #[cfg(feature = "axum")]
    pub(crate) fn not_logged_in() -> Self {
        Self(Reason::NotLoggedIn)
    }

    /// What the session said; nothing if it was not asked, for want of a layer or of a login, or because of two layers that
    /// exclude each other.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        match &self.0 {
            Reason::Session(error) => Some(error),
            _ => None,
        }
    }

    /// The status that the response has: see [`session_core::Error::status`]. 500 without the layer, or
    /// with two that exclude each other; 401 without a login.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.0 {
            Reason::Session(error) => error.status(),
            Reason::NoLayer(_) | Reason::Layers(_) => StatusCode::INTERNAL_SERVER_ERROR,
            #[cfg(feature = "axum")]
            Reason::NotLoggedIn => StatusCode::UNAUTHORIZED,
        }
    }

    /// The `error.type` in the log.
    fn name(&self) -> &'static str {
        match &self.0 {
            Reason::Session(error) => error.name(),
            Reason::NoLayer(_) => "no_layer",
            Reason::Layers(_) => "layers",
            #[cfg(feature = "axum")]
            Reason::NotLoggedIn => "not_logged_in",
        }
    }

    /// What the log counts as one. Where the program is wrong, it is wrong each time, and each place has its own count.
    fn kind(&self) -> Kind {
        let is_mistake = matches!(self.0, Reason::NoLayer(_) | Reason::Layers(_));
        Kind { error_type: self.name(), mistake: is_mistake.then(|| self.to_string()) }
    }

    /// The response: the status, an empty body, the cause in the extensions. Never to be stored by a cache. A 503 says in
    /// `Retry-After` when the client may try again.
    ///
    /// What went wrong on the server is told to `tracing`, under the target `session`: an `ERROR` with the `event.name`
    /// `session.request_failed`, the `error.type`, and the error with its sources as `exception.message`, on one line of at
    /// most 1024 bytes. Of each `error.type` there are ten lines a second. What is more is counted, and the next request or
    /// failure after that second brings a line `session.suppressed` with the number in `session.count`.
    #[must_use]
    pub fn answer<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.cause().and_then(Error::retry_after) {
            response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().into());
        }
        if self.status().is_server_error() {
            adapter::tell(self.kind(), &self);
        }
        if let Reason::Session(error) = self.0 {
            response.extensions_mut().insert(error);
        }
        response
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self(Reason::Session(error))
    }
}

impl From<LayersError> for SessionError {
    fn from(error: LayersError) -> Self {
        Self(Reason::Layers(error))
    }
}

impl From<InvalidOwner> for SessionError {
    fn from(error: InvalidOwner) -> Self {
        Error::from(error).into()
    }
}

impl From<InvalidSessionId> for SessionError {
    /// A 400: the id came from a form or a path.
    fn from(error: InvalidSessionId) -> Self {
        Error::from(error).into()
    }
}

impl From<UnexpectedOwner> for SessionError {
    fn from(error: UnexpectedOwner) -> Self {
        Error::from(error).into()
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Session(error) => error.fmt(f),
            Reason::NoLayer(marker) => {
                let (session, layer) = match *marker {
                    "()" => ("Session".to_owned(), "SessionLayer::new(manager)".to_owned()),
                    marker => (format!("Session<{marker}>"), format!("SessionLayer::new(manager).named::<{marker}>()")),
                };
                write!(
                    f,
                    "a handler asked for its {session}, but {layer} is not around it; routes that are added after \
                     .layer(...) are outside of the layer"
                )
            }
            Reason::Layers(error) => error.fmt(f),
            #[cfg(feature = "axum")]
            Reason::NotLoggedIn => f.write_str("nobody is logged in"),
        }
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause().and_then(StdError::source)
    }
}
