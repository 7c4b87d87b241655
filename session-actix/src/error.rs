//! The error that a handler returns when its session fails.

use std::{error::Error as StdError, fmt};

use actix_web::{HttpResponse, ResponseError, http::header::HeaderMap};
use http::StatusCode;
use session_core::{Error, adapter::Failure};

use crate::headers;

/// Why a handler has no session, or could not change it.
///
/// As a response it has the status of its cause and an empty body, because the cause is nobody's business outside. The
/// cause is in the response's extensions as [`session_core::Error`], and failures of the server are logged.
///
/// # Examples
///
/// ```
/// use actix_web::ResponseError;
/// use session_actix::{Error, SessionError};
///
/// let error = SessionError::from(Error::Superseded);
/// assert_eq!(error.status(), http::StatusCode::CONFLICT);
/// let response = error.error_response();
/// assert_eq!(response.status().as_u16(), 409);
/// assert!(response.extensions().get::<Error>().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct SessionError(Failure);

impl SessionError {
    /// The handler runs outside of the layer.
    pub(crate) fn no_layer<K>() -> Self {
        Self(Failure::no_layer::<K>(
            "only what is inside of the App, Scope or Resource that .wrap(...) is called on has it",
        ))
    }

    /// The guard against forged requests stands outside of the layer.
    pub(crate) fn unguarded() -> Self {
        Self(Failure::no_layer::<()>("a CsrfLayer has to be inside of it"))
    }

    /// The handler asked for an owner where there is none.
    pub(crate) fn not_logged_in() -> Self {
        Self(Failure::not_logged_in())
    }

    /// The error of the session. `None` if no session was asked: because there is no layer, because nobody is logged
    /// in, because two layers exclude each other, or because a page of another origin has sent the request.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause()
    }

    /// The status of the response: see [`session_core::Error::status`]. It is 500 without the layer, or with two layers
    /// that exclude each other, 401 without a login, and 403 for a page of another origin.
    /// [`status_code`](ResponseError::status_code) returns it in actix' own type.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The response that takes the place of one with these headers.
    pub(crate) fn answer(&self, handled: &HeaderMap) -> HttpResponse {
        let answer = self.0.answer(headers::pairs(handled));
        let mut response = HttpResponse::new(headers::status(answer.status()));
        for (name, value) in answer.headers() {
            headers::append(response.headers_mut(), name, value);
        }
        if let Some(error) = self.cause() {
            response.extensions_mut().insert(error.clone());
        }
        response
    }
}

/// The response: the status, an empty body, and the cause in the extensions. No cache stores it. A 503 says in
/// `Retry-After` when the client may try again.
///
/// A failure of the server goes to `tracing`, under the target `session`. It is an `ERROR` with the `event.name`
/// `session.request_failed`, the `error.type`, and the error with its sources as `exception.message`, on one line of at
/// most 1024 bytes. Of each `error.type` there are at most ten lines a second. Further ones are counted, and the next
/// request or failure after that second brings a line `session.suppressed` with the number in `session.count`.
impl ResponseError for SessionError {
    fn status_code(&self) -> actix_web::http::StatusCode {
        headers::status(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(&HeaderMap::new())
    }
}

/// From an [`Error`], and from an [`InvalidOwner`](session_core::InvalidOwner), an
/// [`InvalidSessionId`](session_core::InvalidSessionId) or an [`UnexpectedOwner`](session_core::UnexpectedOwner). The first
/// two of these three are a 400, because the text came from a form or a path.
impl<E: Into<Failure>> From<E> for SessionError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
