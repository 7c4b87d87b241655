//! What the service that mints decides once.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value};
use session_core::{CurrentLogin, Error, Session};

use super::keys::random;
use crate::{AccessToken, ConfigError, IssueError, KeySet, MAX_LENGTH, MAX_LIFETIME, SigningKeys, claims, judge_name};

/// The shortest lifetime of a token. In a shorter one a slow network leaves nothing.
const MIN_LIFETIME: Duration = Duration::from_secs(5);

/// What mints access tokens: the names of issuer and audience, the lifetime, the keys. Cheap to clone, and clones share the
/// keys.
///
/// - For services that trust each other no further than their own tokens, make one for each audience. They may share the
///   keys.
/// - `sub` names a user of the issuer. So sites that have users of their own have an issuer each.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use session_access_token::{AccessTokens, SigningKey, SigningKeys};
///
/// # let from_environment = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// let keys = SigningKeys::new(SigningKey::from_base64(from_environment)?);
/// let tokens = AccessTokens::new("https://accounts.example", "https://api.example", keys)?
///     .with_lifetime(Duration::from_secs(30))?;
/// // For `tokens.key_set_json()`, which anybody may have.
/// assert_eq!(tokens.cache_control(), "private, max-age=300");
/// # Ok::<(), session_access_token::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccessTokens {
    issuer: Arc<str>,
    audience: Arc<str>,
    lifetime: Duration,
    key_set_max_age: Duration,
    keys: Arc<RwLock<Arc<SigningKeys>>>,
}

impl AccessTokens {
    /// Tokens that last 60 seconds, and keys whose published set lasts 5 minutes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Name`] if one of the names is not 1 to 255 visible characters of ASCII,
    /// [`ConfigError::KeySetTooLarge`] over 16 keys.
    pub fn new(issuer: &str, audience: &str, keys: SigningKeys) -> Result<Self, ConfigError> {
        judge_name("issuer", issuer)?;
        judge_name("audience", audience)?;
        KeySet::new(keys.published())?;
        Ok(Self {
            issuer: issuer.into(),
            audience: audience.into(),
            lifetime: Duration::from_secs(60),
            key_set_max_age: Duration::from_secs(300),
            keys: Arc::new(RwLock::new(Arc::new(keys))),
        })
    }

    /// The same for tokens that last this long. That is how long a token may outlive a logout.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Duration`] if it is not from 5 seconds to 10 minutes.
    pub fn with_lifetime(self, lifetime: Duration) -> Result<Self, ConfigError> {
        if !(MIN_LIFETIME..=MAX_LIFETIME).contains(&lifetime) {
            let (least, most) = (MIN_LIFETIME.as_secs(), MAX_LIFETIME.as_secs());
            return Err(ConfigError::Duration { which: "lifetime", least, most });
        }
        Ok(Self { lifetime, ..self })
    }

    /// The same with another maximum age of the published key set. That is how long a key that was withdrawn is still
    /// accepted.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Duration`] if it is not from one second to a day.
    pub fn with_key_set_max_age(self, max_age: Duration) -> Result<Self, ConfigError> {
        self.key_set().with_max_age(max_age)?;
        Ok(Self { key_set_max_age: max_age, ..self })
    }

    /// Exchanges the keys while the service runs, and of every clone. How a key is changed without a refused token,
    /// [`SigningKeys`] tells.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeySetTooLarge`] over 16 keys: then the keys stay.
    pub fn set_keys(&self, keys: SigningKeys) -> Result<(), ConfigError> {
        KeySet::new(keys.published())?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// The keys that verify, for a [`Verifier`](crate::Verifier) in the same program. It is a copy, which does not get old:
    /// after [`set_keys`](Self::set_keys) give the verifier the set again.
    #[must_use]
    pub fn key_set(&self) -> KeySet {
        KeySet::of_judged(self.keys().published().collect(), self.key_set_max_age)
    }

    /// The keys that verify, as JSON to publish, with the `Content-Type` `application/json` and
    /// [`cache_control`](Self::cache_control). It is no secret.
    #[must_use]
    pub fn key_set_json(&self) -> String {
        self.key_set().to_json()
    }

    /// The `Cache-Control` of the published key set. It is `private`, so that no cache on the way adds its own age to the
    /// time that a withdrawn key is still accepted.
    #[must_use]
    pub fn cache_control(&self) -> String {
        format!("private, max-age={}", self.key_set_max_age.as_secs())
    }

    fn keys(&self) -> Arc<SigningKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Mints a token of the session's login, with these claims of the application.
    pub(crate) async fn mint(&self, session: &Session, claims: Map<String, Value>) -> Result<AccessToken, IssueError> {
        if let Some(claim) = claims::RESERVED.into_iter().find(|name| claims.contains_key(*name)) {
            return Err(IssueError::ReservedClaim { claim });
        }
        // What is known of the session is as old as the request. So an older one asks the store again, before too little is
        // left of the lifetime.
        let login = session.current_login(self.lifetime / 2).await?.ok_or(IssueError::NotLoggedIn)?;
        if login.acting_as().is_some() {
            return Err(IssueError::Acting);
        }
        // The clock is read first: a pause between the two makes the token end earlier, and never later.
        let now = SystemTime::now();
        let expires_in = self.expires_in(&login)?;
        let payload = self.payload(&login, claims, now, expires_in)?;
        let token = self.keys().signing().sign(&payload).ok_or(IssueError::Randomness)?;
        match token.len() {
            length if length > MAX_LENGTH => Err(IssueError::TooLong { length }),
            _ => Ok(AccessToken::new(token, expires_in)),
        }
    }

    /// How long a token may last. Its lifetime counts from when the store was asked: so none is good for longer than a
    /// lifetime after its session has ended.
    fn expires_in(&self, login: &CurrentLogin) -> Result<Duration, IssueError> {
        let lifetime = self.lifetime.checked_sub(login.asked_ago()).ok_or(IssueError::TooSlow)?;
        let left = lifetime.min(login.expires_in()).min(login.ends_in());
        // A token has milliseconds.
        if left < Duration::from_millis(1) { Err(Error::Gone.into()) } else { Ok(left) }
    }

    fn payload(
        &self,
        login: &CurrentLogin,
        claims: Map<String, Value>,
        now: SystemTime,
        expires_in: Duration,
    ) -> Result<String, IssueError> {
        let time = |time: SystemTime| Value::String(humantime::format_rfc3339_millis(time).to_string());
        let mut all = claims;
        claims::put_owner(&mut all, login.owner().as_bytes());
        let token_id = Base64UrlUnpadded::encode_string(&random::<16>()?);
        for (claim, value) in [
            ("iss", Value::from(&*self.issuer)),
            ("aud", Value::from(&*self.audience)),
            ("sid", Value::from(login.id().to_string())),
            ("iat", time(now)),
            ("nbf", time(now)),
            ("exp", time(now + expires_in)),
            ("jti", Value::from(token_id)),
        ] {
            all.insert(claim.to_owned(), value);
        }
        serde_json::to_string(&all).map_err(|error| IssueError::Claims(Some(error.into())))
    }
}
