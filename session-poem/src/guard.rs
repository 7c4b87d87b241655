//! Guards: who may go on to the handlers of a route.

use std::time::Duration;

use http::uri::PathAndQuery;
use poem::{Endpoint, Middleware, Request};
use session_core::{
    LoginPage,
    adapter::{Guard, Navigation},
};

use crate::{Exchange, SessionError, future::pairs};

/// Lets users pass who are logged in. Others get a 401, or the page of
/// [`or_redirect_to`](SessionGuard::or_redirect_to).
///
/// Where the session layer has [users](crate::SessionLayer::with_users), a user whom they do not find is not logged in.
///
/// # Examples
///
/// ```
/// use poem::{Endpoint, EndpointExt, Route, get, handler};
/// use session_poem::{ConfigError, LoginPage, SessionLayer, login_required};
///
/// #[handler]
/// async fn account() -> &'static str {
///     "your account"
/// }
///
/// fn app(sessions: SessionLayer) -> Result<impl Endpoint, ConfigError> {
///     let page = LoginPage::new("/login")?;
///     let pages = Route::new().at("/account", get(account).with(login_required().or_redirect_to(page)));
///     Ok(pages.with(sessions)) // outside of the guard
/// }
/// ```
#[must_use]
pub fn login_required() -> SessionGuard {
    SessionGuard(Guard::login())
}

/// Lets users pass who have proven who they are within this time: see
/// [`Session::require_fresh`](session_core::Session::require_fresh). While somebody acts as another user, it is their own
/// proof. Others get a 401, or the page of [`or_redirect_to`](SessionGuard::or_redirect_to), where they type their password
/// again.
#[must_use]
pub fn require_fresh(max_age: Duration) -> SessionGuard {
    SessionGuard(Guard::fresh_proof(max_age))
}

/// Lets users pass whom this function admits, by the user as whom somebody [acts](session_core::Session::act_as), where they
/// do. Others get a 403. Without a login it is a 401, or the page of
/// [`or_redirect_to`](SessionGuard::or_redirect_to).
///
/// # Examples
///
/// ```
/// use session_poem::{SessionGuard, require};
///
/// struct User {
///     is_admin: bool,
/// }
///
/// fn admins() -> SessionGuard {
///     require(|user: &User| user.is_admin)
/// }
/// ```
#[must_use]
pub fn require<U: Send + Sync + 'static>(admits: impl Fn(&U) -> bool + Send + Sync + 'static) -> SessionGuard {
    SessionGuard(Guard::user(admits))
}

/// A middleware that lets some users pass to the handlers inside. It goes **inside** of
/// [`SessionLayer`](crate::SessionLayer), whose session it asks.
///
/// [`login_required`], [`require_fresh`] and [`require`] make one. A handler can ask by itself, too: with
/// [`CurrentUser`](crate::CurrentUser) and [`Session::require_fresh`](session_core::Session::require_fresh).
#[derive(Clone, Debug)]
pub struct SessionGuard(Guard);

impl SessionGuard {
    /// The same with this page in place of each 401 to a browser that opens a page: see [`LoginPage`].
    #[must_use]
    pub fn or_redirect_to(self, page: LoginPage) -> Self {
        Self(self.0.or_redirect_to(page))
    }

    async fn judge(&self, request: &Request) -> Result<(), SessionError> {
        let exchange = Exchange::<()>::of(request)?;
        // This is the whole path, from before any `nest` has cut it.
        let target = request.original_uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let navigation = || Navigation::of(request.method().as_str(), target, pairs(request.headers()));
        Ok(self.0.judge(&exchange, navigation).await?)
    }
}

impl<E: Endpoint> Middleware<E> for SessionGuard {
    type Output = SessionGuardEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        SessionGuardEndpoint { inner, guard: self.clone() }
    }
}

/// The endpoint that [`SessionGuard`] makes. A request that may not pass is its error, a [`SessionError`].
#[derive(Debug)]
pub struct SessionGuardEndpoint<E> {
    inner: E,
    guard: SessionGuard,
}

impl<E: Endpoint> Endpoint for SessionGuardEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> poem::Result<E::Output> {
        self.guard.judge(&request).await?;
        self.inner.call(request).await
    }
}
