//! The keys that verify, as they are published.

use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{ConfigError, PublicKey, key::Untrusted};

/// The keys that verify tokens, as the minting service publishes them.
///
/// The JSON that is published:
///
/// ```json
/// {"keys":[{"kid":"k4.pid.…","key":"k4.public.…"}],"max_age":300}
/// ```
///
/// `max_age` is in seconds. A set that was read from JSON is outdated when it is older than that, and then a
/// [`Verifier`](crate::Verifier) refuses every token: a key in it may have been withdrawn. So fetch it again when half of
/// [`max_age`](Self::max_age) is over, directly from the service that mints, and give it to
/// [`Verifier::set_keys`](crate::Verifier::set_keys).
///
/// # Examples
///
/// A set that is written by hand has no maximum age, and stays as it is:
///
/// ```
/// use session_access_token::KeySet;
///
/// let keys = KeySet::new(["k4.public.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8".parse()?])?;
/// assert_eq!(keys.max_age(), None);
/// # Ok::<(), session_access_token::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<PublicKey>,
    max_age: Option<Duration>,
    /// When it was read, on both clocks of this machine. Only a set that was read gets old.
    read: Option<(Instant, SystemTime)>,
}

#[derive(Serialize, Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct PublishedKey {
    kid: String,
    key: String,
}

impl KeySet {
    /// How many keys it may have.
    const MAX_KEYS: usize = 16;

    /// How many bytes of JSON are read.
    const MAX_JSON: usize = 16 * 1024;

    /// The longest maximum age, in seconds: a day.
    const LONGEST_MAX_AGE: u64 = 24 * 60 * 60;

    /// A set of these keys, which does not get old. Of none at all it refuses every token.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeySetTooLarge`] over 16 keys.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, ConfigError> {
        let keys: Vec<_> = keys.into_iter().take(Self::MAX_KEYS + 1).collect();
        if keys.len() > Self::MAX_KEYS {
            return Err(ConfigError::KeySetTooLarge);
        }
        Ok(Self { keys, max_age: None, read: None })
    }

    /// The set that a service publishes, whose keys and age were judged before.
    #[cfg(feature = "issue")]
    pub(crate) fn of_judged(keys: Vec<PublicKey>, max_age: Duration) -> Self {
        Self { keys, max_age: Some(max_age), read: None }
    }

    /// The same with this maximum age in its JSON.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Duration`] if it is not from one second to a day.
    pub fn with_max_age(self, max_age: Duration) -> Result<Self, ConfigError> {
        if !(1..=Self::LONGEST_MAX_AGE).contains(&max_age.as_secs()) {
            let which = "maximum age of the key set";
            return Err(ConfigError::Duration { which, least: 1, most: Self::LONGEST_MAX_AGE });
        }
        Ok(Self { max_age: Some(max_age), ..self })
    }

    /// Reads a published set. It is as old as this call.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeySet`] or [`ConfigError::PublicKey`] if it is not of the form that it must have,
    /// [`ConfigError::KeyId`] if an id is not that of its key, [`ConfigError::Duration`],
    /// [`ConfigError::KeySetTooLarge`].
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        if json.len() > Self::MAX_JSON {
            return Err(ConfigError::KeySetTooLarge);
        }
        let published: Published = serde_json::from_str(json).map_err(|error| ConfigError::KeySet(error.into()))?;
        let mut keys = Vec::new();
        for PublishedKey { kid, key } in published.keys {
            let key: PublicKey = key.parse()?;
            if key.id() != kid {
                return Err(ConfigError::KeyId);
            }
            keys.push(key);
        }
        let set = Self { read: Some((Instant::now(), SystemTime::now())), ..Self::new(keys)? };
        match published.max_age {
            Some(seconds) => set.with_max_age(Duration::from_secs(seconds)),
            None => Ok(set),
        }
    }

    /// The JSON to publish.
    #[must_use]
    pub fn to_json(&self) -> String {
        let published = |key: &PublicKey| PublishedKey { kid: key.id().to_owned(), key: key.to_string() };
        let keys = self.keys.iter().map(published).collect();
        let published = Published { keys, max_age: self.max_age.map(|age| age.as_secs()) };
        // Text and a number are always JSON.
        serde_json::to_string(&published).unwrap_or_default()
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How old the set may get after it was read; `None` if it has no maximum age.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The key that the token says it was signed by. The footer is compared and not parsed.
    pub(crate) fn find(&self, token: &Untrusted) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.footer().as_bytes() == token.untrusted_footer())
    }

    /// Whether it is older than it may be. The clock counts that says more: the one stands still while a machine is
    /// suspended, the other can be set back.
    pub(crate) fn is_outdated(&self, now: SystemTime) -> bool {
        let (Some((read, read_at)), Some(max_age)) = (self.read, self.max_age) else { return false };
        read.elapsed().max(now.duration_since(read_at).unwrap_or_default()) > max_age
    }
}
