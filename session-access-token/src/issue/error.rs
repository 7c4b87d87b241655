//! Why no token is minted.

use std::error::Error as StdError;

use http::StatusCode;

/// Why no token is minted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Nobody is logged in in this session.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// The user who is logged in [acts](session_core::Session::act_as) as another one. A token would have to be of one of them:
    /// what the other service does is then either done by a user who did not do it, or a right that nobody meant to give.
    #[error("the user acts as another one")]
    Acting,
    /// The session has ended, belongs to a later login, or could not be read.
    #[error("the session gives no access token")]
    Session(#[source] session_core::Error),
    /// The store took longer to confirm the session than a token lasts.
    #[error("the store took longer to answer than an access token lasts")]
    TooSlow,
    /// A claim of the application has the name of one of this crate's, such as `exp` or `sub`.
    #[error("an access token has a claim `{claim}` of its own")]
    ReservedClaim {
        /// Its name.
        claim: &'static str,
    },
    /// The claims of the application are no JSON object.
    #[error("the claims are no JSON object")]
    Claims(#[source] Option<Box<dyn StdError + Send + Sync>>),
    /// With the claims of the application the token would be longer than [`MAX_LENGTH`](crate::MAX_LENGTH).
    #[error("the access token would have {length} bytes")]
    TooLong {
        /// How many bytes it would have.
        length: usize,
    },
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
}

impl IssueError {
    /// The HTTP status to answer: 401 without a login, 403 while a user acts as another one, that of the session's error, such
    /// as 409 where a later login has overtaken the request, 503 for what may work later, 500 for the rest.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            // A session that has just ended is to its client as if it had ended a moment earlier.
            Self::NotLoggedIn | Self::Session(session_core::Error::Gone) => StatusCode::UNAUTHORIZED,
            Self::Acting => StatusCode::FORBIDDEN,
            Self::Session(error) => error.status(),
            Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            Self::ReservedClaim { .. } | Self::Claims(_) | Self::TooLong { .. } | Self::Randomness => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl From<session_core::Error> for IssueError {
    fn from(error: session_core::Error) -> Self {
        Self::Session(error)
    }
}
