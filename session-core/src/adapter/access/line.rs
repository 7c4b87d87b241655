//! One line of the access log, from the request on until it is written.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderName, StatusCode, Version, header};

use super::{AccessEnd, AccessNote, AccessRecord, Settings, record::bounded};

/// A line of an access log, from the request on. It is written once: at the end, or when it is dropped.
///
/// A line that is dropped before there was an [answer](Self::answer) says that there was none.
///
/// # Examples
///
/// See [`AccessLog`](super::AccessLog).
pub struct AccessLine {
    record: AccessRecord,
    settings: Arc<Settings>,
    began: Instant,
    note: AccessNote,
    is_head: bool,
    /// How many bytes the body has, if it is known.
    length: Option<u64>,
}

impl AccessLine {
    pub(super) fn begin<'a>(
        settings: Arc<Settings>,
        note: AccessNote,
        [method, path]: [&str; 2],
        version: Version,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let [referrer, agent] = texts(headers, &[header::REFERER, header::USER_AGENT]);
        let record = AccessRecord {
            time: SystemTime::now(),
            client: None,
            method: bounded(method),
            route: None,
            path: settings.has_paths.then(|| bounded(path)),
            version: name(version),
            status: None,
            size: 0,
            latency: Duration::ZERO,
            referrer: referrer.and_then(|address| origin_or_page(&address, settings.has_paths)),
            agent: agent.filter(|_| settings.has_agent).map(|agent| bounded(&agent)),
            owner: None,
            acting_as: None,
            session: None,
            end: AccessEnd::Unanswered,
        };
        Self { record, settings, began: Instant::now(), note, is_head: method == "HEAD", length: None }
    }

    /// Takes note of the route that the request has matched. The first one stands.
    pub fn set_route(&mut self, route: &str) {
        self.record.route.get_or_insert_with(|| bounded(route));
    }

    /// Takes note of the response. `size` is the size of its body in bytes, if it is known before the body is sent: 0
    /// for none.
    pub fn answer<'a>(
        &mut self,
        status: StatusCode,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        size: Option<u64>,
    ) {
        self.identify();
        // The server sends no body with these, and does not ask for it (RFC 9110, section 6.4.1).
        let has_no_body = self.is_head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || size == Some(0);
        let [said] = texts(headers, &[header::CONTENT_LENGTH]);
        self.length = said.and_then(|length| length.parse().ok()).or(size);
        self.record.status = Some(status.as_u16());
        self.record.end = if has_no_body { AccessEnd::Complete } else { AccessEnd::CutOff };
    }

    /// Takes note of a part of the body, which has this many bytes. After the last one the server may ask for no more.
    pub fn sent(&mut self, size: usize, is_last: bool) {
        self.record.size += size as u64;
        if is_last || self.length.is_some_and(|length| self.record.size >= length) {
            self.record.end = AccessEnd::Complete;
        }
    }

    /// Writes the line.
    pub fn end(mut self, end: AccessEnd) {
        self.record.end = end;
    }

    /// Asks the session layer for the user. This happens once there is a response, or once none will come. A body may
    /// last for hours, and the session is not kept in memory for it.
    fn identify(&mut self) {
        let note = mem::take(&mut self.note);
        let Some(noted) = note.0.get() else { return };
        let (exchange, settings) = (&noted.exchange, &self.settings);
        let session = exchange.loaded();
        if settings.has_client {
            self.record.client = exchange.peer();
        }
        if settings.has_owner {
            let now = session.as_ref().and_then(|session| Some((session.owner()?, session.acting_as())));
            // After a logout this is the user who has logged out.
            let before = || Some((exchange.request_owner()?, exchange.request_acting_as()));
            if let Some((owner, acting_as)) = now.or_else(before) {
                self.record.owner = Some(bounded(&owner.to_string()));
                self.record.acting_as = acting_as.map(|owner| bounded(&owner.to_string()));
            }
        }
        if settings.has_session {
            self.record.session = session.and_then(|session| session.id()).or_else(|| exchange.presented_id());
        }
        if let Some(route) = &noted.route {
            self.record.route.get_or_insert_with(|| bounded(route));
        }
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        if self.record.status.is_none() {
            self.identify();
        }
        self.record.latency = self.began.elapsed();
        (self.settings.writer)(&self.record);
    }
}

impl fmt::Debug for AccessLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)
    }
}

/// The texts of these headers, whatever bytes they have. Of several lines of a name the first counts.
fn texts<'a, const N: usize>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    names: &[HeaderName; N],
) -> [Option<String>; N] {
    let mut texts = [const { None }; N];
    for (name, value) in headers {
        let wanted = names.iter().zip(&mut texts).find(|(wanted, _)| name.eq_ignore_ascii_case(wanted.as_str()));
        if let Some((_, text @ None)) = wanted {
            *text = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    texts
}

/// The referrer without its query, and without its path unless paths are wanted.
fn origin_or_page(address: &str, has_path: bool) -> Option<String> {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let origin = address.split_once("://").map(|(scheme, rest)| {
        let host = rest.split('/').next().unwrap_or_default();
        &address[..scheme.len() + "://".len() + host.len()]
    });
    // Without a host it is a path, or nonsense, and may hold a secret just as well.
    if has_path { Some(bounded(address)) } else { origin.map(bounded) }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
