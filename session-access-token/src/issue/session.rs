//! What a session gets by this crate: `access_token`.

use serde::Serialize;
use serde_json::{Map, Value};
use session_core::Session;

use crate::{AccessToken, AccessTokens, IssueError};

/// Gives a session its `access_token`. The sessions of the adapters have it, too.
///
/// It goes by the login that is saved. One that this request has made counts once [`Session::login`] has returned. After
/// the head of the response has left, in a stream or a spawned task, the store is asked first.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// use session_access_token::{AccessTokenExt, AccessTokens, IssueError};
/// use session_core::Session;
///
/// # async fn of_session(session: &Session, tokens: &AccessTokens) -> Result<(), IssueError> {
/// let token = session.access_token(tokens).await?;
/// let with_roles = session.access_token_with(tokens, &BTreeMap::from([("roles", ["editor"])])).await?;
/// # Ok(()) }
/// ```
pub trait AccessTokenExt: sealed::Sealed {
    /// A token of the user who is logged in. It lasts as long as [`AccessTokens::with_lifetime`] says, counted from when the
    /// store was asked about the session, and never longer than the session.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotLoggedIn`]; [`IssueError::Acting`] while the user acts as another one; [`IssueError::Session`] if the
    /// session has ended, belongs to a later login, or cannot be read; [`IssueError::TooSlow`], [`IssueError::Randomness`].
    fn access_token(&self, tokens: &AccessTokens) -> impl Future<Output = Result<AccessToken, IssueError>> + Send;

    /// The same with claims of the application, such as the user's roles. They are a struct or a map, which is serialized
    /// as a JSON object. Who has the token can read them.
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token). [`IssueError::Claims`] if they are no JSON object,
    /// [`IssueError::ReservedClaim`] if one has a name that is taken, [`IssueError::TooLong`].
    fn access_token_with<C: Serialize + Sync + ?Sized>(
        &self,
        tokens: &AccessTokens,
        claims: &C,
    ) -> impl Future<Output = Result<AccessToken, IssueError>> + Send;
}

impl AccessTokenExt for Session {
    async fn access_token(&self, tokens: &AccessTokens) -> Result<AccessToken, IssueError> {
        tokens.mint(self, Map::new()).await
    }

    async fn access_token_with<C: Serialize + Sync + ?Sized>(
        &self,
        tokens: &AccessTokens,
        claims: &C,
    ) -> Result<AccessToken, IssueError> {
        match serde_json::to_value(claims) {
            Ok(Value::Object(claims)) => tokens.mint(self, claims).await,
            Ok(_) => Err(IssueError::Claims(None)),
            Err(error) => Err(IssueError::Claims(Some(error.into()))),
        }
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for session_core::Session {}
}
