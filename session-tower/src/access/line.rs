//! One line of the access log, from the request on until it is written.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, HeaderName, Method, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;

use super::{AccessEnd, AccessRecord, Seen, Settings, record::bounded};
use crate::layer::route;

/// A line that is written once: at the end, or when it is dropped.
pub(super) struct Line {
    record: AccessRecord,
    settings: Arc<Settings>,
    began: Instant,
    seen: Seen,
    is_head: bool,
    /// How many bytes the body has, if it is known.
    length: Option<u64>,
}

impl Line {
    /// Takes note of a request, and gives the session layer inside a place to tell what it knows.
    pub(super) fn begin(settings: Arc<Settings>, head: &mut Parts) -> Self {
        let seen = head.extensions.get_or_insert_default::<Seen>().clone();
        let (path, header) = (head.uri.path(), |name| header(&head.headers, name));
        let record = AccessRecord {
            time: SystemTime::now(),
            client: None,
            method: bounded(head.method.as_str()),
            route: route(&head.extensions).map(bounded),
            path: settings.has_paths.then(|| bounded(path)),
            version: version(head.version),
            status: None,
            size: 0,
            latency: Duration::ZERO,
            referrer: header(&header::REFERER).and_then(|address| referrer(&address, settings.has_paths)),
            agent: header(&header::USER_AGENT).filter(|_| settings.has_agent).map(|agent| bounded(&agent)),
            owner: None,
            session: None,
            end: AccessEnd::Unanswered,
        };
        Self { record, settings, began: Instant::now(), seen, is_head: head.method == Method::HEAD, length: None }
    }

    /// Takes note of the response.
    pub(super) fn answer<B: Body>(&mut self, response: &Response<B>) {
        self.identify();
        let status = response.status();
        // The server sends no body with these, and does not ask for it (RFC 9110, section 6.4.1).
        let has_no_body = self.is_head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || response.body().is_end_stream();
        let said = header(response.headers(), &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        self.length = said.or_else(|| response.body().size_hint().exact());
        self.record.status = Some(status.as_u16());
        self.record.end = if has_no_body { AccessEnd::Complete } else { AccessEnd::CutOff };
    }

    /// Takes note of a part of the body. After the last one the server may ask for no more.
    pub(super) fn sent(&mut self, size: usize, is_end: bool) {
        self.record.size += size as u64;
        if is_end || self.length.is_some_and(|length| self.record.size >= length) {
            self.record.end = AccessEnd::Complete;
        }
    }

    /// Writes the line.
    pub(super) fn end(mut self, end: AccessEnd) {
        self.record.end = end;
    }

    /// Asks the session layer for the user. This happens once there is a response, or once none will come. A body may
    /// last for hours, and the session is not kept in memory for it.
    fn identify(&mut self) {
        let seen = mem::take(&mut self.seen);
        let Some(seen) = seen.0.get() else { return };
        let (exchange, settings) = (&seen.exchange, &self.settings);
        let session = exchange.loaded();
        if settings.has_client {
            self.record.client = exchange.peer();
        }
        if settings.has_owner {
            // After a logout this is the user who has logged out.
            let owner = session.as_ref().and_then(|session| session.owner()).or_else(|| exchange.request_owner());
            self.record.owner = owner.map(|owner| bounded(&owner.to_string()));
        }
        if settings.has_session {
            self.record.session = session.and_then(|session| session.id()).or_else(|| exchange.presented_id());
        }
        if self.record.route.is_none() {
            self.record.route = seen.route.as_deref().map(bounded);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.record.status.is_none() {
            self.identify();
        }
        self.record.latency = self.began.elapsed();
        (self.settings.writer)(&self.record);
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)
    }
}

/// The text of a header, whatever bytes it has.
fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The referrer without its query, and without its path unless paths are wanted.
fn referrer(address: &str, has_path: bool) -> Option<String> {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let origin = address.split_once("://").map(|(scheme, rest)| {
        let host = rest.split('/').next().unwrap_or_default();
        &address[..scheme.len() + "://".len() + host.len()]
    });
    // Without a host it is a path, or nonsense, and may hold a secret just as well.
    if has_path { Some(bounded(address)) } else { origin.map(bounded) }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
