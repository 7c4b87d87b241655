//! A layer that writes the access log: who did what, when, and how it ended.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, Request, Response, request::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use session_core::adapter::{AccessEnd, AccessLine, AccessLog, AccessNote, AccessRecord};
use tower_layer::Layer;
use tower_service::Service;

use crate::layer::{route, whole_uri};

/// Writes one line for each request, when the body of its response has ended.
///
/// It goes **outside** of [`SessionLayer`](crate::SessionLayer), from which it learns the client's address, the owner
/// and the session's id. If a layer between the two refuses a request, its line lacks them. Of several session layers,
/// the outermost one counts.
///
/// `tracing` gets the line at the level `INFO`, under the target `session::access`. [`AccessLog`] has the table of its
/// fields. The route is known if the router is axum's, and this layer or the session layer is one of the router's.
///
/// For a log in a file or a format of its own, take [`with_writer`](Self::with_writer).
///
/// # Personal data
///
/// Address, agent, owner and session id tell of a person. Each can be left out: [`without_client`](Self::without_client),
/// [`without_agent`](Self::without_agent), [`without_owner`](Self::without_owner),
/// [`without_session`](Self::without_session).
///
/// Paths can hold secrets, such as the token in `/reset/{token}`. So a line has the route that axum has matched, if it
/// is known. It has the path only if [you want it](Self::with_paths).
///
/// # What a stranger can write into the log
///
/// Each text is cut to at most 512 bytes, with `…` at the end. Control characters, and those that turn the direction of
/// a line, are escaped as in Rust: `\n`, `\u{202e}`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum")]
/// # mod example {
/// use axum::Router;
/// use session_tower::{AccessLogLayer, SessionLayer};
///
/// fn app(routes: Router, sessions: SessionLayer) -> Router {
///     routes.layer(sessions).layer(AccessLogLayer::new().without_agent())
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct AccessLogLayer(AccessLog);

impl AccessLogLayer {
    /// A layer that tells `tracing` of each request, without paths.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, writing to this function in place of `tracing`. It must not block: hand the line to a thread that writes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_tower::AccessLogLayer;
    ///
    /// let (lines, written) = std::sync::mpsc::channel();
    /// let layer = AccessLogLayer::new().with_writer(move |record| {
    ///     // An error means that the thread has ended, and nobody writes any more.
    ///     let _ = lines.send(record.to_string());
    /// });
    /// std::thread::spawn(move || written.iter().for_each(|line| println!("{line}")));
    /// ```
    #[must_use]
    pub fn with_writer(self, writer: impl Fn(&AccessRecord) + Send + Sync + 'static) -> Self {
        Self(self.0.with_writer(writer))
    }

    /// The same with the path of each request and that of its referrer, both without their query. Take it only where no
    /// path holds a secret.
    #[must_use]
    pub fn with_paths(self) -> Self {
        Self(self.0.with_paths())
    }

    /// The same without the client's address.
    #[must_use]
    pub fn without_client(self) -> Self {
        Self(self.0.without_client())
    }

    /// The same without the `User-Agent`.
    #[must_use]
    pub fn without_agent(self) -> Self {
        Self(self.0.without_agent())
    }

    /// The same without the owner of the session.
    #[must_use]
    pub fn without_owner(self) -> Self {
        Self(self.0.without_owner())
    }

    /// The same without the id of the session.
    #[must_use]
    pub fn without_session(self) -> Self {
        Self(self.0.without_session())
    }

    /// Begins the line of a request, and gives the session layer inside a place to tell what it knows.
    fn begin(&self, head: &mut Parts) -> AccessLine {
        let note = head.extensions.get_or_insert_default::<AccessNote>().clone();
        let path = whole_uri(&head.extensions, &head.uri).path();
        let mut line = self.0.begin(note, head.method.as_str(), path, head.version, pairs(&head.headers));
        if let Some(route) = route(&head.extensions) {
            line.set_route(route);
        }
        line
    }
}

impl fmt::Debug for AccessLogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLogService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessLogService { inner, layer: self.clone() }
    }
}

/// The service that [`AccessLogLayer`] makes.
#[derive(Clone, Debug)]
pub struct AccessLogService<S> {
    inner: S,
    layer: AccessLogLayer,
}

impl<S, A, B> Service<Request<A>> for AccessLogService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<AccessLogBody<B>>;
    type Error = S::Error;
    type Future = AccessLogFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let line = self.layer.begin(&mut head);
        AccessLogFuture { handler: self.inner.call(Request::from_parts(head, body)), line: Some(line) }
    }
}

pin_project! {
    /// The future of [`AccessLogService`].
    #[derive(Debug)]
    pub struct AccessLogFuture<F> {
        #[pin]
        handler: F,
        line: Option<AccessLine>,
    }
}

impl<F, B, E> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<AccessLogBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.handler.poll(context));
        let mut line = this.line.take();
        Poll::Ready(match answered {
            Ok(response) => {
                if let Some(line) = &mut line {
                    answer(line, &response);
                }
                Ok(response.map(|body| AccessLogBody { body, line }))
            }
            Err(error) => {
                if let Some(line) = line {
                    line.end(AccessEnd::Failed);
                }
                Err(error)
            }
        })
    }
}

pin_project! {
    /// The body of a response of [`AccessLogService`]: that of the service inside, whose end is watched.
    #[derive(Debug)]
    pub struct AccessLogBody<B> {
        #[pin]
        body: B,
        // The line is written when it is dropped, at the latest.
        line: Option<AccessLine>,
    }
}

impl<B: Body> Body for AccessLogBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(line) = this.line {
                    let size = frame.data_ref().map_or(0, Buf::remaining);
                    line.sent(size, this.body.is_end_stream());
                }
            }
            Some(Err(_)) => {
                if let Some(line) = this.line.take() {
                    line.end(AccessEnd::Failed);
                }
            }
            None => {
                if let Some(line) = this.line.take() {
                    line.end(AccessEnd::Complete);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Takes note of the response.
fn answer<B: Body>(line: &mut AccessLine, response: &Response<B>) {
    let size = if response.body().is_end_stream() { Some(0) } else { response.body().size_hint().exact() };
    line.answer(response.status(), pairs(response.headers()), size);
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}
