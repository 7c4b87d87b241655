//! Events on their way to `tracing`.

use std::{net::IpAddr, time::Duration};

use tracing::{
    Level,
    field::{DisplayValue, display},
};

use super::{
    EventKind, SessionEvent, bounded,
    limit::{Limit, Rate, Suppressed},
    text::with_sources,
};
use crate::{Error, Owner, SessionId, WithheldReason};

/// For each name that a stranger can cause.
const TEN_A_SECOND: Rate = Rate { lines: 10, within: Duration::from_secs(1) };

/// A stranger can cause this one at will, and it is a warning.
const ONE_A_MINUTE: Rate = Rate { lines: 1, within: Duration::from_secs(60) };

/// Writes each event to `tracing`, under the target `session`, as [`SessionEvent`] says.
#[derive(Debug, Default)]
pub(crate) struct Log {
    limit: Limit,
    /// Each start makes a new key, and cookies under the one before are nothing to warn of.
    has_passing_key: bool,
}

/// Defines the names, levels and sentences, and writes each with a name of its own in `tracing`, which is a constant there.
macro_rules! lines {
    ($($kind:pat => $level:ident $name:literal $sentence:literal;)*) => {
        impl EventKind {
            /// The event's name in the log, such as `session.theft`. It does not change between versions.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $($kind => $name,)*
                }
            }

            const fn level(&self) -> Level {
                match self {
                    $($kind => Level::$level,)*
                }
            }
        }

        impl Line<'_> {
            fn write(self, kind: &EventKind) {
                match kind {
                    $($kind => tracing::event!(
                        name: $name,
                        target: "session",
                        Level::$level,
                        event.name = $name,
                        session.id = self.id,
                        user.id = self.user,
                        session.acting_as = self.acting_as,
                        http.request.method = self.method,
                        http.route = self.route,
                        url.path = self.path,
                        client.address = self.client,
                        session.reason = self.reason,
                        session.count = self.count,
                        error.type = self.error_type,
                        exception.message = self.error,
                        $sentence
                    ),)*
                }
            }
        }
    };
}

lines! {
    EventKind::Created => INFO "session.created" "an anonymous session was stored";
    EventKind::BadCookie { .. } => DEBUG "session.bad_cookie" "cookies were not of a token's shape";
    EventKind::UnknownKey { .. } => WARN "session.unknown_key"
        "cookies were signed by none of the keys: they are forged, or from before a key was dropped, \
         or another node signs with a key that this one does not know";
    EventKind::StaleCookie => DEBUG "session.stale_cookie" "a cookie's session is gone, or is a later login's";
    EventKind::SessionGone => INFO "session.gone" "a login's token was genuine, and its session has expired or was ended";
    EventKind::DuplicateSessions { .. } => INFO "session.duplicates" "a request's cookies opened several sessions";
    EventKind::ConflictingLogins { .. } => WARN "session.conflicting_logins"
        "a request's cookies opened logins of different users, and none was taken";
    EventKind::TooManyCookies { .. } => WARN "session.too_many_cookies"
        "a request had cookies of too many sessions, and none was taken";
    EventKind::EndFailed(_) => WARN "session.end_failed" "beside a login another session could not be ended";
    // The warning has said it already, once for each cause.
    EventKind::InsecureTransport(_) => DEBUG "session.insecure_transport"
        "a secure cookie leaves to a client that speaks plain http";
    EventKind::SharedCacheAllowed { .. } => WARN "session.shared_cache_allowed"
        "a header lets shared caches keep a page that has read the session";
    EventKind::SuccessorIssued => DEBUG "session.successor_issued" "a successor of the token was stored";
    EventKind::Rotated => INFO "session.rotated" "the token was replaced by its successor";
    EventKind::LoggedIn => INFO "session.logged_in" "a user logged in";
    EventKind::CrossSiteLogin => INFO "session.cross_site_login" "the login came from another site";
    EventKind::Withheld(WithheldReason::Refused) => DEBUG "session.withheld" "no session was made";
    EventKind::Withheld(_) => INFO "session.withheld" "no session was made";
    EventKind::LoginRevoked { cause: None } => INFO "session.login_revoked" "a login was refused";
    EventKind::LoginRevoked { cause: Some(_) } => WARN "session.login_revoked"
        "a login was refused: it could not be told whether it was revoked";
    EventKind::LoginRefused { .. } => INFO "session.login_refused" "a login was refused: the user has too many sessions";
    EventKind::LoginOvertaken => INFO "session.login_overtaken"
        "a login was refused: another request has ended its session, or logged another user in";
    EventKind::Renewed => INFO "session.renewed" "the session got a new token";
    EventKind::Proved => INFO "session.proved" "a user has proven again who they are, and the session got a new token";
    EventKind::ActingBegan => INFO "session.acting_began" "a user acts as another one, and the session got a new token";
    EventKind::ActingEnded => INFO "session.acting_ended"
        "a user acts as another one no longer, and the session got a new token";
    EventKind::Ended(_) => INFO "session.ended" "the session was ended";
    EventKind::Revoked { .. } => INFO "session.revoked" "the owner's sessions were revoked";
    EventKind::TheftDetected => WARN "session.theft" "a token that its owner had replaced was used: it is in two hands";
    EventKind::TouchFailed(_) => WARN "session.touch_failed" "the idle timeout could not be extended";
    EventKind::SuccessorFailed(_) => WARN "session.successor_failed" "a successor of the token could not be stored";
    EventKind::Unreadable(_) => WARN "session.unreadable" "a stored session cannot be read";
    EventKind::Purged { .. } => INFO "session.purged" "expired sessions were deleted";
    EventKind::PurgeFailed(_) => WARN "session.purge_failed" "expired sessions could not be purged";
}

/// The fields of a line.
struct Line<'a> {
    id: Option<DisplayValue<SessionId>>,
    user: Option<String>,
    acting_as: Option<String>,
    method: Option<&'a str>,
    route: Option<&'a str>,
    path: Option<&'a str>,
    client: Option<DisplayValue<IpAddr>>,
    reason: Option<&'a str>,
    count: Option<u64>,
    error_type: Option<&'static str>,
    error: Option<String>,
}

impl Log {
    pub(crate) fn with_passing_key() -> Self {
        Self { has_passing_key: true, ..Self::default() }
    }

    /// Tells how many lines were left out in the times that are over.
    pub(crate) fn write_suppressed(&self) {
        for suppressed in self.limit.take_suppressed() {
            suppressed.write();
        }
    }

    /// Whether a line of this kind could be written at all.
    pub(crate) fn wants(&self, kind: &EventKind) -> bool {
        is_enabled(kind.level())
    }

    pub(crate) fn write(&self, event: &SessionEvent) {
        self.write_suppressed();
        let kind = &event.kind;
        let rate = match kind {
            EventKind::UnknownKey { .. } if self.has_passing_key => return,
            EventKind::UnknownKey { .. } => ONE_A_MINUTE,
            _ => TEN_A_SECOND,
        };
        if !is_enabled(kind.level()) {
            return;
        }
        // To cause the others needs a login.
        let is_limited = event.owner.is_none() || matches!(kind, EventKind::SharedCacheAllowed { .. });
        if !is_limited || self.limit.admits(kind.name(), kind.level(), rate) {
            Line::of(event).write(kind);
        }
    }
}

impl<'a> Line<'a> {
    fn of(event: &'a SessionEvent) -> Self {
        let SessionEvent { kind, id, owner, acting_as, method, route, path, peer, .. } = event;
        let error = kind.error();
        let escaped = |owner: &Owner| bounded(&owner.escaped().to_string());
        Self {
            id: id.map(display),
            user: owner.as_ref().map(escaped),
            acting_as: acting_as.as_ref().map(escaped),
            method: method.as_deref().map(method_name),
            route: route.as_deref(),
            path: path.as_deref(),
            client: peer.map(display),
            reason: kind.reason(),
            count: kind.count(),
            error_type: error.map(Error::name),
            error: error.map(with_sources),
        }
    }
}

impl EventKind {
    fn error(&self) -> Option<&Error> {
        match self {
            Self::EndFailed(error)
            | Self::TouchFailed(error)
            | Self::SuccessorFailed(error)
            | Self::Unreadable(error)
            | Self::PurgeFailed(error) => Some(error),
            Self::LoginRevoked { cause } => cause.as_ref(),
            _ => None,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::SharedCacheAllowed { header } => Some(header.as_str()),
            _ => self.fixed_reason(),
        }
    }

    /// The reason, if it is one of a fixed list.
    pub(crate) fn fixed_reason(&self) -> Option<&'static str> {
        match self {
            Self::Ended(reason) => Some(reason.name()),
            Self::Withheld(reason) => Some(reason.name()),
            Self::InsecureTransport(cause) => Some(cause.name()),
            _ => None,
        }
    }

    fn count(&self) -> Option<u64> {
        match *self {
            Self::BadCookie { count }
            | Self::UnknownKey { count }
            | Self::DuplicateSessions { count }
            | Self::ConflictingLogins { count }
            | Self::TooManyCookies { ids: count } => u64::try_from(count).ok(),
            Self::Revoked { count } | Self::Purged { count } => Some(count),
            _ => None,
        }
    }
}

impl Suppressed {
    fn write(self) {
        let Self { name, level, count } = self;
        macro_rules! tell {
            ($level:ident) => {
                tracing::event!(
                    name: "session.suppressed",
                    target: "session",
                    Level::$level,
                    event.name = "session.suppressed",
                    session.suppressed.event = name,
                    session.count = count,
                    "there were more events of this name than are written"
                )
            };
        }
        match level {
            Level::WARN => tell!(WARN),
            Level::INFO => tell!(INFO),
            _ => tell!(DEBUG),
        }
    }
}

fn is_enabled(level: Level) -> bool {
    match level {
        Level::WARN => tracing::enabled!(target: "session", Level::WARN),
        Level::INFO => tracing::enabled!(target: "session", Level::INFO),
        _ => tracing::enabled!(target: "session", Level::DEBUG),
    }
}

/// The method as OpenTelemetry wants it, so that a stranger cannot invent values.
fn method_name(method: &str) -> &str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];
    if known.contains(&method) { method } else { "_OTHER" }
}

#[cfg(test)]
mod tests;
