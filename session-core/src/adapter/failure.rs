//! The answer to a request whose session fails.

use std::{any::type_name, error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    Navigation,
    log::{self, Kind},
    opened::LayersError,
};
use crate::{Error, InvalidOwner, InvalidSessionId, LoginPage, UnexpectedOwner, request::HostError};

/// Why a handler has no session, could not change it, or was not called. An adapter makes its own error type of this.
///
/// # Examples
///
/// ```
/// use session_core::{Error, adapter::Failure};
///
/// let handled = [("set-cookie", &b"theme=dark"[..]), ("content-length", b"7")];
/// let answer = Failure::from(Error::Contended).answer(handled);
/// assert_eq!(answer.status(), 503);
/// assert_eq!(answer.headers()["retry-after"], "1");
/// // The cookies of the handler leave all the same.
/// assert_eq!(answer.headers()["set-cookie"], "theme=dark");
/// assert!(!answer.headers().contains_key("content-length"));
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    reason: Reason,
    /// In which headers of the response layers inside send the tokens of clients without cookies.
    token_headers: Vec<HeaderName>,
    /// Where a browser is sent in place of a 401.
    location: Option<Box<HeaderValue>>,
}

#[derive(Clone, Debug)]
enum Reason {
    Session(Error),
    NoLayer {
        /// The name of the marker that was asked for.
        marker: &'static str,
        /// The advice where routes have to be added.
        advice: &'static str,
    },
    Layers(Box<LayersError>),
    NotLoggedIn,
    /// The user may not go on.
    NotAdmitted,
    /// The application's users could not be asked.
    Users(Arc<dyn StdError + Send + Sync>),
    NoUsers {
        /// The name of the type that was asked for.
        user: &'static str,
    },
    CrossOrigin,
    Host(HostError),
}

impl Failure {
    /// A handler asked for the session with the marker `K`, but no such layer is around it. The advice is the end of
    /// the sentence in the log, such as `routes that are added after .layer(...) are outside of the layer`.
    ///
    /// The sentence calls the layer `SessionLayer`, and one with a marker `SessionLayer::new(manager).named::<K>()`. Give yours
    /// the same names, so that what users read of one framework helps them in another.
    #[must_use]
    pub fn no_layer<K>(advice: &'static str) -> Self {
        Reason::NoLayer { marker: type_name::<K>(), advice }.into()
    }

    /// A handler asked for an owner, but nobody is logged in.
    #[must_use]
    pub fn not_logged_in() -> Self {
        Reason::NotLoggedIn.into()
    }

    /// A guard does not let the user pass.
    pub(super) fn not_admitted() -> Self {
        Reason::NotAdmitted.into()
    }

    pub(super) fn users(error: Box<dyn StdError + Send + Sync>) -> Self {
        Reason::Users(error.into()).into()
    }

    pub(super) fn no_users(user: &'static str) -> Self {
        Reason::NoUsers { user }.into()
    }

    /// The same with this page in place of a 401, if a browser opens a page.
    pub(super) fn or_redirect_to(self, page: &LoginPage, navigation: impl FnOnce() -> Navigation) -> Self {
        if self.status() != StatusCode::UNAUTHORIZED {
            return self;
        }
        let location = page.location(&navigation()).and_then(|location| HeaderValue::try_from(location).ok());
        Self { location: location.map(Box::new), ..self }
    }

    pub(super) fn cross_origin() -> Self {
        Reason::CrossOrigin.into()
    }

    pub(super) fn layers(error: LayersError) -> Self {
        Reason::Layers(Box::new(error)).into()
    }

    pub(super) fn with_token_headers(self, token_headers: Vec<HeaderName>) -> Self {
        Self { token_headers, ..self }
    }

    /// The error of the session. `None` if no session was asked: because there is no layer, because nobody is logged
    /// in, because two layers exclude each other, because a page of another origin has sent the request, or because its
    /// host is not listed.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        match &self.reason {
            Reason::Session(error) => Some(error),
            _ => None,
        }
    }

    /// The status of the answer: see [`Error::status`]. The others are:
    ///
    /// - 500 without the layer, or with two layers that exclude each other. Also where the layer has no users of the type that
    ///   was asked for, or they cannot be asked.
    /// - 401 without a login, or with a proof that is too old. Where a [`LoginPage`] takes the place of that, it is 303.
    /// - 403 for a user whom a guard refuses, and for a page of another origin.
    /// - 421 if the host of the request is not listed, and 400 if the request names none, or two.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.reason {
            _ if self.location.is_some() => StatusCode::SEE_OTHER,
            Reason::Session(error) => error.status(),
            Reason::NoLayer { .. } | Reason::Layers(_) | Reason::Users(_) | Reason::NoUsers { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Reason::NotLoggedIn => StatusCode::UNAUTHORIZED,
            Reason::NotAdmitted => StatusCode::FORBIDDEN,
            Reason::CrossOrigin => StatusCode::FORBIDDEN,
            Reason::Host(HostError::Unreadable) => StatusCode::BAD_REQUEST,
            Reason::Host(HostError::Unlisted) => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    /// The answer: the status, no body, and the [`Error`] in the extensions. No cache stores it. A 503 says in
    /// `Retry-After` when the client may try again. If the user's proof is too old, `WWW-Authenticate` says how old it may be.
    ///
    /// `handled` are the headers of the response whose place it takes, in any case of letters; `[]` if there is none.
    /// Their `Set-Cookie` and `Vary` go along, because the cookie of a login that succeeded must not be lost. So does a token
    /// that a layer inside sends in its [`TokenHeader`](crate::TokenHeader).
    ///
    /// A failure of the server goes to `tracing`, under the target `session`. It is an `ERROR` with the `event.name`
    /// `session.request_failed`, the `error.type`, and the error with its sources as `exception.message`, on one line
    /// of at most 1024 bytes. Of each `error.type` there are at most ten lines a second. Further ones are counted, and
    /// the next request or failure after that second brings a line `session.suppressed` with the number in
    /// `session.count`.
    #[must_use]
    pub fn answer<'a>(&self, handled: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(location) = &self.location {
            headers.insert(header::LOCATION, HeaderValue::clone(location));
        } else if let Reason::Session(Error::StaleProof { max_age }) = self.reason
            && let Ok(challenge) = HeaderValue::try_from(challenge(max_age))
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.cause().and_then(Error::retry_after) {
            headers.insert(header::RETRY_AFTER, after.as_secs().into());
        }
        for (name, value) in handled {
            for kept in [header::SET_COOKIE, header::VARY].iter().chain(&self.token_headers) {
                if let (true, Ok(value)) = (name.eq_ignore_ascii_case(kept.as_str()), HeaderValue::from_bytes(value)) {
                    headers.append(kept, value);
                }
            }
        }
        if self.status().is_server_error() {
            log::tell(self.kind(), self);
        }
        if let Reason::Session(error) = &self.reason {
            response.extensions_mut().insert(error.clone());
        }
        response
    }

    /// The `error.type` in the log.
    fn name(&self) -> &'static str {
        match &self.reason {
            Reason::Session(error) => error.name(),
            Reason::NoLayer { .. } => "no_layer",
            Reason::Layers(_) => "layers",
            Reason::NotLoggedIn => "not_logged_in",
            Reason::NotAdmitted => "not_admitted",
            Reason::Users(_) => "users",
            Reason::NoUsers { .. } => "no_users",
            Reason::CrossOrigin => "cross_origin",
            Reason::Host(HostError::Unreadable) => "host_unreadable",
            Reason::Host(HostError::Unlisted) => "host_unlisted",
        }
    }

    /// The kind under which the log counts this failure. A mistake in the program comes back with each request, so each
    /// place of a mistake has a count of its own.
    fn kind(&self) -> Kind {
        let is_mistake = matches!(self.reason, Reason::NoLayer { .. } | Reason::Layers(_) | Reason::NoUsers { .. });
        Kind { error_type: self.name(), mistake: is_mistake.then(|| self.to_string()) }
    }
}

/// The challenge of RFC 9470, section 3: the client is known, and must authenticate again. Programs read it; a browser shows
/// nothing for this scheme.
fn challenge(max_age: Duration) -> String {
    format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{}\"", max_age.as_secs())
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, token_headers: Vec::new(), location: None }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Reason::Host(error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotLoggedIn => Reason::NotLoggedIn,
            error => Reason::Session(error),
        }
        .into()
    }
}

impl From<InvalidOwner> for Failure {
    fn from(error: InvalidOwner) -> Self {
        Error::from(error).into()
    }
}

impl From<InvalidSessionId> for Failure {
    /// A 400: the id came from a form or a path.
    fn from(error: InvalidSessionId) -> Self {
        Error::from(error).into()
    }
}

impl From<UnexpectedOwner> for Failure {
    fn from(error: UnexpectedOwner) -> Self {
        Error::from(error).into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Session(error) => error.fmt(f),
            Reason::NoLayer { marker, advice } => {
                let (session, layer) = match *marker {
                    "()" => ("Session".to_owned(), "SessionLayer::new(manager)".to_owned()),
                    marker => (format!("Session<{marker}>"), format!("SessionLayer::new(manager).named::<{marker}>()")),
                };
                write!(f, "a handler asked for its {session}, but {layer} is not around it; {advice}")
            }
            Reason::Layers(error) => error.fmt(f),
            Reason::NotLoggedIn => f.write_str("nobody is logged in"),
            Reason::NotAdmitted => f.write_str("the user may not go on"),
            Reason::Users(_) => f.write_str("the user could not be found out"),
            Reason::NoUsers { user } => {
                write!(
                    f,
                    "a handler asked for its CurrentUser<{user}>, but no SessionLayer around it .with_users(...) finds one"
                )
            }
            Reason::CrossOrigin => f.write_str("a page of another origin has sent the request"),
            Reason::Host(error) => error.fmt(f),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            Reason::Session(error) => error.source(),
            Reason::Users(error) => Some(&**error),
            _ => None,
        }
    }
}
