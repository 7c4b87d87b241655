//! The guard against forged requests.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
};

use actix_web::{
    Error, HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use session_core::{TrustedOrigins, adapter::Opened};

use crate::SessionError;

/// Refuses requests that a page of another origin sends in its visitor's name (*cross-site request forgery*). `SameSite`
/// keeps the session's cookie out of many of them, but not out of those of a sibling domain or of another port.
///
/// It stands inside of the [`SessionLayer`](crate::SessionLayer). Each exchange that a session layer has opened is asked
/// [`is_cross_origin`](session_core::Exchange::is_cross_origin), which says in full what passes:
///
/// - `GET`, `HEAD` and `OPTIONS` pass, except a `GET` that opens a websocket. So no `GET` may change anything.
/// - Every other request has to come from a page of the same origin, or from a trusted one. Browsers say so in
///   `Sec-Fetch-Site` and `Origin`. A client that sends neither is no browser, and passes.
/// - The request of a client that sends its token in a header passes, because its cookies are ignored. The header alone
///   is not enough: if another session layer counts the cookies, the request is refused.
///
/// The answer is an empty 403, which no cache keeps. The handler is not called.
///
/// It decides as the layer `csrf` of tower-http and as `http.CrossOriginProtection` of Go do. In addition it guards
/// websockets, knows header clients, and refuses a page that was fetched without TLS if the client speaks TLS.
///
/// # Examples
///
/// The answers of a payment service come from another site. So their route is outside of the guard.
///
/// ```
/// use actix_web::{App, web};
/// use session_actix::{CsrfLayer, Session, SessionError, SessionLayer, SessionManager};
///
/// async fn transfer(session: Session) -> Result<&'static str, SessionError> {
///     session.insert("transferred", &true)?;
///     Ok("done")
/// }
///
/// async fn paid() -> &'static str {
///     "thank you"
/// }
///
/// # fn mount(manager: SessionManager) {
/// let guarded = web::scope("/bank").route("/transfer", web::post().to(transfer)).wrap(CsrfLayer::new());
/// let app = App::new()
///     .service(guarded)
///     .route("/paid", web::post().to(paid))
///     .wrap(SessionLayer::new(manager));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CsrfLayer {
    trusted: TrustedOrigins,
}

impl CsrfLayer {
    /// A guard that trusts the site's own origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, trusting the pages of these origins, too.
    #[must_use]
    pub fn with_trusted_origins(self, trusted: TrustedOrigins) -> Self {
        Self { trusted }
    }

    fn judge(&self, request: &ServiceRequest) -> Result<(), SessionError> {
        let mut extensions = request.extensions_mut();
        let opened = extensions.get_mut::<Opened>().ok_or_else(SessionError::unguarded)?;
        Ok(opened.refuse_other_origins(&self.trusted)?)
    }
}

impl<S, B> Transform<S, ServiceRequest> for CsrfLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = CsrfService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(CsrfService { inner, layer: self.clone() }))
    }
}

/// The service that [`CsrfLayer`] makes.
pub struct CsrfService<S> {
    inner: S,
    layer: CsrfLayer,
}

impl<S: fmt::Debug> fmt::Debug for CsrfService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfService").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}

impl<S, B> Service<ServiceRequest> for CsrfService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if let Err(error) = self.layer.judge(&request) {
            let response = request.into_response(error.answer(&Default::default())).map_into_right_body();
            return Box::pin(ready(Ok(response)));
        }
        let handling = self.inner.call(request);
        Box::pin(async move { handling.await.map(ServiceResponse::map_into_left_body) })
    }
}
