//! Guards: who may go on to the handlers of a route.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use session_core::{
    LoginPage,
    adapter::{Guard, Navigation},
};

use crate::{Exchange, SessionError, headers};

/// Lets users pass who are logged in. Others get a 401, or the page of
/// [`or_redirect_to`](SessionGuard::or_redirect_to).
///
/// Where the session layer has [users](crate::SessionLayer::with_users), a user whom they do not find is not logged in.
///
/// # Examples
///
/// ```
/// use actix_web::web;
/// use session_actix::{ConfigError, LoginPage, login_required};
///
/// fn pages(config: &mut web::ServiceConfig, page: LoginPage) {
///     let account = web::get().to(async || "your account");
///     config
///         .service(web::resource("/account").wrap(login_required().or_redirect_to(page)).route(account))
///         .route("/login", web::get().to(async || "a form"));
/// }
///
/// # fn made() -> Result<(), ConfigError> {
/// let page = LoginPage::new("/login")?;
/// # let _ = page;
/// # Ok(())
/// # }
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
/// use session_actix::{SessionGuard, require};
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

    async fn judge(&self, request: &ServiceRequest) -> Result<(), SessionError> {
        let exchange = Exchange::<()>::of(request.request())?;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let navigation = || Navigation::of(request.method().as_str(), target, headers::pairs(request.headers()));
        Ok(self.0.judge(&exchange, navigation).await?)
    }
}

impl<S, B> Transform<S, ServiceRequest> for SessionGuard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = SessionGuardService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionGuardService { inner: Rc::new(inner), guard: self.clone() }))
    }
}

/// The service that [`SessionGuard`] makes.
#[derive(Debug)]
pub struct SessionGuardService<S> {
    inner: Rc<S>,
    guard: SessionGuard,
}

impl<S, B> Service<ServiceRequest> for SessionGuardService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, guard) = (self.inner.clone(), self.guard.clone());
        Box::pin(async move {
            match guard.judge(&request).await {
                Ok(()) => inner.call(request).await.map(ServiceResponse::map_into_left_body),
                Err(error) => Ok(request.into_response(error.answer(&Default::default())).map_into_right_body()),
            }
        })
    }
}
