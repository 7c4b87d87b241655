//! What can go wrong, for callers.

use std::{sync::Arc, time::Duration};

use crate::{SchemaError, StoreError, WithheldReason};

/// Why a session could not be read, changed or saved.
///
/// It is cheap to clone, so each caller within one request gets the same answer, and an adapter can put it into the
/// response's extensions. [`status`](Self::status) is the answer that an adapter gives.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store did not answer. If it was asked to write, the write may have been applied all the same.
    #[error("the session store failed")]
    Store(#[source] StoreError),
    /// The store's table is missing, or is not one of the store's.
    #[error(transparent)]
    Schema(SchemaError),
    /// The answer to a write was lost, and too many others have followed to tell whether it was applied.
    #[error("it cannot be told whether the session was saved")]
    OutcomeUnknown,
    /// Others changed the session each time that this request tried to, for some seconds.
    #[error("the session is changed by too many requests at once")]
    Contended,
    /// Another request has ended the session. This call has changed nothing.
    #[error("the session has ended")]
    Gone,
    /// A login or renewal has overtaken this request; nothing was changed by this call.
    #[error("the session belongs to a later login")]
    Superseded,
    /// There is no session yet, and none is made in this request. A login makes one all the same.
    #[error("no session is made in this request: {0}")]
    Withheld(WithheldReason),
    /// The owner's sessions were revoked after this login began, or less than 100 milliseconds before. Also if
    /// the store does not tell whether they were, and if the login was the oldest of too many sessions.
    ///
    /// To end the owner's other sessions by the login itself, use [`Login::ending_others`](crate::Login::ending_others)
    /// in place of `revoke_all` before it.
    #[error("the login was revoked: use Login::ending_others to end the owner's other sessions by the login itself")]
    LoginRevoked,
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// It is too long ago that the user has proven who they are: see
    /// [`Session::require_fresh`](crate::Session::require_fresh).
    #[error("the user's last proof of who they are is older than {} seconds", max_age.as_secs())]
    StaleProof {
        /// How old it may be.
        max_age: Duration,
    },
    /// More than an hour has passed since `begin_login`: start again.
    #[error("the login took longer than an hour")]
    LoginExpired,
    /// The response head has left, so no cookie can be sent any more.
    #[error("the response has been sent: no session can be created or given a new token")]
    ResponseSent,
    /// The response head has left. [`Session::update`](crate::Session::update) could only answer from what was loaded
    /// before that: take [`update_now`](crate::Session::update_now).
    #[error("the response has been sent: use Session::update_now, which saves at once and answers what is stored")]
    UpdateAfterResponse,
    /// The user has as many sessions as the policy allows, and it refuses a further login: see
    /// [`AtLimit::RefuseLogin`](crate::AtLimit::RefuseLogin). Let the user end one, and log in again.
    #[error("the user has {limit} sessions, and no more are allowed")]
    TooManySessions {
        /// How many are allowed.
        limit: u32,
    },
    /// The session's data would be larger than the policy allows.
    #[error("the session would take {size} bytes, the limit is {limit}")]
    TooLarge {
        /// How many bytes the encoded session would take.
        size: usize,
        /// How many it may take.
        limit: usize,
    },
    /// A value could not be encoded, or the format could not give it back: see [`Format`](crate::Format). The source names its
    /// key.
    #[error("the value cannot be encoded")]
    Encode(#[source] ValueError),
    /// A stored value is not of the type that was asked for. The source names its key.
    #[error("a stored value is not of the type that was asked for")]
    Decode(#[source] ValueError),
    /// A user id is empty or too long.
    #[error(transparent)]
    Owner(#[from] crate::InvalidOwner),
    /// The lifetime that a login was to have cannot be: see [`Login::lasting`](crate::Login::lasting).
    #[error("a login has no such lifetime")]
    Lifetime(#[source] ConfigError),
    /// The owner of a session is not of the type that the application takes its user ids for.
    #[error(transparent)]
    UnexpectedOwner(#[from] crate::UnexpectedOwner),
    /// A text is no session id.
    #[error(transparent)]
    SessionId(#[from] crate::InvalidSessionId),
    /// The operating system has no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

/// What the format said of a value.
pub type ValueError = Arc<dyn std::error::Error + Send + Sync>;

impl Error {
    /// The error's name, for logs and for counting: `store_timed_out`, `contended`. It does not change between versions, and
    /// is the `error.type` of an event in the log (see [`SessionEvent`](crate::SessionEvent)).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Store(StoreError::AlreadyExists) => "store_already_exists",
            Self::Store(StoreError::Unavailable { .. }) => "store_unavailable",
            Self::Store(StoreError::TimedOut { .. }) => "store_timed_out",
            Self::Store(StoreError::Corrupt { .. }) => "store_corrupt",
            Self::Store(StoreError::Backend { .. }) => "store_backend",
            Self::Store(StoreError::Schema(_)) | Self::Schema(_) => "store_schema",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Contended => "contended",
            Self::Gone => "gone",
            Self::Superseded => "superseded",
            Self::Withheld(_) => "withheld",
            Self::LoginRevoked => "login_revoked",
            Self::NotLoggedIn => "not_logged_in",
            Self::StaleProof { .. } => "stale_proof",
            Self::LoginExpired => "login_expired",
            Self::ResponseSent => "response_sent",
            Self::UpdateAfterResponse => "update_after_response",
            Self::TooManySessions { .. } => "too_many_sessions",
            Self::TooLarge { .. } => "too_large",
            Self::Encode(_) => "encode",
            Self::Decode(_) => "decode",
            Self::Owner(_) => "invalid_owner",
            Self::Lifetime(_) => "invalid_lifetime",
            Self::UnexpectedOwner(_) => "unexpected_owner",
            Self::SessionId(_) => "invalid_session_id",
            Self::Randomness(_) => "randomness",
        }
    }

    /// The HTTP status that an adapter answers, with an opaque body: 503 for what may work later, 409 for a request
    /// that lost against another, 403 for one that is given no session, 401 where the user has to prove who they are, 400 for a
    /// user id or session id that cannot be one, 500 for the rest.
    ///
    /// It is a method and no `From`, so that no `?` makes a bare status of an error by accident. That would lose the cause, the
    /// line in the log and the `Retry-After`. A handler returns the `SessionError` of its adapter, which keeps them.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        use http::StatusCode as Status;
        match self {
            Self::Store(StoreError::Corrupt { .. }) => Status::INTERNAL_SERVER_ERROR,
            Self::Store(_) | Self::Schema(_) | Self::OutcomeUnknown | Self::Contended => Status::SERVICE_UNAVAILABLE,
            Self::Gone | Self::Superseded | Self::LoginRevoked | Self::LoginExpired | Self::TooManySessions { .. } => {
                Status::CONFLICT
            }
            Self::NotLoggedIn | Self::StaleProof { .. } => Status::UNAUTHORIZED,
            // To send it again would not help, and nothing is wrong with the server.
            Self::Withheld(_) => Status::FORBIDDEN,
            Self::Owner(_) | Self::SessionId(_) => Status::BAD_REQUEST,
            Self::ResponseSent
            | Self::UpdateAfterResponse
            | Self::TooLarge { .. }
            | Self::Encode(_)
            | Self::Decode(_)
            | Self::Lifetime(_)
            | Self::UnexpectedOwner(_)
            | Self::Randomness(_) => Status::INTERNAL_SERVER_ERROR,
        }
    }

    /// When the client may try again, for the `Retry-After` of a 503 (RFC 9110, section 10.2.3). `None` where that would not
    /// help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Store(StoreError::Corrupt { .. }) => None,
            Self::Store(_) => Some(Duration::from_secs(5)),
            Self::OutcomeUnknown | Self::Contended => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Schema(error) => Self::Schema(error),
            error => Self::Store(error),
        }
    }
}

/// The operating system gave no random bytes to make an id or a secret from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct RandomnessError;

/// Why a configuration is refused. Nothing is built from a half of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key is too short.
    #[error("a key needs 32 bytes or more, this one has {length}")]
    KeyTooShort {
        /// How many bytes it has.
        length: usize,
    },
    /// A key is nothing but zeros, as a buffer is that nobody has filled. Everybody can guess it.
    #[error("the key is all zeros")]
    KeyIsZero,
    /// A key is not base64.
    #[error("the key is neither base64 nor base64url")]
    KeyNotBase64,
    /// The cookie's name has a character that RFC 6265, section 4.1.1 forbids, or none at all.
    #[error("a cookie's name has only letters, digits and !#$%&'*+-.^_`|~")]
    CookieName,
    /// The header cannot carry the tokens of clients without cookies. See [`TokenHeader::named`](crate::TokenHeader::named).
    #[error("the header of a token {fault}")]
    TokenHeader {
        /// What is wrong with its name.
        fault: &'static str,
    },
    /// With a name of this length browsers drop the cookie (RFC 6265bis, section 5.6).
    #[error("a cookie's name has at most {limit} bytes, or browsers drop the cookie; this one has {length}")]
    CookieNameTooLong {
        /// How many bytes it has.
        length: usize,
        /// How many it may have, beside the value.
        limit: usize,
    },
    /// Browsers would not store the cookie with this `Path` or `Domain`, or would never send it.
    #[error("the cookie's {attribute} {fault}")]
    CookieAttribute {
        /// `Path` or `Domain`.
        attribute: &'static str,
        /// What is wrong with it, to follow the attribute in a sentence.
        fault: &'static str,
    },
    /// The `Domain` is on the application's list of public suffixes.
    #[error("the cookie's Domain is a public suffix, and browsers refuse cookies for these")]
    PublicSuffix,
    /// A former scope is the scope of the cookie itself, or is named twice: removing the one would remove the other.
    #[error("a former scope of the cookie is its present one, or is named twice")]
    FormerScope,
    /// The name's prefix demands what the attributes deny (RFC 6265bis, section 4.1.3).
    #[error("a cookie whose name starts with {prefix} needs {demand}")]
    CookiePrefix {
        /// The prefix.
        prefix: &'static str,
        /// What it demands.
        demand: &'static str,
    },
    /// Browsers refuse such a cookie without `Secure`.
    #[error("{attribute} needs Secure, or browsers refuse the cookie")]
    NeedsSecure {
        /// `SameSite=None` or `Partitioned`.
        attribute: &'static str,
    },
    /// A trusted proxy is no address and no network, or one of everybody.
    #[error("the trusted proxy at index {index} {fault}")]
    TrustedProxy {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it, to follow the proxy in a sentence.
        fault: &'static str,
    },
    /// A trusted origin is not one that a browser writes. See [`TrustedOrigins::at`](crate::TrustedOrigins::at).
    #[error("the trusted origin at index {index} {fault}")]
    TrustedOrigin {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it, to follow the origin in a sentence.
        fault: &'static str,
    },
    /// A host cannot be on the list, or not beside the others. See [`Hosts`](crate::Hosts).
    #[error("the host at index {index} {fault}")]
    Host {
        /// Which one, counted from 0 in the order in which they are listed.
        index: usize,
        /// What is wrong with it, to follow the host in a sentence.
        fault: &'static str,
    },
    /// A duration is zero, or longer than 400 days.
    #[error("{name} must be more than zero and at most 400 days")]
    Duration {
        /// Which one.
        name: &'static str,
    },
    /// The idle timeout is longer than the absolute one.
    #[error("the idle timeout of {name} is longer than its absolute one")]
    IdleAboveAbsolute {
        /// Which lifetime.
        name: &'static str,
    },
    /// An honest request could look like a thief.
    #[error("the rotation interval must be longer than the grace")]
    RotationWithinGrace,
    /// A login page is no path of the site: see [`LoginPage::new`](crate::LoginPage::new).
    #[error("a login page is a path of the site, without a fragment")]
    LoginPage,
    /// Nobody could log in.
    #[error("at least one session per owner must be allowed")]
    NoSessions,
    /// Not even an empty session would fit.
    #[error("the size limit must be between 1 KiB and 1 MiB")]
    SizeLimit,
}
