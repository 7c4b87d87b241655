//! The guard against forged requests.

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};
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
/// websockets, knows header clients, and refuses a page that was fetched without TLS if the client speaks TLS. poem's own
/// `Csrf` is of another kind: it puts a token into each form.
///
/// # Examples
///
/// The answers of a payment service come from another site. So their route is outside of the guard.
///
/// ```
/// use poem::{EndpointExt, Route, handler, post};
/// use session_poem::{CsrfLayer, Session, SessionError, SessionLayer, SessionManager};
///
/// #[handler]
/// async fn transfer(session: Session) -> Result<&'static str, SessionError> {
///     session.insert("transferred", &true)?;
///     Ok("done")
/// }
///
/// #[handler]
/// async fn paid() -> &'static str {
///     "thank you"
/// }
///
/// # fn mount(manager: SessionManager) {
/// let app = Route::new()
///     .nest("/bank", Route::new().at("/transfer", post(transfer)).with(CsrfLayer::new()))
///     .at("/paid", post(paid))
///     .with(SessionLayer::new(manager));
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
}

impl<E: Endpoint> Middleware<E> for CsrfLayer {
    type Output = CsrfEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        CsrfEndpoint { inner, layer: self.clone() }
    }
}

/// The endpoint that [`CsrfLayer`] makes.
#[derive(Debug)]
pub struct CsrfEndpoint<E> {
    inner: E,
    layer: CsrfLayer,
}

impl<E: Endpoint> Endpoint for CsrfEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let opened = request.extensions_mut().get_mut::<Opened>().ok_or_else(SessionError::unguarded)?;
        opened.refuse_other_origins(&self.layer.trusted).map_err(SessionError::from)?;
        self.inner.call(request).await.map(IntoResponse::into_response)
    }
}
