//! The body of a response: the service's, or an empty one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response of [`SessionService`](crate::SessionService). It is that of the service inside, or an
    /// empty one in its place after an error of the session.
    ///
    /// It adds no allocation. So the service inside may have any body, those of tower-http's `TraceLayer` and
    /// `CompressionLayer` included.
    ///
    /// # Examples
    ///
    /// You need not name it, as long as the layers outside take any body:
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    ///
    /// use http::{Request, Response, StatusCode};
    /// use http_body_util::Full;
    /// use session_tower::SessionLayer;
    /// use tower::{ServiceBuilder, service_fn};
    /// use tower_http::{timeout::TimeoutLayer, trace::TraceLayer};
    ///
    /// async fn hello(_: Request<()>) -> Result<Response<Full<&'static [u8]>>, Infallible> {
    ///     Ok(Response::new(Full::from(&b"hello"[..])))
    /// }
    ///
    /// # fn service(sessions: SessionLayer) {
    /// let service = ServiceBuilder::new()
    ///     .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(10)))
    ///     .layer(sessions)
    ///     .layer(TraceLayer::new_for_http())
    ///     .service(service_fn(hello));
    /// # }
    /// ```
    #[derive(Clone, Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        handled: Option<B>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(handled: B) -> Self {
        Self { handled: Some(handled) }
    }

    /// The body of the service inside; `None` if an error of the session has taken its place.
    #[must_use]
    pub fn into_inner(self) -> Option<B> {
        self.handled
    }
}

/// The empty body. `TimeoutLayer` and `CorsLayer` of tower-http ask for one.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self { handled: None }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().handled.as_pin_mut() {
            Some(handled) => handled.poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.handled.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.handled.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}
