//! Signing keys: the first signs, every one verifies.

use std::fmt;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use ctutils::CtEq;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    ConfigError, Randomness,
    token::{SessionToken, random},
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
    /// [`ConfigError::KeyTooShort`] under 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        let too_short = ConfigError::KeyTooShort { length: bytes.len() };
        if bytes.len() < 32 {
            return Err(too_short);
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| too_short)
    }

    /// The key that is written as base64 or base64url, padded or not: what fits an environment variable.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyNotBase64`], or [`ConfigError::KeyTooShort`] under 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim().trim_end_matches('=');
        let bytes = Base64UrlUnpadded::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text));
        Self::from_bytes(&Zeroizing::new(bytes.map_err(|_| ConfigError::KeyNotBase64)?))
    }

    /// A fresh key. Cookies that it signed are void when it is lost.
    ///
    /// # Errors
    ///
    /// [`Randomness`] if the operating system has none.
    pub fn generate() -> Result<Self, Randomness> {
        let bytes = Zeroizing::new(random::<32>()?);
        Self::from_bytes(bytes.as_slice()).map_err(|_| Randomness)
    }

    /// Whether this is the MAC's text, in constant time: there is one text for each MAC.
    fn has_signed(&self, name: &str, token: &str, mac: &[u8; MAC_TEXT_LENGTH]) -> bool {
        let mut text = [0; MAC_TEXT_LENGTH];
        let ours = self.mac(name, token).finalize().into_bytes();
        Base64UrlUnpadded::encode(&ours, &mut text).is_ok() && text.ct_eq(mac).to_bool()
    }

    fn mac(&self, name: &str, token: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(name).chain_update("=").chain_update(token)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The keys of a site: the first signs new cookies, every one verifies those that come back.
///
/// To change the key, put the new one first and keep the old one until the last cookie that it signed has ended.
///
/// # Examples
///
/// ```
/// use session_core::{Key, Keyring};
///
/// let keys = Keyring::new(Key::generate()?).and_verify(Key::generate()?);
/// # Ok::<(), session_core::Randomness>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// A keyring that signs and verifies with this key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self(vec![key])
    }

    /// The same keyring that also verifies with an older key.
    #[must_use]
    pub fn and_verify(mut self, old: Key) -> Self {
        self.0.push(old);
        self
    }

    /// A keyring that signs nothing and accepts nothing: where there was no randomness to make a key from.
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `token.mac`, the MAC over `name=token`.
    pub(crate) fn sign(&self, name: &str, token: &SessionToken) -> Result<SignedToken, Randomness> {
        let key = self.0.first().ok_or(Randomness)?;
        let token = token.encode();
        let mac = key.mac(name, &token).finalize().into_bytes();
        let mut signed = Zeroizing::new(String::with_capacity(SignedToken::LENGTH));
        signed.push_str(&token);
        signed.push('.');
        signed.push_str(&Base64UrlUnpadded::encode_string(&mac));
        Ok(SignedToken(signed))
    }

    /// The token, if one of the keys signed it for this name.
    pub(crate) fn verify(&self, name: &str, signed: &str) -> Result<SessionToken, Forged> {
        let (token, mac) = signed
            .split_once('.')
            .filter(|(token, _)| token.len() == SessionToken::TEXT_LENGTH)
            .ok_or(Forged::Malformed)?;
        let mac = mac.as_bytes().try_into().map_err(|_| Forged::Malformed)?;
        if !self.0.iter().any(|key| key.has_signed(name, token, mac)) {
            return Err(Forged::Signature);
        }
        SessionToken::decode(token).ok_or(Forged::Malformed)
    }
}

/// Why a cookie of the right name is not genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forged {
    Malformed,
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
