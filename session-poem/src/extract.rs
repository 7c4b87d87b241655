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

/// The user who is logged in: an extractor that answers 401 where nobody is.
///
/// `Option<CurrentOwner>` goes on without a login. If the store is down or the session cannot be read, it is `None`,
/// too, because poem makes every error `None`. In that case the error replaces the handler's response, unless that is
/// an error itself. For a [named](crate::SessionLayer::named) layer, take its session and ask for the
/// [`owner`](session_core::Session::owner).
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
