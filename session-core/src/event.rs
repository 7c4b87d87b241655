//! What happens to sessions, told to an observer.

use std::{fmt, net::IpAddr, time::SystemTime};

use http::HeaderName;

use crate::{Error, Owner, PlainHttp, SessionId, WithheldReason};

/// Something that happened to a session. It never holds a secret.
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
    /// The method of the request, if the adapter told it.
    pub method: Option<String>,
    /// The path of the request, without its query.
    pub path: Option<String>,
    /// The client's address, if it is known: behind a trusted proxy the one that the proxy names.
    pub peer: Option<IpAddr>,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// An anonymous session was stored for the first time.
    Created,
    /// Cookies of our name were not genuine. They were taken as absent, and the store was not asked.
    BadCookie {
        /// How many were not of a token's shape.
        malformed: usize,
        /// How many bore no signature of our keys.
        wrongly_signed: usize,
    },
    /// A genuine token named no session, or one that it is a stranger to: expired, ended, or of an earlier login.
    StaleCookie,
    /// The cookies of a request opened several sessions of one user, or anonymous ones beside it. One was taken: a login
    /// before an anonymous session, and the younger of two. A login and a logout end the others. It happens where the
    /// cookie has moved to another Domain or Path: see [`CookieConfig`](crate::CookieConfig). Another site of the domain can
    /// plant one, too, unless the name starts with `__Host-`.
    DuplicateSessions {
        /// How many were live.
        count: usize,
    },
    /// The cookies of a request opened logins of different users, so nobody is logged in: only a login, `begin_login` and a logout
    /// act, and end them all. The site has moved its cookie to another Domain or Path, or another site of the domain has set
    /// one. A name with `__Host-` is the cure.
    ConflictingLogins {
        /// How many sessions were live.
        count: usize,
    },
    /// A request had genuine cookies of more than four sessions, or more than 16 KiB of cookies of the name. None was loaded: only a login, `begin_login` and a
    /// logout act, and end them all.
    TooManyCookies {
        /// How many sessions they name.
        ids: usize,
    },
    /// A login has succeeded, but another session that its request had opened could not be ended.
    EndFailed(Error),
    /// A cookie with `Secure` leaves to a client that speaks plain http. Its browser drops the cookie, so that a login does
    /// not stick. Nothing is withheld, because the witness may be mistaken: behind two proxies, the way to the last one is
    /// often plain.
    ///
    /// It is told with each such response. The log is told the cause and what to set as a warning, whatever the observer is:
    /// once for each cause, by a manager and its clones.
    ///
    /// It is not told where the browser keeps such a cookie all the same: on the user's own machine (`localhost`, and what
    /// ends in `.localhost`, `127.0.0.0/8`, `[::1]`), as Chromium and Firefox do, though not Safari; nor where the request
    /// has `Sec-Fetch-Site`, which browsers send over https only.
    InsecureTransport(PlainHttp),
    /// A response that has read a session leaves with a header by which shared caches may keep it and give it to others: a
    /// proxy in front of the site, or a content delivery network. The handler, or a middleware inside, has set it: `public`,
    /// `s-maxage`, a `max-age` without `private`, anything that does not forbid it. It leaves as it is. `Vary: Cookie` keeps
    /// others from it where the shared cache obeys that, which not all do.
    ///
    /// The cure: `private` for what is made for one user, or a handler that does not ask for the session for what is
    /// everybody's. It is told with each such response.
    SharedCacheAllowed {
        /// Which header: `Cache-Control`, or one that some caches obey in its place.
        header: HeaderName,
    },
    /// A successor of the session's token was stored and is sent.
    SuccessorIssued,
    /// The successor came back: it is now the session's token.
    Rotated,
    /// A user logged in.
    LoggedIn,
    /// A user logged in by a request that came from another site, to which the browser had sent no cookie of ours. It follows
    /// [`LoggedIn`](Self::LoggedIn).
    ///
    /// The answer of an identity provider looks so, and so does a *forged login*: a stranger's page logs its visitor in to
    /// the stranger's account, and then reads there what the visitor does. So a page that logs in must know that this very
    /// browser has begun the login. A form of yours: refuse it where `Sec-Fetch-Site` or `Origin` is another site's. An
    /// identity provider: send a random `state` (or `RelayState`) along, keep it in the session with
    /// [`begin_login`](crate::Session::begin_login), let the page that gets the answer redirect to a `GET` of your own, and
    /// compare and log in there. That way a revocation since `begin_login` is seen, too.
    CrossSiteLogin,
    /// There was something to save, and no session yet: none was made. It is told once for each request.
    Withheld(WithheldReason),
    /// A login was refused: the owner's sessions were revoked after it began, or it was the oldest of too many.
    LoginRevoked {
        /// Why that could not be told, which refuses it as well.
        cause: Option<Error>,
    },
    /// The session got a new token, for a change of privilege.
    Renewed,
    /// The session was ended.
    Ended(EndReason),
    /// The owner's sessions were revoked.
    Revoked {
        /// How many live ones there were.
        count: u64,
    },
    /// A token was used that its owner had replaced: it is in two hands. The session was ended, or was to be; where somebody
    /// writes to it without a pause, with all of its owner's, which [`Revoked`](Self::Revoked) then tells, too.
    TheftDetected,
    /// The idle time-out could not be extended. Nothing was lost.
    TouchFailed(Error),
    /// A successor could not be stored. The token goes on as it is.
    SuccessorFailed(Error),
    /// A stored session cannot be read. A request came with its token, or it was left out of a list, or could not be ended.
    Unreadable(Error),
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The user, or somebody for him, ended it from a list of devices.
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

/// Gets every [`SessionEvent`]. It is called within the request: it must not block.
///
/// # Examples
///
/// ```
/// use session_core::{EventKind, Observer, SessionEvent};
///
/// #[derive(Debug)]
/// struct Alarm;
///
/// impl Observer for Alarm {
///     fn on(&self, event: &SessionEvent) {
///         if let EventKind::TheftDetected = event.kind {
///             eprintln!("session {:?} of {:?} was stolen", event.id, event.owner);
///         }
///     }
/// }
/// ```
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Is told what has happened.
    fn on(&self, event: &SessionEvent);
}

/// Writes each event to `tracing`, under the target `session`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TracingObserver;

impl Observer for TracingObserver {
    fn on(&self, event: &SessionEvent) {
        let SessionEvent { kind, id, owner, method, path, peer, .. } = event;
        macro_rules! tell {
            ($level:ident) => {
                tracing::$level!(
                    target: "session",
                    ?kind,
                    id = id.map(tracing::field::display),
                    owner = owner.as_ref().map(|owner| tracing::field::display(owner.escaped())),
                    method,
                    path,
                    peer = peer.map(tracing::field::display),
                )
            };
        }
        match kind {
            EventKind::TheftDetected => tell!(warn),
            EventKind::LoginRevoked { cause: Some(_) }
            | EventKind::TouchFailed(_)
            | EventKind::SuccessorFailed(_)
            | EventKind::EndFailed(_)
            | EventKind::ConflictingLogins { .. }
            | EventKind::TooManyCookies { .. }
            | EventKind::SharedCacheAllowed { .. }
            | EventKind::Unreadable(_) => tell!(warn),
            // The log has it already, once for each cause.
            EventKind::InsecureTransport(_)
            | EventKind::BadCookie { .. }
            | EventKind::StaleCookie
            | EventKind::SuccessorIssued
            | EventKind::Withheld(WithheldReason::Refused) => tell!(debug),
            _ => tell!(info),
        }
    }
}
