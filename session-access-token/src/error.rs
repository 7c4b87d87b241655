//! What can go wrong.

use std::error::Error as StdError;

use http::StatusCode;

/// Why a token is refused. It is for the log: the client gets [`status`](Self::status), and no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The request has no `Authorization: Bearer`, or has two `Authorization` headers.
    #[error("the request has no access token")]
    NoToken,
    /// The token is longer than [`MAX_LENGTH`](crate::MAX_LENGTH), and was not read.
    #[error("the access token is too long")]
    TooLong,
    /// The text is no PASETO `v4.public`, for example a JWT.
    #[error("the text is no access token")]
    Malformed,
    /// It is a PASETO of another version or purpose, such as `v4.local`.
    #[error("the token is a PASETO of another version or purpose")]
    OtherPurpose,
    /// None of the keys has the id in the token's footer. Perhaps the key is new: then fetch the key set again, but not more
    /// often than every few seconds, because anybody can send a token of an unknown key.
    #[error("the access token was signed by a key that is not in the key set")]
    UnknownKey,
    /// The key with this id has not signed it, or not as an access token.
    #[error("the access token's signature is not genuine")]
    Signature,
    /// A claim is missing.
    #[error("the access token has no claim `{claim}`")]
    MissingClaim {
        /// Its name.
        claim: &'static str,
    },
    /// A claim is not of the form that it must have.
    #[error("the access token's claim `{claim}` is invalid")]
    InvalidClaim {
        /// Its name.
        claim: &'static str,
    },
    /// Another issuer has minted it.
    #[error("the access token is of another issuer")]
    Issuer,
    /// It is for another service.
    #[error("the access token is for another audience")]
    Audience,
    /// It lasts longer than this verifier allows.
    #[error("the access token lasts longer than is allowed")]
    TooLongLived,
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
    /// Its time has not come: the clocks of the two servers differ by more than the leeway.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// The key set is older than its maximum age, so a key in it may have been withdrawn. Fetch it again.
    #[error("the key set is older than its maximum age")]
    KeysOutdated,
}

impl VerifyError {
    /// The HTTP status to answer: 401, or 503 if only the key set is outdated, which is nothing that the client can mend.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::KeysOutdated => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The value of `WWW-Authenticate`, which a 401 must have (RFC 6750, section 3); `None` beside a 503.
    #[must_use]
    pub const fn www_authenticate(self) -> Option<&'static str> {
        match self {
            Self::KeysOutdated => None,
            Self::NoToken => Some("Bearer"),
            _ => Some("Bearer error=\"invalid_token\""),
        }
    }
}

/// A claim is not of the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("a claim of the access token is not of the type that was asked for")]
pub struct ClaimError(#[source] Box<dyn StdError + Send + Sync>);

impl ClaimError {
    pub(crate) fn new(source: serde_json::Error) -> Self {
        Self(source.into())
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A signing key has another length.
    #[error("a signing key has 32 bytes, this one has {length}")]
    KeyLength {
        /// How many bytes it has.
        length: usize,
    },
    /// A signing key is not base64.
    #[error("the signing key is neither base64 nor base64url")]
    KeyNotBase64,
    /// A signing key is nothing but zeros.
    #[error("the signing key is all zeros")]
    KeyIsZero,
    /// A text is no public key.
    #[error("a public key is written as `k4.public.` and 43 characters")]
    PublicKey,
    /// The name of an issuer or an audience cannot be one.
    #[error("the {which} must be 1 to 255 visible characters of ASCII")]
    Name {
        /// `issuer` or `audience`.
        which: &'static str,
    },
    /// A duration is out of its bounds.
    #[error("the {which} must be from {least} to {most} seconds")]
    Duration {
        /// Which one.
        which: &'static str,
        /// The least, in seconds.
        least: u64,
        /// The most, in seconds.
        most: u64,
    },
    /// A key set is longer than 16 KiB, or has more than 16 keys.
    #[error("a key set has at most 16 KiB and 16 keys")]
    KeySetTooLarge,
    /// A key set is not the JSON that it must be.
    #[error("the key set is not of the form that it must have")]
    KeySet(#[source] Box<dyn StdError + Send + Sync>),
    /// A key in a key set has the id of another.
    #[error("a key of the key set has the id of another key")]
    KeyId,
}
