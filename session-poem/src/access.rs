//! A middleware that writes the access log: who did what, when, and how it ended.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use pin_project_lite::pin_project;
use poem::{Body, Endpoint, Middleware, PathPattern, Request, Response};
use session_core::adapter::{AccessEnd, AccessLine, AccessLog, AccessNote, AccessRecord};

use crate::future::pairs;

/// Writes one line for each request, when the body of its response has ended.
///
/// It goes **outside** of [`SessionLayer`](crate::SessionLayer), which in poem means: `.with` it later. From that layer it
/// learns the client's address, the owner and the session's id. If a middleware between the two refuses a request, its line
/// lacks them. Of several session layers, the outermost one counts.
///
/// `tracing` gets the line at the level `INFO`, under the target `session::access`. [`AccessLog`] has the table of its
/// fields. The route is the one that poem has matched.
///
/// An error inside would become a response only outside. Its response is made here, so put `catch_error` inside of this
/// layer.
///
/// For a log in a file or a format of its own, take [`with_writer`](Self::with_writer).
///
/// # Personal data
///
/// Address, agent, owner and session id tell of a person. Each can be left out: [`without_client`](Self::without_client),
/// [`without_agent`](Self::without_agent), [`without_owner`](Self::without_owner),
/// [`without_session`](Self::without_session).
///
/// Paths can hold secrets, such as the token in `/reset/:token`. So a line has the route that poem has matched. It has
/// the path only if [you want it](Self::with_paths).
///
/// # What a stranger can write into the log
///
/// Each text is cut to at most 512 bytes, with `…` at the end. Control characters, and those that turn the direction of
/// a line, are escaped as in Rust: `\n`, `\u{202e}`.
///
/// # Examples
///
/// ```
/// use poem::{EndpointExt, Route};
/// use session_poem::{AccessLogLayer, SessionLayer};
///
/// # fn mount(sessions: SessionLayer, routes: Route) {
/// let app = routes.with(sessions).with(AccessLogLayer::new().without_agent());
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
    /// use session_poem::AccessLogLayer;
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
    fn begin(&self, request: &mut Request) -> AccessLine {
        let note = request.extensions_mut().get_or_insert_default::<AccessNote>().clone();
        let (method, path) = (request.method().as_str(), request.original_uri().path());
        self.0.begin(note, method, path, request.version(), pairs(request.headers()))
    }
}

impl fmt::Debug for AccessLogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogLayer").finish_non_exhaustive()
    }
}

impl<E: Endpoint> Middleware<E> for AccessLogLayer {
    type Output = AccessLogEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        AccessLogEndpoint { inner, layer: self.clone() }
    }
}

/// The endpoint that [`AccessLogLayer`] makes.
#[derive(Debug)]
pub struct AccessLogEndpoint<E> {
    inner: E,
    layer: AccessLogLayer,
}

impl<E: Endpoint> Endpoint for AccessLogEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let mut line = self.layer.begin(&mut request);
        let mut response = self.inner.get_response(request).await;
        if let Some(PathPattern(route)) = response.data::<PathPattern>() {
            line.set_route(route);
        }
        let body = BoxBody::<Bytes, io::Error>::from(response.take_body());
        let size = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        line.answer(response.status(), pairs(response.headers()), size);
        response.set_body(Body::from(BoxBody::new(Watched { body, line: Some(line) })));
        Ok(response)
    }
}

pin_project! {
    /// The body of a response whose end is watched.
    struct Watched {
        #[pin]
        body: BoxBody<Bytes, io::Error>,
        // The line is written when it is dropped, at the latest.
        line: Option<AccessLine>,
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(line) = this.line {
                    line.sent(frame.data_ref().map_or(0, Bytes::len), this.body.is_end_stream());
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
