//! Extractors for axum 0.8.

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;
use session_core::Owner;

use crate::{Session, SessionError};

impl<S, K> FromRequestParts<S> for Session<K>
where
    S: Send + Sync,
    K: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, SessionError> {
        Self::named(&parts.extensions).await
    }
}

impl<S, K> OptionalFromRequestParts<S> for Session<K>
where
    S: Send + Sync,
    K: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, SessionError> {
        let session = Self::named(&parts.extensions).await?;
        // A session that cannot be read is there all the same: a handler can end it.
        Ok((session.id().is_some() || session.readable().is_err()).then_some(session))
    }
}

/// The user who is logged in: an extractor that answers 401 where nobody is.
///
/// `Option<CurrentOwner>` goes on without a login, but not while the store is down, nor where the session cannot be
/// read. For a [named](crate::SessionLayer::named) layer, take its session and ask for the
/// [`owner`](session_core::Session::owner).
///
/// # Examples
///
/// ```
/// use session_tower::CurrentOwner;
///
/// async fn account(CurrentOwner(owner): CurrentOwner) -> String {
///     format!("the account of user {owner}")
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentOwner(pub Owner);

impl<S: Send + Sync> FromRequestParts<S> for CurrentOwner {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, SessionError> {
        let session = Session::of(&parts.extensions).await?;
        session.readable()?;
        session.owner().map(Self).ok_or_else(SessionError::not_logged_in)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for CurrentOwner {
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, SessionError> {
        let session = Session::of(&parts.extensions).await?;
        session.readable()?;
        Ok(session.owner().map(Self))
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        self.answer::<Body>()
    }
}
