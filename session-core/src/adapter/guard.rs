//! Who may go on to a handler, decided before it is called.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Failure, Navigation, users};
use crate::{Exchange, LoginPage};

/// Lets a request pass to the handlers inside, or answers it. An adapter makes a middleware of it.
///
/// # Examples
///
/// ```
/// use session_core::{Exchange, adapter::{Failure, Guard, Navigation}};
///
/// async fn enter(guard: &Guard, exchange: &Exchange, request: &http::Request<()>) -> Result<(), Failure> {
///     let headers = || request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
///     let navigation = || Navigation::of(request.method().as_str(), request.uri().path(), headers());
///     guard.judge(exchange, navigation).await
/// }
/// ```
#[derive(Clone)]
pub struct Guard {
    demand: Demand,
    page: Option<LoginPage>,
}

#[derive(Clone)]
enum Demand {
    Login,
    FreshProof(Duration),
    User(Arc<Admits>),
}

type Judging = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
type Admits = dyn Fn(Exchange) -> Judging + Send + Sync;

impl Guard {
    /// Lets users pass who are logged in, and answers 401 to others. Where the exchange has [`Users`](super::Users), a user
    /// whom they do not find is not logged in.
    #[must_use]
    pub fn login() -> Self {
        Self { demand: Demand::Login, page: None }
    }

    /// Lets users pass who have proven who they are within this time, and answers 401 to others: see
    /// [`Session::require_fresh`](crate::Session::require_fresh).
    #[must_use]
    pub fn fresh_proof(max_age: Duration) -> Self {
        Self { demand: Demand::FreshProof(max_age), page: None }
    }

    /// Lets users pass whom this function admits, and answers 403 to others, and 401 without a login. While somebody
    /// [acts](crate::Session::act_as) as another user, it judges the other one.
    #[must_use]
    pub fn user<U: Send + Sync + 'static>(admits: impl Fn(&U) -> bool + Send + Sync + 'static) -> Self {
        let admits = Arc::new(admits);
        let judge = move |exchange: Exchange| -> Judging {
            let admits = admits.clone();
            Box::pin(async move {
                match users::user::<U>(&exchange).await? {
                    None => Err(Failure::not_logged_in()),
                    Some(user) if admits(&user) => Ok(()),
                    Some(_) => Err(Failure::not_admitted()),
                }
            })
        };
        Self { demand: Demand::User(Arc::new(judge)), page: None }
    }

    /// The same with this page in place of each 401 to a browser that opens a page.
    #[must_use]
    pub fn or_redirect_to(self, page: LoginPage) -> Self {
        Self { page: Some(page), ..self }
    }

    /// Whether the request may pass.
    ///
    /// # Errors
    ///
    /// The failure is the answer: 401 or 303, 403, or a failure of the session.
    pub async fn judge(&self, exchange: &Exchange, navigation: impl FnOnce() -> Navigation) -> Result<(), Failure> {
        let judged = match &self.demand {
            Demand::Login if users::is_logged_in(exchange).await? => Ok(()),
            Demand::Login => Err(Failure::not_logged_in()),
            // Asked first: a user who is gone may have proven who they are just before.
            Demand::FreshProof(_) if !users::is_logged_in(exchange).await? => Err(Failure::not_logged_in()),
            Demand::FreshProof(max_age) => exchange.session().await?.require_fresh(*max_age).map_err(Failure::from),
            Demand::User(judge) => judge(exchange.clone()).await,
        };
        judged.map_err(|failure| match &self.page {
            Some(page) if !exchange.is_header_client() => failure.or_redirect_to(page, navigation),
            _ => failure,
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let demand = match &self.demand {
            Demand::Login => "login".to_owned(),
            Demand::FreshProof(max_age) => format!("a proof of the last {max_age:?}"),
            Demand::User(_) => "a user who is admitted".to_owned(),
        };
        f.debug_struct("Guard").field("demand", &demand).field("page", &self.page).finish()
    }
}
