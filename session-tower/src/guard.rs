//! Guards: who may go on to the handlers of a route.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, uri::PathAndQuery};
use pin_project_lite::pin_project;
use session_core::{
    LoginPage,
    adapter::{Failure, Guard, Navigation},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Exchange, ResponseBody, SessionError, future::pairs, layer::whole_uri};

/// Lets users pass who are logged in. Others get a 401, or the page of
/// [`or_redirect_to`](SessionGuard::or_redirect_to).
///
/// Where the session layer has [users](crate::SessionLayer::with_users), a user whom they do not find is not logged in.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum")]
/// # mod example {
/// use axum::{Router, routing::get};
/// use session_tower::{ConfigError, LoginPage, SessionLayer, login_required};
///
/// fn app(sessions: SessionLayer) -> Result<Router, ConfigError> {
///     let page = LoginPage::new("/login")?;
///     Ok(Router::new()
///         .route("/account", get(|| async { "your account" }))
///         // For the routes above.
///         .route_layer(login_required().or_redirect_to(page))
///         .route("/login", get(|| async { "a form" }))
///         .layer(sessions)) // outside of the guard
/// }
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
/// use session_tower::{SessionGuard, require};
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

/// A layer that lets some users pass to the handlers inside. It goes **inside** of
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

    fn judge<A>(&self, request: &Request<A>) -> Result<Judging, SessionError> {
        let (guard, exchange) = (self.0.clone(), Exchange::<()>::of(request.extensions())?.clone());
        let target = whole_uri(request.extensions(), request.uri()).path_and_query().map_or("/", PathAndQuery::as_str);
        let navigation = Navigation::of(request.method().as_str(), target, pairs(request.headers()));
        Ok(Box::pin(async move { guard.judge(&exchange, || navigation).await }))
    }
}

impl<S> Layer<S> for SessionGuard {
    type Service = SessionGuardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionGuardService { inner, guard: self.clone() }
    }
}

/// The service that [`SessionGuard`] makes.
#[derive(Clone, Debug)]
pub struct SessionGuardService<S> {
    inner: S,
    guard: SessionGuard,
}

impl<S, A, B> Service<Request<A>> for SessionGuardService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = SessionGuardFuture<S, A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        // The one that is ready is called, and a clone of it is asked next.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let state = match self.guard.judge(&request) {
            Ok(judging) => State::Judging { judging, inside: Some((inner, request)) },
            Err(error) => State::Refused { error: Some(error) },
        };
        SessionGuardFuture { state }
    }
}

type Judging = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

pin_project! {
    /// The future of [`SessionGuardService`].
    pub struct SessionGuardFuture<S, A>
    where
        S: Service<Request<A>>,
    {
        #[pin]
        state: State<S, A, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, A, F> {
        Judging { judging: Judging, inside: Option<(S, Request<A>)> },
        Refused { error: Option<SessionError> },
        Handling { #[pin] handler: F },
    }
}

impl<S, A, B> Future for SessionGuardFuture<S, A>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Judging { judging, inside } => {
                    let judged = ready!(judging.as_mut().poll(context));
                    // `None` cannot be: like every future, this one is not polled again once it was ready.
                    let Some((mut inner, request)) = inside.take() else { return Poll::Pending };
                    match judged {
                        Ok(()) => state.set(State::Handling { handler: inner.call(request) }),
                        Err(failure) => state.set(State::Refused { error: Some(failure.into()) }),
                    }
                }
                StateProjection::Refused { error } => {
                    let Some(error) = error.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(error.answer()));
                }
                StateProjection::Handling { handler } => {
                    return Poll::Ready(Ok(ready!(handler.poll(context))?.map(ResponseBody::new)));
                }
            }
        }
    }
}

impl<S: Service<Request<A>>, A> fmt::Debug for SessionGuardFuture<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGuardFuture").finish_non_exhaustive()
    }
}
