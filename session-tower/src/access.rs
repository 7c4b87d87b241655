//! A layer that writes the access log: who did what, when, and how it ended.

mod line;
mod record;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{Extensions, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use self::line::Line;
pub use self::record::{AccessEnd, AccessRecord};

type Writer = dyn Fn(&AccessRecord) + Send + Sync;

/// Writes one line for each request, when the body of its response has ended.
///
/// It goes **outside** of [`SessionLayer`](crate::SessionLayer), from which it learns the client's address, the owner
/// and the session's id. If a layer between the two refuses a request, its line lacks them. Of several session layers,
/// the outermost one counts.
///
/// `tracing` gets the line at the level `INFO`, under the target `session::access`. The fields have the names of
/// OpenTelemetry's semantic conventions, where these have one. Fields that are not known are left out.
///
/// | field | what |
/// | --- | --- |
/// | `client.address` | [`client`](AccessRecord::client) |
/// | `http.request.method` | [`method`](AccessRecord::method); `_OTHER` for one that HTTP does not define, which is then `http.request.method_original` |
/// | `http.route` | [`route`](AccessRecord::route) |
/// | `url.path` | [`path`](AccessRecord::path), if [paths](Self::with_paths) are wanted |
/// | `network.protocol.version` | [`version`](AccessRecord::version) |
/// | `http.response.status_code` | [`status`](AccessRecord::status) |
/// | `http.response.body.size` | [`size`](AccessRecord::size), in bytes |
/// | `http.server.request.duration` | [`latency`](AccessRecord::latency), in seconds |
/// | `http.request.header.referer` | [`referrer`](AccessRecord::referrer) |
/// | `user_agent.original` | [`agent`](AccessRecord::agent) |
/// | `user.id` | [`owner`](AccessRecord::owner) |
/// | `session.id` | [`session`](AccessRecord::session), which is no secret |
/// | `session.access.end` | [`end`](AccessRecord::end): `complete`, `cut_off`, `failed` or `unanswered` |
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
#[derive(Clone)]
pub struct AccessLogLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    writer: Arc<Writer>,
    has_paths: bool,
    has_client: bool,
    has_agent: bool,
    has_owner: bool,
    has_session: bool,
}

impl AccessLogLayer {
    /// A layer that tells `tracing` of each request, without paths.
    #[must_use]
    pub fn new() -> Self {
        Self {
            settings: Arc::new(Settings {
                writer: Arc::new(AccessRecord::trace),
                has_paths: false,
                has_client: true,
                has_agent: true,
                has_owner: true,
                has_session: true,
            }),
        }
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
        self.with(|settings| settings.writer = Arc::new(writer))
    }

    /// The same with the path of each request and that of its referrer, both without their query. Take it only where no
    /// path holds a secret.
    #[must_use]
    pub fn with_paths(self) -> Self {
        self.with(|settings| settings.has_paths = true)
    }

    /// The same without the client's address.
    #[must_use]
    pub fn without_client(self) -> Self {
        self.with(|settings| settings.has_client = false)
    }

    /// The same without the `User-Agent`.
    #[must_use]
    pub fn without_agent(self) -> Self {
        self.with(|settings| settings.has_agent = false)
    }

    /// The same without the owner of the session.
    #[must_use]
    pub fn without_owner(self) -> Self {
        self.with(|settings| settings.has_owner = false)
    }

    /// The same without the id of the session.
    #[must_use]
    pub fn without_session(self) -> Self {
        self.with(|settings| settings.has_session = false)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl Default for AccessLogLayer {
    fn default() -> Self {
        Self::new()
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
        let line = Line::begin(self.layer.settings.clone(), &mut head);
        AccessLogFuture { handler: self.inner.call(Request::from_parts(head, body)), line: Some(line) }
    }
}

pin_project! {
    /// The future of [`AccessLogService`].
    #[derive(Debug)]
    pub struct AccessLogFuture<F> {
        #[pin]
        handler: F,
        line: Option<Line>,
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
                    line.answer(&response);
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
        line: Option<Line>,
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

/// The exchange and the route, told by the session layer inside. The access log puts this into the extensions of the
/// request, empty at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<OnceLock<SeenExchange>>);

#[derive(Debug)]
struct SeenExchange {
    exchange: session_core::Exchange,
    route: Option<String>,
}

impl Seen {
    /// Tells the layer outside, if there is one.
    pub(crate) fn note(extensions: &Extensions, exchange: &session_core::Exchange, route: Option<&str>) {
        if let Some(Self(seen)) = extensions.get() {
            // The outermost session layer comes first, and its exchange stays.
            let _ = seen.set(SeenExchange { exchange: exchange.clone(), route: route.map(str::to_owned) });
        }
    }
}
