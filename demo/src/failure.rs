//! Why a handler cannot answer, as a response.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use session_core::Error;
use session_tower::SessionError;

use crate::users::UsersError;

/// Why a handler cannot answer.
pub(crate) enum Failure {
    Session(SessionError),
    /// The note was written by another user than the one who is logged in now.
    AnothersNote,
    /// The JSON side has stored a value that the handler cannot use.
    WrongType,
    Users(UsersError),
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<session_core::Error> for Failure {
    fn from(error: session_core::Error) -> Self {
        if matches!(error, Error::Decode { .. }) { Self::WrongType } else { Self::Session(error.into()) }
    }
}

impl From<UsersError> for Failure {
    fn from(error: UsersError) -> Self {
        Self::Users(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::AnothersNote => (StatusCode::CONFLICT, "this is another user's note\n").into_response(),
            Self::WrongType => (StatusCode::CONFLICT, "the stored value is of another type\n").into_response(),
            Self::Users(UsersError::Unfit(why)) => (StatusCode::UNPROCESSABLE_ENTITY, why).into_response(),
            Self::Users(UsersError::Taken) => StatusCode::CONFLICT.into_response(),
            Self::Users(UsersError::Failed(error)) => {
                let error: &dyn std::error::Error = &*error;
                tracing::error!(error, "the users cannot be read");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
