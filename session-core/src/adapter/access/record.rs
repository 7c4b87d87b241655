//! The record of a request in the access log, and how it is written.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use super::time::Utc;
use crate::{SessionId, fit_for_log};

/// How many bytes a text has at most.
const LONGEST: usize = 512;

/// The methods that HTTP defines (RFC 9110, section 9.3, and RFC 5789).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The record of a request in the access log.
///
/// Its texts are bounded and escaped, as [`AccessLog`](super::AccessLog) says. `Display` writes one line, with the
/// fields that are named there, and `time` in front.
///
/// # Examples
///
/// ```
/// use session_core::adapter::{AccessEnd, AccessRecord};
///
/// /// The requests that someone should look at.
/// fn is_odd(record: &AccessRecord) -> bool {
///     record.status.is_some_and(|status| status >= 500) || record.end == AccessEnd::Failed
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessRecord {
    /// When the request came, on this machine's clock.
    pub time: SystemTime,
    /// The client's address, as the session layer [knows it](crate::Exchange::peer).
    pub client: Option<IpAddr>,
    /// The method.
    pub method: String,
    /// The route that the request has matched, such as `/reset/{token}`, if the framework tells it. A request that
    /// matches no route has none.
    pub route: Option<String>,
    /// The path without its query, if [paths](super::AccessLog::with_paths) are wanted.
    pub path: Option<String>,
    /// The version of HTTP: `1.1`, `2`.
    pub version: &'static str,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// How many bytes of the body were handed to the server. Whether they arrived is not known.
    pub size: u64,
    /// From the request to the end of the body.
    pub latency: Duration,
    /// The page that the request comes from: its origin, and its path if [paths](super::AccessLog::with_paths) are
    /// wanted. Never its query.
    pub referrer: Option<String>,
    /// The `User-Agent`: what the browser says of itself.
    pub agent: Option<String>,
    /// The owner of the session, if the handler has asked for it. After a logout, the user who has logged out.
    pub owner: Option<String>,
    /// As whom the owner [acts](crate::Session::act_as), if they do. After a logout, as whom they did.
    pub acting_as: Option<String>,
    /// The id of the session. If nobody has asked for the session, it is the id in the request's cookie, which is
    /// genuine but does not prove a login.
    pub session: Option<SessionId>,
    /// How the response ended.
    pub end: AccessEnd,
}

/// How a response ended, as far as the server can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessEnd {
    /// The server took the whole body. The client may have hung up all the same.
    Complete,
    /// The server dropped the body before its end: the client has hung up, or the server was stopped.
    CutOff,
    /// The service has failed, or the body has.
    Failed,
    /// There is no response: the client has hung up before it, or the handler has panicked.
    Unanswered,
}

impl AccessEnd {
    /// The word in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::CutOff => "cut_off",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
        }
    }
}

impl AccessRecord {
    /// The method by its name in OpenTelemetry, and the original one if it has no name there.
    fn methods(&self) -> (&str, Option<&str>) {
        if METHODS.contains(&self.method.as_str()) { (&self.method, None) } else { ("_OTHER", Some(&self.method)) }
    }

    /// Tells `tracing`.
    pub(super) fn trace(&self) {
        let (method, method_original) = self.methods();
        tracing::event!(
            target: "session::access",
            tracing::Level::INFO,
            client.address = self.client.map(tracing::field::display),
            http.request.method = method,
            http.request.method_original = method_original,
            http.route = self.route.as_deref(),
            url.path = self.path.as_deref(),
            network.protocol.version = self.version,
            http.response.status_code = self.status,
            http.response.body.size = self.size,
            http.server.request.duration = self.latency.as_secs_f64(),
            http.request.header.referer = self.referrer.as_deref(),
            user_agent.original = self.agent.as_deref(),
            user.id = self.owner.as_deref(),
            session.acting_as = self.acting_as.as_deref(),
            session.id = self.session.map(tracing::field::display),
            session.access.end = self.end.name(),
        );
    }
}

impl fmt::Display for AccessRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, method_original) = self.methods();
        write!(f, "time={}", Utc(self.time))?;
        plain(f, "client.address", self.client)?;
        quoted(f, "http.request.method", Some(method))?;
        quoted(f, "http.request.method_original", method_original)?;
        quoted(f, "http.route", self.route.as_deref())?;
        quoted(f, "url.path", self.path.as_deref())?;
        plain(f, "network.protocol.version", Some(self.version))?;
        plain(f, "http.response.status_code", self.status)?;
        plain(f, "http.response.body.size", Some(self.size))?;
        plain(f, "http.server.request.duration", Some(self.latency.as_secs_f64()))?;
        quoted(f, "http.request.header.referer", self.referrer.as_deref())?;
        quoted(f, "user_agent.original", self.agent.as_deref())?;
        quoted(f, "user.id", self.owner.as_deref())?;
        quoted(f, "session.acting_as", self.acting_as.as_deref())?;
        plain(f, "session.id", self.session)?;
        plain(f, "session.access.end", Some(self.end.name()))
    }
}

fn plain(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
}

/// Writes a text in quotes, so that no text looks like a field.
fn quoted(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value:?}"))
}

/// The text with at most 512 bytes, its control characters escaped. `…` tells that there is more.
pub(super) fn bounded(text: &str) -> String {
    fit_for_log(text, LONGEST)
}
