//! Who verifies a token: another service, without the store.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, header};

use crate::{AccessClaims, ConfigError, KeySet, MAX_LENGTH, MAX_LIFETIME, VerifyError, judge_name, key::Untrusted};

/// The longest leeway: 5 seconds.
const MAX_LEEWAY: Duration = Duration::from_secs(5);

/// What verifies access tokens: the keys, the one issuer and the one audience. Cheap to clone, and clones share the keys.
///
/// # Examples
///
/// A service that keeps its keys fresh. How it fetches a page is its own choice.
///
/// ```
/// use session_access_token::{ConfigError, KeySet, Verifier};
///
/// # fn fetch(_: &str) -> Result<String, std::io::Error> { Ok(r#"{"keys":[],"max_age":300}"#.to_owned()) }
/// fn refresh(verifier: &Verifier) -> Result<(), Box<dyn std::error::Error>> {
///     let keys = KeySet::from_json(&fetch("https://accounts.example/access-token-keys")?)?;
///     verifier.set_keys(keys); // and again when half of its maximum age is over
///     Ok(())
/// }
/// # let verifier = Verifier::new(KeySet::new([])?, "https://accounts.example", "https://api.example")?;
/// # refresh(&verifier).unwrap();
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Arc<RwLock<Arc<KeySet>>>,
    issuer: Arc<str>,
    audience: Arc<str>,
    leeway: Duration,
    longest: Duration,
}

impl Verifier {
    /// A verifier with these keys. The issuer and the audience are the two names of the service that mints.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Name`] if one of the names is not 1 to 255 visible characters of ASCII.
    pub fn new(keys: KeySet, issuer: &str, audience: &str) -> Result<Self, ConfigError> {
        judge_name("issuer", issuer)?;
        judge_name("audience", audience)?;
        let keys = Arc::new(RwLock::new(Arc::new(keys)));
        let (issuer, audience) = (issuer.into(), audience.into());
        Ok(Self { keys, issuer, audience, leeway: MAX_LEEWAY, longest: MAX_LIFETIME })
    }

    /// The same with another leeway for clocks that differ: 5 seconds by default, and at most.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Duration`] over 5 seconds.
    pub fn with_leeway(self, leeway: Duration) -> Result<Self, ConfigError> {
        if leeway > MAX_LEEWAY {
            return Err(ConfigError::Duration { which: "leeway", least: 0, most: MAX_LEEWAY.as_secs() });
        }
        Ok(Self { leeway, ..self })
    }

    /// The same for tokens that last this long at most: 10 minutes by default, and at most. With the lifetime of the
    /// service that mints, a longer one never comes through by mistake.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Duration`] if it is not from one second to 10 minutes.
    pub fn with_longest_lifetime(self, longest: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_secs(1)..=MAX_LIFETIME).contains(&longest) {
            let which = "longest lifetime";
            return Err(ConfigError::Duration { which, least: 1, most: MAX_LIFETIME.as_secs() });
        }
        Ok(Self { longest, ..self })
    }

    /// Exchanges the keys of this verifier while it runs, and of every clone of it.
    pub fn set_keys(&self, keys: KeySet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The keys of this moment.
    #[must_use]
    pub fn keys(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the token in the request's `Authorization: Bearer` says.
    ///
    /// # Errors
    ///
    /// [`VerifyError::NoToken`] if there is none, else as [`verify`](Self::verify).
    pub fn verify_headers(&self, headers: &HeaderMap) -> Result<AccessClaims, VerifyError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(VerifyError::NoToken) };
        self.verify_authorization(value.to_str().map_err(|_| VerifyError::NoToken)?)
    }

    /// The same, of the one value of the `Authorization` header: for frameworks with header types of their own.
    ///
    /// # Errors
    ///
    /// As [`verify_headers`](Self::verify_headers).
    pub fn verify_authorization(&self, value: &str) -> Result<AccessClaims, VerifyError> {
        // The scheme is written in any case (RFC 9110, section 11.1).
        match value.trim().split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.verify(token.trim_start()),
            _ => Err(VerifyError::NoToken),
        }
    }

    /// What the token says, if it is genuine, of the issuer, for the audience, and good now.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] says why it is refused.
    pub fn verify(&self, token: &str) -> Result<AccessClaims, VerifyError> {
        self.verify_at(token, SystemTime::now())
    }

    /// The same at another time: for tests.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_at(&self, token: &str, now: SystemTime) -> Result<AccessClaims, VerifyError> {
        if token.len() > MAX_LENGTH {
            return Err(VerifyError::TooLong);
        }
        let untrusted = take_apart(token)?;
        let keys = self.keys();
        if keys.is_outdated(now) {
            return Err(VerifyError::KeysOutdated);
        }
        let key = keys.find(&untrusted).ok_or(VerifyError::UnknownKey)?;
        let payload = key.verify(&untrusted).ok_or(VerifyError::Signature)?;
        let claims = AccessClaims::read(&payload)?;
        claims.judge_issuer(&self.issuer)?;
        claims.judge_audience(&self.audience)?;
        claims.judge_times(now, self.leeway, self.longest)?;
        Ok(claims)
    }
}

/// Takes a token apart. Nothing in it is trusted yet.
fn take_apart(token: &str) -> Result<Untrusted, VerifyError> {
    if token.starts_with("v4.public.") {
        return Untrusted::try_from(token).map_err(|_| VerifyError::Malformed);
    }
    let mut parts = token.split('.');
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|n| n.parse::<u8>().is_ok());
    match (parts.next(), parts.next()) {
        (Some(version), Some("local" | "public")) if is_version(version) => Err(VerifyError::OtherPurpose),
        _ => Err(VerifyError::Malformed),
    }
}
