//! The keys that sign.

use std::fmt;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use ed25519_compact::{KeyPair, Seed};
use pasetors::{
    keys::{AsymmetricPublicKey, AsymmetricSecretKey},
    version4::{PublicToken, V4},
};
use zeroize::Zeroizing;

use crate::{ConfigError, IMPLICIT_ASSERTION, IssueError, PublicKey};

/// A key that signs access tokens: 32 random bytes, from which both halves of an Ed25519 key are made.
///
/// It is a key of its own, and never one of those that sign cookies.
///
/// # Examples
///
/// ```
/// use session_access_token::SigningKey;
///
/// let key = SigningKey::from_base64("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")?;
/// assert!(key.public_key().to_string().starts_with("k4.public."));
/// assert!(SigningKey::from_bytes(b"too short").is_err());
/// # Ok::<(), session_access_token::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    secret: AsymmetricSecretKey<V4>,
    public: PublicKey,
}

impl SigningKey {
    /// The key that is made of these bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyLength`] if they are not 32, [`ConfigError::KeyIsZero`] if each is zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::KeyLength { length: bytes.len() };
        let seed = Seed::from_slice(bytes).map_err(|_| wrong())?;
        // The crate that signs panics on it.
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(ConfigError::KeyIsZero);
        }
        let pair = KeyPair::from_seed(seed);
        let secret = AsymmetricSecretKey::from(pair.sk.as_slice()).map_err(|_| wrong())?;
        let public = AsymmetricPublicKey::from(pair.pk.as_slice()).map_err(|_| wrong())?;
        Ok(Self { secret, public: PublicKey::new(public) })
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

    /// A fresh key: for tests. Tokens that it signed are refused when it is lost.
    ///
    /// # Errors
    ///
    /// [`IssueError::Randomness`] if the operating system has none.
    pub fn generate() -> Result<Self, IssueError> {
        let bytes = Zeroizing::new(random::<32>()?);
        Self::from_bytes(bytes.as_slice()).map_err(|_| IssueError::Randomness)
    }

    /// The half that verifies.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The token with this payload.
    pub(crate) fn sign(&self, payload: &str) -> Option<String> {
        let footer = Some(self.public.footer().as_bytes());
        PublicToken::sign(&self.secret, payload.as_bytes(), footer, Some(IMPLICIT_ASSERTION)).ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id())
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], IssueError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| IssueError::Randomness)?;
    Ok(bytes)
}

/// The keys of the service that mints: one signs, and all are published.
///
/// # Changing the key
///
/// 1. Every node publishes the new key: `SigningKeys::new(old).and_publish(new.public_key().clone())`. Wait for the maximum
///    age of the key set: then every other service has it.
/// 2. Every node signs with the new key: `SigningKeys::new(new).and_publish(old.public_key().clone())`. Wait for the lifetime
///    of a token, and 5 seconds.
/// 3. The old key goes: `SigningKeys::new(new)`.
///
/// Each step is [`AccessTokens::set_keys`](crate::AccessTokens::set_keys) on a service that runs.
///
/// A key that a stranger has goes at once: begin with step 3. Other services refuse the new tokens until they have fetched
/// the key set, and accept the stranger's until then, for the maximum age at most.
///
/// # Examples
///
/// ```
/// use session_access_token::{SigningKey, SigningKeys};
///
/// let [old, new] = [SigningKey::generate()?, SigningKey::generate()?];
/// let first = SigningKeys::new(old.clone()).and_publish(new.public_key().clone());
/// let then = SigningKeys::new(new.clone()).and_publish(old.public_key().clone());
/// let at_last = SigningKeys::new(new);
/// # Ok::<(), session_access_token::IssueError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SigningKeys {
    signs: SigningKey,
    also_published: Vec<PublicKey>,
}

impl SigningKeys {
    /// Keys of which this one signs.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self { signs: key, also_published: Vec::new() }
    }

    /// The same, which also publish another key: one that signs soon, or signed until now.
    #[must_use]
    pub fn and_publish(mut self, key: PublicKey) -> Self {
        self.also_published.push(key);
        self
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signs
    }

    /// Those that are published, the one that signs first.
    pub(crate) fn published(&self) -> impl Iterator<Item = PublicKey> {
        [self.signs.public_key()].into_iter().chain(&self.also_published).cloned()
    }
}
