//! The access log: who did what, when, and how it ended.

mod line;
mod record;
mod time;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::Version;

pub use self::{
    line::AccessLine,
    record::{AccessEnd, AccessRecord},
};
use crate::Exchange;

type Writer = dyn Fn(&AccessRecord) + Send + Sync;

/// What an access log writes, and where to. An adapter makes its `AccessLogLayer` of it.
///
/// It [begins](Self::begin) a line for each request, which is written when the body of the response has ended.
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
/// | `session.acting_as` | [`acting_as`](AccessRecord::acting_as) |
/// | `session.id` | [`session`](AccessRecord::session), which is no secret |
/// | `session.access.end` | [`end`](AccessRecord::end): `complete`, `cut_off`, `failed` or `unanswered` |
///
/// # Personal data
///
/// Address, agent, owner and session id tell of a person. Each can be left out: [`without_client`](Self::without_client),
/// [`without_agent`](Self::without_agent), [`without_owner`](Self::without_owner),
/// [`without_session`](Self::without_session).
///
/// Paths can hold secrets, such as the token in `/reset/{token}`. So a line has the route that the framework has
/// matched, if it is known. It has the path only if [you want it](Self::with_paths).
///
/// # What a stranger can write into the log
///
/// Each text is cut to at most 512 bytes, with `…` at the end. Control characters, and those that turn the direction of
/// a line, are escaped as in Rust: `\n`, `\u{202e}`.
///
/// # Examples
///
/// The middleware of an adapter:
///
/// ```
/// use http::{Request, Response};
/// use session_core::adapter::{AccessLog, AccessNote};
///
/// async fn logged(log: &AccessLog, mut request: Request<()>, next: impl AsyncFn(Request<()>) -> Response<String>) -> Response<String> {
///     let note = request.extensions_mut().get_or_insert_default::<AccessNote>().clone();
///     let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
///     let mut line = log.begin(note, request.method().as_str(), request.uri().path(), request.version(), headers);
///     let response = next(request).await;
///     let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
///     line.answer(response.status(), headers, Some(response.body().len() as u64));
///     // A framework whose bodies are sent in parts keeps the line in the body,
///     // and tells it of each part.
///     line.sent(response.body().len(), true);
///     response // the line is written when it is dropped
/// }
/// ```
#[derive(Clone)]
pub struct AccessLog {
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

impl AccessLog {
    /// A log that tells `tracing` of each request, without paths.
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

    /// The same, writing to this function in place of `tracing`. It must not block: hand the line to a thread that
    /// writes.
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

    /// The same without the owner of the session, and without whom they act as.
    #[must_use]
    pub fn without_owner(self) -> Self {
        self.with(|settings| settings.has_owner = false)
    }

    /// The same without the id of the session.
    #[must_use]
    pub fn without_session(self) -> Self {
        self.with(|settings| settings.has_session = false)
    }

    /// Begins the line of a request. `note` is in the extensions of the request, where the session layer inside finds
    /// it. If one is already there, because this log stands inside another, take that one. Give the path without its query. The
    /// headers may have any case of letters.
    #[must_use]
    pub fn begin<'a>(
        &self,
        note: AccessNote,
        method: &str,
        path: &str,
        version: Version,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> AccessLine {
        AccessLine::begin(self.settings.clone(), note, [method, path], version, headers)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

/// What a session layer tells the access log around it. The access log puts it into the extensions of the request,
/// empty at first.
///
/// # Examples
///
/// In the layer of an adapter, once it has its exchange:
///
/// ```
/// use session_core::{Exchange, adapter::AccessNote};
///
/// fn tell<B>(request: &http::Request<B>, exchange: &Exchange) {
///     if let Some(note) = request.extensions().get::<AccessNote>() {
///         note.fill(exchange, None);
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessNote(Arc<OnceLock<Noted>>);

#[derive(Debug)]
struct Noted {
    exchange: Exchange,
    route: Option<String>,
}

impl AccessNote {
    /// Tells the log of the exchange, and of the route if it is known here. The outermost session layer comes first, and
    /// what it has told stays.
    pub fn fill(&self, exchange: &Exchange, route: Option<&str>) {
        let _ = self.0.set(Noted { exchange: exchange.clone(), route: route.map(str::to_owned) });
    }
}
