//! What caches may do with a response: what it says by what it has read, and what a handler's own headers allow.

use std::sync::atomic::Ordering;

use http::{HeaderName, HeaderValue};

use crate::{
    EventKind,
    exchange::{Inner, Standing, State},
};

/// How private a response is, by the session that its request has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Nobody has asked for the session.
    NotAsked,
    /// Somebody has asked, and there was none: a page for every visitor without a cookie.
    NoSession,
    /// A session without an owner was read.
    Anonymous,
    /// A session with an owner was read. So is one that could not be told: of a store that failed, of a token that was
    /// late or stolen, of a record that cannot be read. That page is right for this one moment.
    Owner,
}

impl Privacy {
    /// What the response says where the handler has said nothing (RFC 9111, section 5.2.2).
    pub(crate) fn cache_control(self) -> Option<HeaderValue> {
        match self {
            Self::NotAsked | Self::NoSession => None,
            // Not `no-store`: the browser may keep it, and bring it back on the way back.
            Self::Anonymous => Some(HeaderValue::from_static("private, no-cache")),
            Self::Owner => Some(HeaderValue::from_static("no-store")),
        }
    }

    /// Whether the response may have something of a session in it.
    pub(crate) fn has_read(self) -> bool {
        matches!(self, Self::Anonymous | Self::Owner)
    }
}

impl Inner {
    /// How private the response is, by all that this exchange has read, a session that it has ended included.
    pub(crate) fn privacy(&self, state: &State) -> Privacy {
        let is_owner_s = self.taken().is_some_and(|taken| taken.header().owner.is_some());
        // An answer to a logout is never kept, or the next logout would not reach the server.
        if is_owner_s || state.has_ended {
            return Privacy::Owner;
        }
        match &state.standing {
            Standing::Live(live) if live.found.header().owner.is_some() => Privacy::Owner,
            Standing::Live(_) => Privacy::Anonymous,
            Standing::Unasked => Privacy::NotAsked,
            // `Vary` cannot name a way that nobody has told.
            Standing::Absent if self.header_client && self.site().token_header.is_none() => Privacy::Anonymous,
            Standing::Absent => Privacy::NoSession,
            Standing::Failed(_) | Standing::Barred(_) | Standing::Lost(_) | Standing::Unread(_) => Privacy::Owner,
        }
    }

    /// Whether the browser is told to clear the site's data: at a logout that removes the cookie, or that a token of a new
    /// session follows. Not where no token came along, for then the page of a stranger may have sent the request, nor
    /// beside the cookie of a login that has overtaken it.
    pub(crate) fn clears_site_data(&self, state: &State) -> bool {
        let has_token = self.cookie_present || !self.presented.is_empty();
        has_token && state.has_ended && !state.only_login_may_answer
    }

    /// Tells, once, that shared caches may keep a response that has read a session.
    pub(crate) fn tell_shared_caches(&self, header: HeaderName) {
        if !self.is_told_of_shared_caches.swap(true, Ordering::Relaxed) {
            let live = self.state().standing.live().map(|live| live.found.clone());
            let live = live.or_else(|| self.taken().cloned());
            self.tell(EventKind::SharedCacheAllowed { header }, live.as_deref());
        }
    }
}

/// Whether some cache obeys a header of this name: `Cache-Control`, and those that a kind of shared caches obeys in its
/// place (RFC 9213, section 2.2; W3C Edge Architecture; Akamai; nginx).
pub(crate) fn is_obeyed(name: &str) -> bool {
    let is_suffix = |suffix: &str| {
        let from = name.len().checked_sub(suffix.len());
        from.and_then(|from| name.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    is("cache-control") || is_suffix("-cache-control") || is(SURROGATE_CONTROL) || is(EDGE_CONTROL) || is(ACCEL_EXPIRES)
}

const SURROGATE_CONTROL: &str = "surrogate-control";
const EDGE_CONTROL: &str = "edge-control";
const ACCEL_EXPIRES: &str = "x-accel-expires";

/// The first of these headers by which a shared cache may keep the response and give it to others.
pub(crate) fn shared_cache_header<'a, I>(headers: impl Fn() -> I) -> Option<HeaderName>
where
    I: Iterator<Item = (&'a str, &'a [u8])>,
{
    let allows = |name: &str| {
        let lines = headers().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let lines: Vec<_> = lines.map(|(_, line)| String::from_utf8_lossy(line)).collect();
        // Several lines are one list (RFC 9110, section 5.3).
        allows_shared_caches(name, &lines.join(","))
    };
    let allowing = headers().map(|(name, _)| name).find(|name| is_obeyed(name) && allows(name));
    allowing.and_then(|name| HeaderName::try_from(name).ok())
}

/// Whether a shared cache may keep the response by the value of this header, and give it to others without asking again
/// (RFC 9111, section 3 and 5.2.2).
fn allows_shared_caches(name: &str, value: &str) -> bool {
    if name.eq_ignore_ascii_case(ACCEL_EXPIRES) {
        return value.trim() != "0";
    }
    let directives: Vec<_> = directives(value).collect();
    let has = |name: &str| directives.iter().any(|(of, argument)| of.eq_ignore_ascii_case(name) && argument.is_none());
    let lasts = |name: &str| {
        let of_name = directives.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name));
        // What is no number counts as stale (section 4.2.1).
        of_name.map(|(_, argument)| argument.and_then(|seconds| seconds.parse().ok()).is_some_and(|n: u64| n > 0)).max()
    };
    // With fields named, `private` is about these alone. A cache that knows the status ignores `no-store` beside
    // `must-understand`.
    if has("private") || has("no-store") && !has("must-understand") || has("bypass-cache") {
        return false;
    }
    if has("public") {
        return true;
    }
    if has("no-cache") {
        return false;
    }
    if ["stale-while-revalidate", "stale-if-error"].into_iter().any(|name| lasts(name) == Some(true)) {
        return true;
    }
    // Nothing said: caches may guess a time (section 4.2.2). `Surrogate-Control` leaves that to `Cache-Control`.
    let guesses = !name.eq_ignore_ascii_case(SURROGATE_CONTROL);
    lasts("s-maxage").or_else(|| lasts("max-age")).unwrap_or(guesses)
}

/// The directives of a list with their arguments, whose quotes are taken off.
fn directives(value: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut is_quoted = false;
    let parts = value.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    });
    parts.map(|part| match part.split_once('=') {
        Some((name, argument)) => (name.trim(), Some(argument.trim().trim_matches('"'))),
        None => (part.trim(), None),
    })
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn allows(name: &str, value: &str) -> bool {
        shared_cache_header(|| iter::once((name, value.as_bytes()))).is_some()
    }

    #[test]
    fn shared_caches_may_keep_what_no_directive_forbids_them() {
        for allowing in [
            "public",
            "Public, max-age=60",
            "public, no-cache",
            "max-age=60",
            "s-maxage=60",
            "max-age=0, s-maxage=60",
            "max-age=\"60\"",
            "max-age=0, stale-while-revalidate=60",
            "private=\"x-name\", max-age=60",
            "no-cache=\"x, private, y\", max-age=60",
            "no-store, must-understand, max-age=60",
            "no-transform",
            "must-revalidate",
        ] {
            assert!(allows("Cache-Control", allowing), "{allowing}");
            assert!(allows("CDN-Cache-Control", allowing), "{allowing}");
        }
        for forbidding in [
            "no-store",
            "private",
            "Private, max-age=60",
            "private, no-cache",
            "public, private",
            "public, no-store",
            "no-cache",
            "no-cache, max-age=60",
            "max-age=0",
            "max-age=0, must-revalidate",
            "max-age=60, s-maxage=0",
            "max-age=soon",
        ] {
            assert!(!allows("cache-control", forbidding), "{forbidding}");
            assert!(!allows("cloudflare-cdn-cache-control", forbidding), "{forbidding}");
        }
    }

    #[test]
    fn what_only_some_caches_obey_is_judged_by_its_own_rules() {
        assert!(allows("Surrogate-Control", "max-age=60, content=\"ESI/1.0\""));
        assert!(!allows("Surrogate-Control", "content=\"ESI/1.0\""));
        assert!(!allows("Surrogate-Control", "no-store"));
        assert!(allows("X-Accel-Expires", "60") && allows("X-Accel-Expires", "@1893456000"));
        assert!(!allows("X-Accel-Expires", " 0"));
        assert!(allows("Edge-Control", "cache-maxage=1h") && !allows("Edge-Control", "bypass-cache"));
        assert!(!allows("Access-Control-Allow-Origin", "*") && !allows("Vary", "public") && !allows("é", "public"));
    }

    #[test]
    fn several_lines_of_one_name_are_one_list() {
        let lines = [("cache-control", &b"public"[..]), ("vary", b"cookie"), ("Cache-Control", b"private")];
        assert_eq!(shared_cache_header(|| lines.into_iter()), None);
        let lines = [("cache-control", &b"no-store"[..]), ("CDN-Cache-Control", b"max-age=60")];
        assert_eq!(shared_cache_header(|| lines.into_iter()).unwrap().as_str(), "cdn-cache-control");
    }
}
