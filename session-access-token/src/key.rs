//! The public half of a key: it verifies.

use std::{fmt, str::FromStr};

use pasetors::{
    keys::AsymmetricPublicKey,
    paserk::{FormatAsPaserk, Id},
    token::UntrustedToken,
    version4::{PublicToken, V4},
};

use crate::{ConfigError, IMPLICIT_ASSERTION};

/// A token that was taken apart, and not verified.
pub(crate) type Untrusted = UntrustedToken<pasetors::token::Public, V4>;

/// The public half of a signing key. It is no secret.
///
/// Its text is a PASERK: `k4.public.` and the key in base64url.
///
/// # Examples
///
/// ```
/// use session_access_token::PublicKey;
///
/// let key: PublicKey = "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8".parse()?;
/// assert_eq!(key.id(), "k4.pid.9ShR3xc8-qVJ_di0tc9nx0IDIqbatdeM2mqLFBJsKRHs");
/// assert_eq!(key.to_string(), "k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8");
/// # Ok::<(), session_access_token::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct PublicKey {
    key: AsymmetricPublicKey<V4>,
    id: String,
    /// The footer of each token that it verifies.
    footer: String,
}

impl PublicKey {
    pub(crate) fn new(key: AsymmetricPublicKey<V4>) -> Self {
        let id = text(&Id::from(&key));
        let footer = format!(r#"{{"kid":"{id}"}}"#);
        Self { key, id, footer }
    }

    /// Its name: a hash of it, written as a PASERK `k4.pid`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn footer(&self) -> &str {
        &self.footer
    }

    /// The token's payload, if this key has signed it as an access token.
    pub(crate) fn verify(&self, token: &Untrusted) -> Option<String> {
        let verified = PublicToken::verify(&self.key, token, Some(self.footer.as_bytes()), Some(IMPLICIT_ASSERTION));
        verified.ok().map(|verified| verified.payload().to_owned())
    }
}

fn text(paserk: &impl FormatAsPaserk) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = paserk.fmt(&mut text);
    text
}

impl FromStr for PublicKey {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        AsymmetricPublicKey::try_from(text).map(Self::new).map_err(|_| ConfigError::PublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&text(&self.key))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PublicKey {}
