//! A middleware that writes the access log: who did what, when, and how it ended.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BodySize, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::InternalError,
    http::Version,
    web::Bytes,
};
use pin_project_lite::pin_project;
use session_core::adapter::{AccessEnd, AccessLine, AccessLog, AccessNote, AccessRecord};

use crate::headers;

/// Writes one line for each request, when the body of its response has ended.
///
/// It goes **outside** of [`SessionLayer`](crate::SessionLayer), which in actix means: `.wrap` it later. From that layer it
/// learns the client's address, the owner and the session's id. If a middleware between the two refuses a request, its line
/// lacks them. Of several session layers, the outermost one counts.
///
/// `tracing` gets the line at the level `INFO`, under the target `session::access`. [`AccessLog`] has the table of its
/// fields. The route is the one that actix has matched.
///
/// The error of a middleware inside would become a response only outside. Its response is made here, and given back as an
/// [`InternalError`], so its own type is not seen outside.
///
/// For a log in a file or a format of its own, take [`with_writer`](Self::with_writer).
///
/// # Personal data
///
/// Address, agent, owner and session id tell of a person. Each can be left out: [`without_client`](Self::without_client),
/// [`without_agent`](Self::without_agent), [`without_owner`](Self::without_owner),
/// [`without_session`](Self::without_session).
///
/// Paths can hold secrets, such as the token in `/reset/{token}`. So a line has the route that actix has matched. It has
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
/// use actix_web::{App, web};
/// use session_actix::{AccessLogLayer, SessionLayer};
///
/// # fn mount(sessions: SessionLayer, home: actix_web::Route) {
/// let app = App::new().route("/", home).wrap(sessions).wrap(AccessLogLayer::new().without_agent());
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
    /// use session_actix::AccessLogLayer;
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
    fn begin(&self, request: &ServiceRequest) -> AccessLine {
        let note = request.extensions_mut().get_or_insert_with(AccessNote::default).clone();
        let told = headers::pairs(request.headers());
        self.0.begin(note, request.method().as_str(), request.path(), version(request.version()), told)
    }
}

fn version(version: Version) -> http::Version {
    match version {
        Version::HTTP_09 => http::Version::HTTP_09,
        Version::HTTP_10 => http::Version::HTTP_10,
        Version::HTTP_2 => http::Version::HTTP_2,
        Version::HTTP_3 => http::Version::HTTP_3,
        _ => http::Version::HTTP_11,
    }
}

impl fmt::Debug for AccessLogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogLayer").finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for AccessLogLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<AccessLogBody<B>>;
    type Error = Error;
    type Transform = AccessLogService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(AccessLogService { inner, layer: self.clone() }))
    }
}

/// The service that [`AccessLogLayer`] makes.
#[derive(Debug)]
pub struct AccessLogService<S> {
    inner: S,
    layer: AccessLogLayer,
}

impl<S, B> Service<ServiceRequest> for AccessLogService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<AccessLogBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let mut line = self.layer.begin(&request);
        let handling = self.inner.call(request);
        Box::pin(async move {
            match handling.await {
                Ok(response) => {
                    if let Some(route) = response.request().match_pattern() {
                        line.set_route(&route);
                    }
                    answer(&mut line, response.response());
                    Ok(response.map_body(|_, body| AccessLogBody { body, line: Some(line) }))
                }
                Err(error) => {
                    let response = error.error_response();
                    answer(&mut line, &response);
                    let response = response.map_body(|_, body| AccessLogBody { body, line: Some(line) }.boxed());
                    Err(InternalError::from_response(error, response).into())
                }
            }
        })
    }
}

/// Takes note of the response.
fn answer<B: MessageBody>(line: &mut AccessLine, response: &HttpResponse<B>) {
    let size = match response.body().size() {
        BodySize::None => Some(0),
        BodySize::Sized(size) => Some(size),
        BodySize::Stream => None,
    };
    // A status of actix' version of `http` is also one of the other.
    let status = http::StatusCode::from_u16(response.status().as_u16()).unwrap_or_default();
    line.answer(status, headers::pairs(response.headers()), size);
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

impl<B: MessageBody> MessageBody for AccessLogBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = self.project();
        let part = ready!(this.body.poll_next(context));
        match &part {
            Some(Ok(bytes)) => {
                if let Some(line) = this.line {
                    line.sent(bytes.len(), false);
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
        Poll::Ready(part)
    }
}
