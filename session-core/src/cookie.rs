//! The session cookie: its attributes, reading it and writing it.

use std::{fmt::Write, time::Duration};

use http::HeaderValue;

use crate::{
    ConfigError, SignedToken,
    keyring::{Forged, Keyring},
    token::SessionToken,
};

/// Browsers cut a cookie's life to this (RFC 6265bis, section 5.5).
const LONGEST_MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// What comes after so many bytes of `Cookie` headers is not looked at.
const MOST_BYTES: usize = 16 * 1024;

/// Which requests from other sites carry the cookie (RFC 6265bis, section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// None: also not when a link is followed.
    Strict,
    /// When a link is followed, not when a form is posted or a picture loaded.
    Lax,
    /// All. Needs `Secure`.
    None,
}

/// The name and the attributes of the session cookie.
///
/// There is no `Max-Age` to set: a persistent session's cookie lives to the session's end, any other to the end of the
/// browser's session.
///
/// # Examples
///
/// ```
/// use session_core::{CookieConfig, SameSite};
///
/// let cookie = CookieConfig::builder("__Host-session").same_site(SameSite::Strict).build()?;
/// assert_eq!(cookie.name(), "__Host-session");
/// assert!(CookieConfig::builder("__Host-session").secure(false).build().is_err());
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieConfig {
    name: String,
    path: String,
    domain: Option<String>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
}

impl CookieConfig {
    /// A cookie of this name with `Path=/`, `Secure`, `HttpOnly` and `SameSite=Lax`, until changed.
    #[must_use]
    pub fn builder(name: &str) -> CookieConfigBuilder {
        CookieConfigBuilder(Self { name: name.to_owned(), ..Self::production() })
    }

    /// `__Host-session`: as strict as cookies get.
    pub(crate) fn production() -> Self {
        Self {
            name: "__Host-session".to_owned(),
            path: "/".to_owned(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }

    /// A cookie called `session`, without `Secure`: what browsers accept over plain http.
    #[must_use]
    pub fn development() -> Self {
        Self { name: "session".to_owned(), secure: false, ..Self::production() }
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the cookie travels over https only.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Verifies every cookie of our name. A browser sends one for each Domain, Path and partition, in any order.
    pub(crate) fn read(&self, header: &[u8], keys: &Keyring) -> ReadCookies {
        let mut read = ReadCookies::default();
        for value in values(&header[..header.len().min(MOST_BYTES)], &self.name) {
            read.present = true;
            match std::str::from_utf8(value).map_err(|_| Forged::Malformed).and_then(|v| keys.verify(&self.name, v)) {
                Ok(token) => read.tokens.push(token),
                Err(Forged::Malformed) => read.malformed += 1,
                Err(Forged::Signature) => read.wrongly_signed += 1,
            }
        }
        read
    }

    /// The `Set-Cookie` that gives the browser this token.
    pub(crate) fn set(&self, token: &SignedToken, max_age: Option<Duration>) -> Option<HeaderValue> {
        let age = max_age.map(|age| format!("; Max-Age={}", age.min(LONGEST_MAX_AGE).as_secs()));
        self.header(token.expose(), &age.unwrap_or_default())
    }

    /// The `Set-Cookie` that makes the browser forget the cookie: with the attributes it was set with, or a browser
    /// would not take it for the same (RFC 6265bis, section 5.7).
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header("", "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    }

    fn header(&self, value: &str, life: &str) -> Option<HeaderValue> {
        let mut header = format!("{}={value}; Path={}{life}", self.name, self.path);
        if let Some(domain) = &self.domain {
            write!(header, "; Domain={domain}").ok()?;
        }
        header.push_str(if self.secure { "; Secure" } else { "" });
        header.push_str(if self.http_only { "; HttpOnly" } else { "" });
        header.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        header.push_str(if self.partitioned { "; Partitioned" } else { "" });
        let mut header = HeaderValue::try_from(header).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The values of the cookies of this name in one `Cookie` header (RFC 6265, section 5.4).
fn values<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    header.split(|byte| *byte == b';').filter_map(move |pair| {
        let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        Some(rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii())
    })
}

/// What the cookies of our name were.
#[derive(Debug, Default)]
pub(crate) struct ReadCookies {
    pub(crate) tokens: Vec<SessionToken>,
    pub(crate) present: bool,
    pub(crate) malformed: usize,
    pub(crate) wrongly_signed: usize,
}

/// Collects the attributes of a [`CookieConfig`] and judges them together.
#[derive(Clone, Debug)]
pub struct CookieConfigBuilder(CookieConfig);

impl CookieConfigBuilder {
    /// The path under which the cookie is sent.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.0.path);
        self
    }

    /// The domain whose hosts get the cookie. Without one, only the host that set it does, which is safer.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.0.domain = Some(domain.to_owned());
        self
    }

    /// Whether the cookie travels over https only.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.0.secure = secure;
        self
    }

    /// Whether scripts are kept from the cookie.
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.0.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.0.same_site = same_site;
        self
    }

    /// Whether an embedded page has a jar for each site that embeds it (CHIPS).
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.0.partitioned = partitioned;
        self
    }

    /// Judges the whole.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names what browsers would refuse.
    pub fn build(self) -> Result<CookieConfig, ConfigError> {
        let cookie = self.0;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if cookie.name.is_empty() || !cookie.name.bytes().all(is_token) {
            return Err(ConfigError::CookieName);
        }
        if !cookie.path.starts_with('/')
            || cookie.path.bytes().any(|byte| byte == b';' || !(b' '..=b'~').contains(&byte))
        {
            return Err(ConfigError::CookieAttribute { attribute: "Path" });
        }
        let is_host = |host: &String| {
            !host.is_empty()
                && !host.starts_with(['.', '-'])
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
        };
        if !cookie.domain.as_ref().is_none_or(is_host) {
            return Err(ConfigError::CookieAttribute { attribute: "Domain" });
        }
        cookie.judge_prefix()?;
        let needs_secure = match (cookie.same_site, cookie.partitioned) {
            (SameSite::None, _) => Some("SameSite=None"),
            (_, true) => Some("Partitioned"),
            _ => None,
        };
        match needs_secure {
            Some(attribute) if !cookie.secure => Err(ConfigError::NeedsSecure { attribute }),
            _ => Ok(cookie),
        }
    }
}

impl CookieConfig {
    /// RFC 6265bis, section 4.1.3. Browsers compare prefixes without regard to case.
    fn judge_prefix(&self) -> Result<(), ConfigError> {
        let name = self.name.to_ascii_lowercase();
        let prefixes = ["__Host-Http-", "__Host-", "__Http-", "__Secure-"];
        let Some(prefix) = prefixes.into_iter().find(|prefix| name.starts_with(&prefix.to_ascii_lowercase())) else {
            return Ok(());
        };
        let demands = [
            (self.secure, "Secure"),
            (!prefix.starts_with("__Host-") || self.path == "/", "Path=/"),
            (!prefix.starts_with("__Host-") || self.domain.is_none(), "no Domain"),
            (!prefix.ends_with("Http-") || self.http_only, "HttpOnly"),
        ];
        match demands.into_iter().find(|(kept, _)| !kept) {
            Some((_, demand)) => Err(ConfigError::CookiePrefix { prefix, demand }),
            None => Ok(()),
        }
    }
}
