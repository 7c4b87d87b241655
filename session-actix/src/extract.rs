//! Extractors for actix-web 4.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use session_core::Owner;

use crate::{Exchange, Session, SessionError};

pub(crate) type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, SessionError>>>>;

impl<K: 'static> FromRequest for Session<K> {
    type Error = SessionError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let exchange = Exchange::<K>::of(request);
        Box::pin(async move {
            let exchange = exchange?;
            Self::asked(&exchange).await.inspect_err(|error| exchange.must_fail(error))
        })
    }
}

/// The user who is logged in: an extractor that answers 401 where nobody is.
///
/// `Option<CurrentOwner>` goes on without a login. If the store is down or the session cannot be read, it is `None`,
/// too, because actix makes every error `None`. In that case the error replaces the handler's response, unless that is
/// an error itself. For a [named](crate::SessionLayer::named) layer, take its session and ask for the
/// [`owner`](session_core::Session::owner).
///
/// # Examples
///
/// ```
/// use session_actix::CurrentOwner;
///
/// async fn account(CurrentOwner(owner): CurrentOwner) -> String {
///     format!("the account of user {owner}")
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentOwner(pub Owner);

impl FromRequest for CurrentOwner {
    type Error = SessionError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let exchange = Exchange::<()>::of(request);
        Box::pin(async move {
            let exchange = exchange?;
            let owner = async {
                let session = Session::asked(&exchange).await?;
                session.readable()?;
                Ok::<_, SessionError>(session.owner())
            };
            let owner = owner.await.inspect_err(|error| exchange.must_fail(error))?;
            owner.map(Self).ok_or_else(SessionError::not_logged_in)
        })
    }
}
