//! Extractors for poem 3.

use poem::{FromRequest, Request, RequestBody};
use session_core::Owner;

use crate::{Exchange, Session, SessionError};

impl<'a, K: 'static> FromRequest<'a> for Session<K> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let exchange = Exchange::<K>::of(request)?;
        Ok(Self::asked(&exchange).await.inspect_err(|error| exchange.must_fail(error))?)
    }
}

/// Who is logged in: an extractor that answers 401 where nobody is.
///
/// `Option<CurrentOwner>` goes on without a login. Where the store is down, or the session cannot be read, it is `None`, too,
/// because poem makes every error `None`; what the handler answers then is replaced by the error, unless it is an error itself. Of
/// the session of a [named](crate::SessionLayer::named) layer, ask [`owner`](session_core::Session::owner).
///
/// # Examples
///
/// ```
/// use poem::handler;
/// use session_poem::CurrentOwner;
///
/// #[handler]
/// async fn account(CurrentOwner(owner): CurrentOwner) -> String {
///     format!("the account of user {owner}")
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentOwner(pub Owner);

impl<'a> FromRequest<'a> for CurrentOwner {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let exchange = Exchange::<()>::of(request)?;
        let owner = async {
            let session = Session::asked(&exchange).await?;
            session.readable()?;
            Ok::<_, SessionError>(session.owner())
        };
        let owner = owner.await.inspect_err(|error| exchange.must_fail(error))?;
        Ok(owner.map(Self).ok_or_else(SessionError::not_logged_in)?)
    }
}
