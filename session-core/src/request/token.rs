//! Ids, secrets and the token that joins them.

use std::fmt;

use rand::{TryRng, rngs::SysRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::base64url;
use crate::RandomnessError;

/// Fills an array from the operating system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomnessError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| RandomnessError)?;
    Ok(bytes)
}

/// The name of a session: 16 random bytes, stable for its life and **not secret**.
///
/// It is the store's key, and what logs and lists of devices show. It opens nothing: for that a request needs the
/// session's secret, too. For serde it is its text, so it can be a part of a path, a form or a page's JSON.
///
/// # Examples
///
/// ```
/// use session_core::SessionId;
///
/// let id: SessionId = "AAECAwQFBgcICQoLDA0ODw".parse()?;
/// assert_eq!(id.as_bytes()[15], 15);
/// assert_eq!(id.to_string(), "AAECAwQFBgcICQoLDA0ODw");
/// # Ok::<(), session_core::InvalidSessionId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// How many characters an id has when it is written out: 22, base64url.
    pub const TEXT_LENGTH: usize = 22;

    /// The id with these bytes: for stores, which read it back, and for tests.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: [u8; Self::TEXT_LENGTH] = base64url::encode(&self.0);
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl std::str::FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        base64url::decode(text.as_bytes()).map(Self).ok_or(InvalidSessionId)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The text is not 22 characters of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 22 characters of base64url")]
pub struct InvalidSessionId;

/// What proves that a request may use a session: 32 random bytes that rotate.
///
/// Only its SHA-256 is ever stored.
#[derive(Clone)]
pub(crate) struct SessionSecret(Zeroizing<[u8; 32]>);

impl SessionSecret {
    pub(crate) fn random() -> Result<Self, RandomnessError> {
        random().map(Self::from_bytes)
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.as_bytes()).into())
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// SHA-256 of a secret: what a record keeps of it. Compared in constant time.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash(pub(crate) [u8; 32]);

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        use ctutils::CtEq;
        self.0.ct_eq(&other.0).to_bool()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// Id, generation and secret: 52 bytes, 70 characters base64url.
#[derive(Clone)]
pub(crate) struct SessionToken {
    pub(crate) id: SessionId,
    pub(crate) generation: u32,
    pub(crate) secret: SessionSecret,
    /// Whether it came under a key that is marked old. This is no part of the text.
    pub(crate) under_old_key: bool,
}

impl SessionToken {
    pub(crate) const TEXT_LENGTH: usize = 70;

    /// Writes its text into a string with room for it. `None` does not happen: all of it is ASCII.
    pub(crate) fn encode_into(&self, text: &mut String) -> Option<()> {
        let mut bytes = Zeroizing::new([0; 52]);
        bytes[..16].copy_from_slice(&self.id.0);
        bytes[16..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..].copy_from_slice(self.secret.as_bytes());
        let encoded: Zeroizing<[u8; Self::TEXT_LENGTH]> = Zeroizing::new(base64url::encode(&bytes));
        text.push_str(std::str::from_utf8(encoded.as_slice()).ok()?);
        Some(())
    }

    /// Reads a token whose MAC has been verified.
    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let bytes: Zeroizing<[u8; 52]> = Zeroizing::new(base64url::decode(text)?);
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, secret) = rest.split_first_chunk::<4>()?;
        Some(Self {
            id: SessionId(*id),
            generation: u32::from_be_bytes(*generation),
            secret: SessionSecret::from_bytes(secret.try_into().ok()?),
            under_old_key: false,
        })
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionToken({}, generation {}, ..)", self.id, self.generation)
    }
}
