//! The keys: the first seals, all open.

use std::{
    fmt, str,
    sync::{Arc, PoisonError, RwLock},
};

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand::{TryRng, rngs::SysRng};
use session_core::RandomnessError;
use zeroize::Zeroizing;

use crate::SealConfigError;

/// How many bytes a key has.
const KEY_LENGTH: usize = 32;

/// The name of a key: 1 to 32 letters, digits, dots, hyphens and underscores. It is no secret.
///
/// It stands before each payload that the key has sealed, and in errors. A date is a good one, such as `2026-11`. Give each
/// key an id that no other key has ever had.
///
/// # Examples
///
/// ```
/// use session_sealed::KeyId;
///
/// let id: KeyId = "2026-11".parse()?;
/// assert_eq!(id.to_string(), "2026-11");
/// # Ok::<(), session_sealed::SealConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// How many characters it has at most. So it is no key by mistake: a key has 43 in base64.
    pub(crate) const LONGEST: usize = 32;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl str::FromStr for KeyId {
    type Err = SealConfigError;

    fn from_str(text: &str) -> Result<Self, SealConfigError> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_id = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(is_fit);
        if is_id { Ok(Self(text.into())) } else { Err(SealConfigError::KeyId) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

/// A key that seals payloads: 32 random bytes, and the name by which a payload says which key has sealed it.
///
/// It is no key that signs cookies. Make a key of its own: `openssl rand -base64 32`.
///
/// # Examples
///
/// ```
/// use session_sealed::SealKey;
///
/// let key = SealKey::from_base64("2026-11", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")?;
/// assert_eq!(format!("{key:?}"), "SealKey(2026-11, ..)");
/// assert!(SealKey::from_bytes("2026-11", b"too short").is_err());
/// # Ok::<(), session_sealed::SealConfigError>(())
/// ```
#[derive(Clone)]
pub struct SealKey {
    id: KeyId,
    pub(crate) cipher: XChaCha20Poly1305,
}

impl SealKey {
    /// The key with this id and these bytes.
    ///
    /// # Errors
    ///
    /// [`SealConfigError::KeyLength`] if they are not 32 bytes, [`SealConfigError::KeyIsZero`] if each is zero,
    /// [`SealConfigError::KeyId`] if the id is none.
    pub fn from_bytes(id: &str, bytes: &[u8]) -> Result<Self, SealConfigError> {
        let length = bytes.len();
        let key = <&[u8; KEY_LENGTH]>::try_from(bytes).map_err(|_| SealConfigError::KeyLength { length })?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(SealConfigError::KeyIsZero);
        }
        Ok(Self { id: id.parse()?, cipher: XChaCha20Poly1305::new(key.into()) })
    }

    /// The key that is written as base64 or base64url, padded or not: what fits an environment variable or a file.
    ///
    /// # Errors
    ///
    /// [`SealConfigError::KeyNotBase64`], else as [`from_bytes`](Self::from_bytes).
    pub fn from_base64(id: &str, text: &str) -> Result<Self, SealConfigError> {
        let text = text.trim().trim_end_matches('=');
        let bytes = Base64UrlUnpadded::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text));
        Self::from_bytes(id, &Zeroizing::new(bytes.map_err(|_| SealConfigError::KeyNotBase64)?))
    }

    /// A fresh key. What it has sealed is lost with it: this is for tests and development.
    ///
    /// # Errors
    ///
    /// [`SealConfigError::Randomness`] if the operating system has none, [`SealConfigError::KeyId`] if the id is none.
    pub fn generate(id: &str) -> Result<Self, SealConfigError> {
        let bytes = Zeroizing::new(random::<KEY_LENGTH>()?);
        Self::from_bytes(id, bytes.as_slice())
    }

    /// The name of the key.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({}, ..)", self.id)
    }
}

/// The keys of a [`SealedStore`](crate::SealedStore): the first seals, all open.
///
/// # Changing the key
///
/// 1. Every node opens what the new key has sealed: `SealKeys::new(old).and_open(new)`. A site of one node starts with the
///    next step.
/// 2. Every node seals with the new key: `SealKeys::new(new).and_open(old)`. A session is sealed with the new key once
///    something in it is written: a value, a login, a rotation. Reading it does not do that.
/// 3. The old key goes: `SealKeys::new(new)`. It is needed until every session that it has sealed has ended or was written
///    again. Counted from the moment when the last node stopped sealing with it, that is the longest absolute timeout of the
///    site (of the [policy](session_core::Policy::describe), or of [`Login::lasting`](session_core::Login::lasting)), and at
///    least a day.
///
/// Between two steps, wait until every node has taken the first. A running store takes other keys by
/// [`SealedStore::set_keys`](crate::SealedStore::set_keys).
///
/// # A key that a stranger has
///
/// The stranger can read what it has sealed, if they also have the database, and can make payloads if they can write to it.
/// Seal with a new key, do not keep the old one, and give the store an empty table (or prefix, or collection). Everybody logs
/// in again. With the old table, pages of those who are logged in would fail, and a user who has just logged out everywhere
/// could not log in for a day, because nobody can read when that was.
///
/// # Examples
///
/// ```
/// use session_sealed::{SealKey, SealKeys};
///
/// let [old, new] = [SealKey::generate("2026-05")?, SealKey::generate("2026-11")?];
/// let first = SealKeys::new(old.clone()).and_open(new.clone());
/// let then = SealKeys::new(new.clone()).and_open(old);
/// let at_last = SealKeys::new(new);
/// # Ok::<(), session_sealed::SealConfigError>(())
/// ```
#[derive(Clone)]
pub struct SealKeys {
    first: SealKey,
    others: Vec<SealKey>,
}

impl SealKeys {
    /// Keys that seal and open with this one.
    #[must_use]
    pub fn new(key: SealKey) -> Self {
        Self { first: key, others: Vec::new() }
    }

    /// The same keys, and another one that opens what it has sealed.
    #[must_use]
    pub fn and_open(mut self, other: SealKey) -> Self {
        self.others.push(other);
        self
    }

    /// The key that seals.
    pub(crate) fn sealing(&self) -> &SealKey {
        &self.first
    }

    /// The key with this id.
    pub(crate) fn find(&self, id: &KeyId) -> Option<&SealKey> {
        self.iter().find(|key| key.id == *id)
    }

    /// Refuses two keys of one id.
    pub(crate) fn judge(&self) -> Result<(), SealConfigError> {
        let mut before = self.iter().enumerate();
        let is_twin = |(at, key): &(usize, &SealKey)| self.iter().take(*at).any(|other| other.id == key.id);
        let twin = before.find(is_twin).map(|(_, key)| key.id.clone());
        twin.map_or(Ok(()), |id| Err(SealConfigError::TwoKeysOfOneId { id }))
    }

    fn iter(&self) -> impl Iterator<Item = &SealKey> {
        [&self.first].into_iter().chain(&self.others)
    }
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The keys of a store, which can be exchanged while it runs. Clones share them.
#[derive(Clone)]
pub(crate) struct SharedKeys(Arc<RwLock<Arc<SealKeys>>>);

impl SharedKeys {
    pub(crate) fn new(keys: SealKeys) -> Result<Self, SealConfigError> {
        keys.judge()?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(keys)))))
    }

    pub(crate) fn now(&self) -> Arc<SealKeys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, keys: SealKeys) -> Result<(), SealConfigError> {
        keys.judge()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

/// Fills an array from the operating system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomnessError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| RandomnessError)?;
    Ok(bytes)
}
