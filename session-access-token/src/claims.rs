//! What a token says.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{ClaimError, VerifyError};

/// The claims that this crate makes and reads. An application adds none of these.
#[cfg(feature = "issue")]
pub(crate) const RESERVED: [&str; 9] = ["iss", "aud", "sub", "owner", "sid", "iat", "nbf", "exp", "jti"];

/// The longest owner, in bytes.
const MAX_OWNER: usize = 255;

/// What a genuine access token says. It comes from [`Verifier::verify`](crate::Verifier::verify).
#[derive(Clone)]
pub struct AccessClaims {
    session_id: String,
    owner: Box<[u8]>,
    issued_at: SystemTime,
    not_before: Option<SystemTime>,
    expires_at: SystemTime,
    all: Map<String, Value>,
}

impl AccessClaims {
    /// The owner, if it is text (`sub`): a number in decimal, a UUID, a name. `None` if its bytes are no UTF-8.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        std::str::from_utf8(&self.owner).ok()
    }

    /// The owner, whether it is text or not: 1 to 255 bytes. `Owner::try_from` of `session-core` makes the same owner of
    /// them.
    #[must_use]
    pub fn owner_bytes(&self) -> &[u8] {
        &self.owner
    }

    /// The id of the session that has minted it (`sid`): for logs, and to ask the service that has the sessions.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// When it was minted (`iat`), on the clock of the server that has minted it.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// Until when it is good (`exp`), on the clock of the server that has minted it.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Its own name (`jti`), for logs.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.all.get("jti").and_then(Value::as_str)
    }

    /// A claim that the application has added.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if it is of another type.
    pub fn get<T: DeserializeOwned>(&self, claim: &str) -> Result<Option<T>, ClaimError> {
        self.all.get(claim).map(|value| T::deserialize(value).map_err(ClaimError::new)).transpose()
    }

    /// Reads what a key has signed. Issuer, audience and times are judged later.
    pub(crate) fn read(payload: &str) -> Result<Self, VerifyError> {
        let all: Map<String, Value> = serde_json::from_str(payload).map_err(|_| VerifyError::Malformed)?;
        Ok(Self {
            session_id: text(&all, "sid")?.ok_or(VerifyError::MissingClaim { claim: "sid" })?.to_owned(),
            owner: owner(&all)?,
            issued_at: time(&all, "iat")?.ok_or(VerifyError::MissingClaim { claim: "iat" })?,
            not_before: time(&all, "nbf")?,
            expires_at: time(&all, "exp")?.ok_or(VerifyError::MissingClaim { claim: "exp" })?,
            all,
        })
    }

    pub(crate) fn judge_issuer(&self, issuer: &str) -> Result<(), VerifyError> {
        self.judge_name("iss", issuer, VerifyError::Issuer)
    }

    pub(crate) fn judge_audience(&self, audience: &str) -> Result<(), VerifyError> {
        self.judge_name("aud", audience, VerifyError::Audience)
    }

    fn judge_name(&self, claim: &'static str, name: &str, other: VerifyError) -> Result<(), VerifyError> {
        match text(&self.all, claim)? {
            Some(is) if is == name => Ok(()),
            Some(_) => Err(other),
            None => Err(VerifyError::MissingClaim { claim }),
        }
    }

    /// Judges the times: `leeway` is for clocks that differ.
    pub(crate) fn judge_times(&self, now: SystemTime, leeway: Duration, longest: Duration) -> Result<(), VerifyError> {
        let lifetime = self.expires_at.duration_since(self.issued_at);
        let lifetime = lifetime.map_err(|_| VerifyError::InvalidClaim { claim: "exp" })?;
        if lifetime > longest {
            return Err(VerifyError::TooLongLived);
        }
        let is_future = |time: SystemTime| time.duration_since(now).is_ok_and(|ahead| ahead > leeway);
        if is_future(self.issued_at) || self.not_before.is_some_and(is_future) {
            return Err(VerifyError::NotYetValid);
        }
        if now.duration_since(self.expires_at).is_ok_and(|over| over >= leeway) {
            return Err(VerifyError::Expired);
        }
        Ok(())
    }
}

/// Writes the owner into the claims: as `sub` if it is text.
#[cfg(feature = "issue")]
pub(crate) fn put_owner(all: &mut Map<String, Value>, owner: &[u8]) {
    match std::str::from_utf8(owner) {
        Ok(text) => all.insert("sub".to_owned(), text.into()),
        Err(_) => all.insert("owner".to_owned(), Base64UrlUnpadded::encode_string(owner).into()),
    };
}

/// The owner of either claim. There is one spelling of each owner, so text is never in `owner`.
fn owner(all: &Map<String, Value>) -> Result<Box<[u8]>, VerifyError> {
    let (claim, bytes) = match (text(all, "sub")?, text(all, "owner")?) {
        (Some(text), None) => ("sub", text.as_bytes().to_vec()),
        (None, Some(text)) => {
            let bytes = Base64UrlUnpadded::decode_vec(text).ok().filter(|bytes| std::str::from_utf8(bytes).is_err());
            ("owner", bytes.unwrap_or_default())
        }
        (None, None) => return Err(VerifyError::MissingClaim { claim: "sub" }),
        (Some(_), Some(_)) => ("owner", Vec::new()),
    };
    if (1..=MAX_OWNER).contains(&bytes.len()) { Ok(bytes.into()) } else { Err(VerifyError::InvalidClaim { claim }) }
}

fn text<'a>(all: &'a Map<String, Value>, claim: &'static str) -> Result<Option<&'a str>, VerifyError> {
    let text = |value: &'a Value| value.as_str().ok_or(VerifyError::InvalidClaim { claim });
    all.get(claim).map(text).transpose()
}

fn time(all: &Map<String, Value>, claim: &'static str) -> Result<Option<SystemTime>, VerifyError> {
    let time = |text| humantime::parse_rfc3339(text).map_err(|_| VerifyError::InvalidClaim { claim });
    text(all, claim)?.map(time).transpose()
}

impl fmt::Debug for AccessClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AccessClaims");
        match self.subject() {
            Some(subject) => debug.field("subject", &subject),
            None => debug.field("owner", &self.owner),
        };
        debug.field("session_id", &self.session_id).field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
