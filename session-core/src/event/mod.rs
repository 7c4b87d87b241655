//! What happens to sessions, told to observers.

mod limit;
mod log;
mod observer;
mod text;

use std::{net::IpAddr, time::SystemTime};

pub(crate) use log::Log;
pub use observer::Observer;
pub(crate) use observer::Observers;
pub(crate) use text::bounded;
pub use text::fit_for_log;

use http::HeaderName;

use crate::{Error, Owner, PlainHttp, SessionId, WithheldReason};

/// Something that happened to a session. It never holds a secret.
///
/// The texts that a request can determine are bounded: method, route and path have at most 256 bytes, then `…`. In them
/// control characters, and those that turn the direction of a line, are escaped as in Rust: `\n`, `\u{202e}`.
///
/// # In the log
///
/// Each event goes to `tracing` under the target `session`. [`EventKind`] has the table of names and levels. The fields have
/// the names of OpenTelemetry's semantic conventions, where there is one. A field that is not known is left out.
///
/// | field | what |
/// | --- | --- |
/// | `event.name` | [`EventKind::name`]. The event's own name in `tracing` is the same. It does not change between versions. |
/// | `session.id` | [`id`](Self::id), which is no secret |
/// | `user.id` | [`owner`](Self::owner), escaped as above: who has logged in |
/// | `session.acting_as` | [`acting_as`](Self::acting_as), escaped as above |
/// | `http.request.method` | [`method`](Self::method), or `_OTHER` for one that HTTP does not define |
/// | `http.route` | [`route`](Self::route) |
/// | `url.path` | [`path`](Self::path), if the application [wants it](crate::SessionManager::with_paths_in_events) |
/// | `client.address` | [`peer`](Self::peer) |
/// | `error.type` | [`Error::name`] of the error that the event has |
/// | `exception.message` | that error and its sources, escaped as above, at most 1024 bytes |
/// | `session.reason` | why, such as `logout` |
/// | `session.count` | how many |
///
/// # How many lines a stranger can cause
///
/// A stranger can cause events without an owner, and `session.shared_cache_allowed`. A manager and its clones write ten lines a
/// second of each name, and count the rest. The next request or event after that second brings a line `session.suppressed`,
/// with the name in `session.suppressed.event` and the number in `session.count`. `session.unknown_key` has one line a minute.
/// An [`Observer`] of your own gets every event, so that it can count them. If it writes, it needs a limit, too.
/// `session.request_failed` is no event. It has ten lines a second of each `error.type` in the whole program.
///
/// # Examples
///
/// An event for the test of an observer:
///
/// ```
/// use session_core::{EventKind, Owner, SessionEvent};
///
/// let theft = SessionEvent::new(EventKind::TheftDetected)
///     .with_owner(Owner::from(42))
///     .with_request("GET", "/account/{page}")
///     .with_peer([192, 0, 2, 7].into());
/// assert_eq!(theft.kind.name(), "session.theft");
/// assert_eq!(theft.route.as_deref(), Some("/account/{page}"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionEvent {
    /// What happened.
    pub kind: EventKind,
    /// When, on this machine's clock.
    pub at: SystemTime,
    /// To which session, if one is known.
    pub id: Option<SessionId>,
    /// Whose session it is, if somebody is logged in.
    pub owner: Option<Owner>,
    /// As whom the owner [acts](crate::Session::act_as), if they do.
    pub acting_as: Option<Owner>,
    /// The method of the request, if the adapter told it.
    pub method: Option<String>,
    /// The route that the request has matched, such as `/reset/{token}`, if the adapter told it.
    pub route: Option<String>,
    /// The path of the request, without its query, if the application
    /// [wants it](crate::SessionManager::with_paths_in_events).
    pub path: Option<String>,
    /// The client's address, if it is known: behind a trusted proxy the one that the proxy names.
    pub peer: Option<IpAddr>,
}

impl SessionEvent {
    /// An event of this kind that happened now. Nothing else is known of it.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        let at = SystemTime::now();
        Self { kind, at, id: None, owner: None, acting_as: None, method: None, route: None, path: None, peer: None }
    }

    /// The same at another time.
    #[must_use]
    pub fn with_time(self, at: SystemTime) -> Self {
        Self { at, ..self }
    }

    /// The same of this session.
    #[must_use]
    pub fn with_id(self, id: SessionId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The same of this owner's session.
    #[must_use]
    pub fn with_owner(self, owner: Owner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// The same while the owner acts as this one.
    #[must_use]
    pub fn with_acting_as(self, owner: Owner) -> Self {
        Self { acting_as: Some(owner), ..self }
    }

    /// The same in a request with this method, which matched this route.
    #[must_use]
    pub fn with_request(self, method: &str, route: &str) -> Self {
        Self { method: Some(bounded(method)), route: Some(bounded(route)), ..self }
    }

    /// The same with the whole path of the request.
    #[must_use]
    pub fn with_path(self, path: &str) -> Self {
        Self { path: Some(bounded(path)), ..self }
    }

    /// The same with the client's address.
    #[must_use]
    pub fn with_peer(self, peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }
}

/// What happened.
///
/// # Names and levels in the log
///
/// | kind | name | level |
/// | --- | --- | --- |
/// | [`Created`](Self::Created) | `session.created` | `INFO` |
/// | [`BadCookie`](Self::BadCookie) | `session.bad_cookie` | `DEBUG` |
/// | [`UnknownKey`](Self::UnknownKey) | `session.unknown_key` | `WARN` |
/// | [`StaleCookie`](Self::StaleCookie) | `session.stale_cookie` | `DEBUG` |
/// | [`SessionGone`](Self::SessionGone) | `session.gone` | `INFO` |
/// | [`DuplicateSessions`](Self::DuplicateSessions) | `session.duplicates` | `INFO` |
/// | [`ConflictingLogins`](Self::ConflictingLogins) | `session.conflicting_logins` | `WARN` |
/// | [`TooManyCookies`](Self::TooManyCookies) | `session.too_many_cookies` | `WARN` |
/// | [`EndFailed`](Self::EndFailed) | `session.end_failed` | `WARN` |
/// | [`InsecureTransport`](Self::InsecureTransport) | `session.insecure_transport` | `DEBUG` |
/// | [`SharedCacheAllowed`](Self::SharedCacheAllowed) | `session.shared_cache_allowed` | `WARN` |
/// | [`SuccessorIssued`](Self::SuccessorIssued) | `session.successor_issued` | `DEBUG` |
/// | [`Rotated`](Self::Rotated) | `session.rotated` | `INFO` |
/// | [`LoggedIn`](Self::LoggedIn) | `session.logged_in` | `INFO` |
/// | [`CrossSiteLogin`](Self::CrossSiteLogin) | `session.cross_site_login` | `INFO` |
/// | [`Withheld`](Self::Withheld) | `session.withheld` | `INFO`; `DEBUG` where the application refuses it |
/// | [`LoginRevoked`](Self::LoginRevoked) | `session.login_revoked` | `INFO`; `WARN` with a cause |
/// | [`LoginRefused`](Self::LoginRefused) | `session.login_refused` | `INFO` |
/// | [`LoginOvertaken`](Self::LoginOvertaken) | `session.login_overtaken` | `INFO` |
/// | [`Renewed`](Self::Renewed) | `session.renewed` | `INFO` |
/// | [`Proved`](Self::Proved) | `session.proved` | `INFO` |
/// | [`ActingBegan`](Self::ActingBegan) | `session.acting_began` | `INFO` |
/// | [`ActingEnded`](Self::ActingEnded) | `session.acting_ended` | `INFO` |
/// | [`Ended`](Self::Ended) | `session.ended` | `INFO` |
/// | [`Revoked`](Self::Revoked) | `session.revoked` | `INFO` |
/// | [`TheftDetected`](Self::TheftDetected) | `session.theft` | `WARN` |
/// | [`TouchFailed`](Self::TouchFailed) | `session.touch_failed` | `WARN` |
/// | [`SuccessorFailed`](Self::SuccessorFailed) | `session.successor_failed` | `WARN` |
/// | [`Unreadable`](Self::Unreadable) | `session.unreadable` | `WARN` |
/// | [`Purged`](Self::Purged) | `session.purged` | `INFO` |
/// | [`PurgeFailed`](Self::PurgeFailed) | `session.purge_failed` | `WARN` |
///
/// [`InsecureTransport`](Self::InsecureTransport) has a `WARN`, too, once for each cause. It says what to set.
/// A manager [for development](crate::SessionManager::development) says so in `session.development`, a `WARN`, once.
/// `session.suppressed` has the level of the lines that were left out.
/// Two lines are no events: `session.request_failed`, an `ERROR`, and `session.host_unlisted`, a `DEBUG`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// An anonymous session was stored for the first time.
    Created,
    /// Cookies of our name, or the header of a client without cookies, were no tokens. They counted as absent, and the store
    /// was not asked.
    BadCookie {
        /// How many.
        count: usize,
    },
    /// Cookies of our name had a token's shape, but none of the keys has signed them. They counted as absent, and the store was
    /// not asked. The same holds for the header of a client without cookies.
    ///
    /// If a key has just been changed, another node may sign with one that this node does not know yet. Or a key was dropped
    /// too early: [`Keyring`](crate::Keyring) tells the order. Otherwise the cookie is older than the keys, or it is forged.
    /// Nobody can tell these two apart. A manager [for development](crate::SessionManager::development) makes a new key at each
    /// start, so it tells observers only.
    UnknownKey {
        /// How many.
        count: usize,
    },
    /// A genuine token opened nothing: its anonymous session is gone, or a later login, proof or renewal has replaced the
    /// token. Each request that comes with such a token and asks for its session is an event. A request that has loaded its
    /// session before that is none: [`Session::save`](crate::Session::save) tells it by
    /// [`Error::Superseded`](crate::Error::Superseded).
    StaleCookie,
    /// The token of a login was genuine, and the store has no such session: it has expired, or was ended, or the store has
    /// lost it. Each request that comes with such a token and asks for its session is an event. The owner is not known
    /// any more.
    SessionGone,
    /// The cookies of a request opened several sessions of one user, or anonymous ones beside it. One was taken: a login
    /// goes before an anonymous session, and the younger of two before the older. A login and a logout end the others. It
    /// happens after the cookie has moved to another Domain or Path: see [`CookieConfig`](crate::CookieConfig). Another site of
    /// the domain can plant one, too, unless the name starts with `__Host-`.
    DuplicateSessions {
        /// How many were live.
        count: usize,
    },
    /// The cookies of a request opened logins of different users, so nobody is logged in. Only a login, `begin_login` and a
    /// logout do anything, and they end them all. The site has moved its cookie to another Domain or Path, or another site of
    /// the domain has set one. A name with `__Host-` is the cure.
    ConflictingLogins {
        /// How many sessions were live.
        count: usize,
    },
    /// A request had genuine cookies of more than four sessions, or more than 16 KiB of cookies of the name. None was loaded.
    /// Only a login, `begin_login` and a logout do anything, and they end them all.
    TooManyCookies {
        /// How many sessions they name.
        ids: usize,
    },
    /// A login has succeeded, but another session that its request had opened could not be ended.
    EndFailed(Error),
    /// A cookie with `Secure` leaves to a client that speaks plain http. Its browser drops the cookie, so that a login does
    /// not stick. The cookie is sent all the same, because the application may be told wrong: behind two proxies, the way to
    /// the last one is often plain.
    ///
    /// Each such response is an event. The log also has a warning with the cause and what to set, once for each cause, by a
    /// manager and its clones.
    ///
    /// There is no event if the browser keeps such a cookie all the same. Chromium and Firefox do on the user's own machine
    /// (`localhost`, names that end in `.localhost`, `127.0.0.0/8`, `[::1]`), Safari does not. Nor is there one if the request
    /// has `Sec-Fetch-Site`, which browsers send over https only.
    InsecureTransport(PlainHttp),
    /// A response that has read a session leaves with a header by which shared caches may keep it and give it to others: a
    /// proxy in front of the site, or a content delivery network. The handler, or a middleware inside, has set it: `public`,
    /// `s-maxage`, a `max-age` without `private`, anything that does not forbid it. The response leaves as it is.
    /// `Vary: Cookie` keeps it from others if the shared cache obeys that. Not all do.
    ///
    /// The cure: set `private` on a page that is made for one user. For a page that is the same for everybody, do not ask for
    /// the session. Each such response is an event.
    SharedCacheAllowed {
        /// Which header: `Cache-Control`, or one that some caches obey in its place.
        header: HeaderName,
    },
    /// A successor of the session's token was stored and is sent.
    SuccessorIssued,
    /// The successor came back: it is now the session's token.
    Rotated,
    /// A user logged in. Where another user was logged in in this session, it keeps its id, and this is the end of their login:
    /// there is no [`Ended`](Self::Ended).
    LoggedIn,
    /// A user logged in by a request that came from another site, to which the browser had sent no cookie of ours. It follows
    /// [`LoggedIn`](Self::LoggedIn).
    ///
    /// The answer of an identity provider looks like this, and so does a *forged login*: a stranger's page logs its visitor in
    /// to the stranger's account, and later reads there what the visitor has done. So a page that logs in must know that this
    /// very browser has begun the login.
    ///
    /// - With a form of yours: refuse it if it comes from another origin. A guard does that, and so does a handler that asks
    ///   [`Exchange::is_cross_origin`](crate::Exchange::is_cross_origin).
    /// - With an identity provider: send a random `state` (or `RelayState`) along, and keep it in the session with
    ///   [`begin_login`](crate::Session::begin_login). The page that gets the answer redirects to a `GET` of your own. Compare
    ///   and log in there. That way a revocation since `begin_login` is seen, too.
    CrossSiteLogin,
    /// There was something to save and no session yet, and none was made. There is one such event for each request.
    Withheld(WithheldReason),
    /// A login was refused: the owner's sessions were revoked after it began, or it was the oldest of too many.
    LoginRevoked {
        /// The error, if this could not be found out. That refuses the login, too.
        cause: Option<Error>,
    },
    /// A login was refused, because the user has as many sessions as the policy allows: see
    /// [`AtLimit::RefuseLogin`](crate::AtLimit::RefuseLogin).
    LoginRefused {
        /// How many are allowed.
        limit: u32,
    },
    /// A login was refused, because another request had ended the session that it came from, or had logged another user in.
    /// Example: two tabs log in at the same moment, each as another user.
    LoginOvertaken,
    /// The session got a new token, for a change of privilege.
    Renewed,
    /// A user has proven again who they are, and the session got a new token. [`Renewed`](Self::Renewed) does not follow.
    Proved,
    /// The owner acts as another user from now on, [`acting_as`](SessionEvent::acting_as), and the session got a new token.
    /// [`Renewed`](Self::Renewed) does not follow.
    ActingBegan,
    /// The owner has acted as another user until now, [`acting_as`](SessionEvent::acting_as), and the session got a new token.
    /// [`Renewed`](Self::Renewed) does not follow. A login and the end of the session end the acting, too, without this event.
    ActingEnded,
    /// The session was ended.
    Ended(EndReason),
    /// The owner's sessions were revoked.
    Revoked {
        /// How many live ones there were.
        count: u64,
    },
    /// A token was used although its successor was proven, so two parties have it. The session was ended, or the attempt was
    /// made. If somebody writes to it without a pause, all sessions of the owner are ended, and [`Revoked`](Self::Revoked)
    /// tells so, too.
    TheftDetected,
    /// The idle timeout could not be extended. Nothing was lost.
    TouchFailed(Error),
    /// A successor could not be stored. The token goes on as it is.
    SuccessorFailed(Error),
    /// A stored session cannot be read. A request came with its token, or it was left out of a list, or could not be ended.
    Unreadable(Error),
    /// Expired sessions were deleted, by [`PurgeTask`](crate::PurgeTask) or
    /// [`SessionManager::purge`](crate::SessionManager::purge). There is no event if there were none.
    Purged {
        /// How many.
        count: u64,
    },
    /// A purge has failed. [`PurgeTask`](crate::PurgeTask) tries again when it is next due.
    PurgeFailed(Error),
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The user, or somebody for them, ended it from a list of devices.
    EndedByOwner,
    /// The owner had more sessions than the policy allows, and this was the oldest.
    TooManySessions,
    /// The login that was begun in it took too long.
    LoginExpired,
    /// Its browser sent the cookies of several sessions, and has logged in, or begun to: a new session takes their place.
    Replaced,
    /// It could not be read, and its user has logged in, or has begun to.
    Unreadable,
}

impl EndReason {
    /// The reason's name in the log.
    const fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::EndedByOwner => "ended_by_owner",
            Self::TooManySessions => "too_many_sessions",
            Self::LoginExpired => "login_expired",
            Self::Replaced => "replaced",
            Self::Unreadable => "unreadable",
        }
    }
}
