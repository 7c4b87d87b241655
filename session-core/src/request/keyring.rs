//! Signing keys: the first signs, every one verifies.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    ConfigError, RandomnessError,
    request::{SessionToken, base64url, token::random},
};

/// 32 bytes in base64url.
const MAC_TEXT_LENGTH: usize = 43;

/// A key that signs cookies: 32 random bytes or more.
///
/// # Examples
///
/// ```
/// use session_core::Key;
///
/// let key = Key::from_base64("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")?;
/// assert_eq!(format!("{key:?}"), "Key(..)");
/// assert!(Key::from_bytes(b"too short").is_err());
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key with these bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyTooShort`] under 32 bytes, [`ConfigError::KeyIsZero`] if each is zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        let too_short = ConfigError::KeyTooShort { length: bytes.len() };
        if bytes.len() < 32 {
            return Err(too_short);
        }
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(ConfigError::KeyIsZero);
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| too_short)
    }

    /// The key that is written as base64 or base64url, padded or not: what fits an environment variable.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyNotBase64`], else as [`from_bytes`](Self::from_bytes).
    pub fn from_base64(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim().trim_end_matches('=');
        let bytes = Base64UrlUnpadded::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text));
        Self::from_bytes(&Zeroizing::new(bytes.map_err(|_| ConfigError::KeyNotBase64)?))
    }

    /// A fresh key. Cookies that it signed are void when it is lost.
    ///
    /// # Errors
    ///
    /// [`RandomnessError`] if the operating system has none.
    pub fn generate() -> Result<Self, RandomnessError> {
        let bytes = Zeroizing::new(random::<32>()?);
        Self::from_bytes(bytes.as_slice()).map_err(|_| RandomnessError)
    }

    /// Whether this is the MAC, in constant time.
    fn has_signed(&self, carrier: Carrier<'_>, token: &[u8], mac: &[u8; 32]) -> bool {
        self.mac(carrier, token).verify(mac.into()).is_ok()
    }

    fn mac(&self, carrier: Carrier<'_>, token: &[u8]) -> Hmac<Sha256> {
        let Carrier { kind, site, name } = carrier;
        let parts = [kind.label().as_bytes(), site.as_bytes(), name.as_bytes(), token];
        let mut mac = self.0.clone();
        // The lengths first, so that no two carriers have one text: `a` and `bc` are not `ab` and `c`.
        let lengths = parts.map(|part| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(lengths.as_flattened());
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a token travels in. Its MAC covers this, so that a token of one carrier is never good in another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carrier<'a> {
    pub(crate) kind: CarrierKind,
    /// The label of the site, empty where it has none.
    pub(crate) site: &'a str,
    /// The name of the cookie or of the header.
    pub(crate) name: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarrierKind {
    Cookie,
    Header,
}

impl CarrierKind {
    fn label(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Header => "header",
        }
    }
}

/// The keys of a site: the first signs new cookies, every one verifies those that come back.
///
/// # Changing the key
///
/// 1. Every node accepts the new key: `Keyring::new(old).and_accept(new)`. A site of one node starts with the next step.
/// 2. Every node signs with the new key: `Keyring::new(new).and_retire(old)`. A login whose cookie is under the old key
///    gets one under the new key when it is used, if its token is older than the [grace](crate::PolicyBuilder::grace).
///    An anonymous session keeps its cookie.
/// 3. The old key goes: `Keyring::new(new)`. It is needed for the longest idle time of a login and the grace, or until
///    the absolute end of a session before login, whichever is later, counted from the moment when the last node stopped
///    signing with it. For the sessions of its policy, [`Policy::describe`](crate::Policy::describe) says how long.
///
/// Between two steps, wait until every node has taken the first. A running manager takes other keys by
/// [`SessionManager::set_keys`](crate::SessionManager::set_keys). A key that a stranger has is dropped at once: then
/// everybody whose cookie it signed logs in again.
///
/// # Examples
///
/// ```
/// use session_core::{Key, Keyring};
///
/// let [old, new] = [Key::generate()?, Key::generate()?];
/// let first = Keyring::new(old.clone()).and_accept(new.clone());
/// let then = Keyring::new(new.clone()).and_retire(old);
/// let at_last = Keyring::new(new);
/// # Ok::<(), session_core::RandomnessError>(())
/// ```
#[doc(alias("secret", "SECRET_KEY", "secret_key_base"))]
#[derive(Clone, Debug)]
pub struct Keyring {
    /// The first signs.
    keys: Vec<Key>,
    old: Vec<Key>,
}

impl Keyring {
    /// A keyring that signs and verifies with this key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { keys: vec![key], old: Vec::new() }
    }

    /// The same keyring that also accepts what another key has signed: one that other nodes sign with, or soon will.
    #[must_use]
    pub fn and_accept(mut self, next: Key) -> Self {
        self.keys.push(next);
        self
    }

    /// The same keyring that also accepts what an old key has signed, and replaces a login's cookie under it when the
    /// login is used.
    #[must_use]
    pub fn and_retire(mut self, old: Key) -> Self {
        self.old.push(old);
        self
    }

    /// A keyring that signs nothing and accepts nothing: where there was no randomness to make a key from.
    pub(crate) fn empty() -> Self {
        Self { keys: Vec::new(), old: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether these are the same keys in the same order. Their MACs tell, in constant time; no token is empty.
    pub(crate) fn are(&self, other: &Self) -> bool {
        let mac = |key: &Key| key.mac(Carrier { kind: CarrierKind::Cookie, site: "", name: "" }, b"").finalize();
        let is_same = |(one, other): (&Key, &Key)| mac(one) == mac(other);
        let are = |ours: &[Key], theirs: &[Key]| ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same);
        are(&self.keys, &other.keys) && are(&self.old, &other.old)
    }

    /// `token.mac`, the MAC over the carrier and the token.
    pub(crate) fn sign(&self, carrier: Carrier<'_>, token: &SessionToken) -> Result<SignedToken, RandomnessError> {
        let key = self.keys.first().ok_or(RandomnessError)?;
        let mut signed = Zeroizing::new(String::with_capacity(SignedToken::LENGTH));
        token.encode_into(&mut signed).ok_or(RandomnessError)?;
        let mac: [u8; MAC_TEXT_LENGTH] =
            base64url::encode(&key.mac(carrier, signed.as_bytes()).finalize().into_bytes().into());
        signed.push('.');
        signed.push_str(std::str::from_utf8(&mac).map_err(|_| RandomnessError)?);
        Ok(SignedToken(signed))
    }

    /// The token, if one of the keys signed it for this carrier; it says whether that was an old key.
    pub(crate) fn verify(&self, carrier: Carrier<'_>, signed: &[u8]) -> Result<SessionToken, Forged> {
        let Some((token, [b'.', mac @ ..])) = signed.split_at_checked(SessionToken::TEXT_LENGTH) else {
            return Err(Forged::Malformed);
        };
        // There is one text for each MAC.
        let mac = base64url::decode(mac).ok_or(Forged::Malformed)?;
        let read = SessionToken::decode(token).ok_or(Forged::Malformed)?;
        let is_by_one_of = |keys: &[Key]| keys.iter().any(|key| key.has_signed(carrier, token, &mac));
        let under_old_key = !is_by_one_of(&self.keys);
        if under_old_key && !is_by_one_of(&self.old) {
            return Err(Forged::Signature);
        }
        Ok(SessionToken { under_old_key, ..read })
    }
}

/// The keyring of a site, which can be exchanged while exchanges are under way. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<RwLock<Arc<Keyring>>>);

impl Keys {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keyring))))
    }

    pub(crate) fn now(&self) -> Arc<Keyring> {
        self.hold().clone()
    }

    /// The keys, held as they are until this is dropped. For a moment: who sets other keys waits.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, Arc<Keyring>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }
}

/// Why a cookie of the right name is not genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forged {
    Malformed,
    /// It has the shape of a token with its MAC, and none of the keys has made it.
    Signature,
}

/// A token with its signature: what a cookie holds, or a header of a client without cookies. **Secret.**
#[derive(Clone)]
pub struct SignedToken(Zeroizing<String>);

impl SignedToken {
    /// How many characters it has: 114.
    pub const LENGTH: usize = SessionToken::TEXT_LENGTH + 1 + MAC_TEXT_LENGTH;

    /// The text to send to the client, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedToken(..)")
    }
}

#[cfg(test)]
mod tests;
