//! The session cookie: its attributes, reading it and writing it.

use std::{
    env,
    fmt::{self, Write},
    iter,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::HeaderValue;
use sha2::{Digest, Sha256};

use crate::{
    ConfigError, SignedToken,
    request::{
        Carrier, CarrierKind, CookieScope, Keyring,
        read_tokens::{ReadTokens, cookie_values},
    },
};

/// Browsers cut a cookie's life to this (RFC 6265bis, section 5.5).
const LONGEST_MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Only this many bytes of cookies of our name are looked at. Those of other names do not count: they would hide ours.
const MOST_BYTES: usize = 16 * 1024;

/// What ends a cookie's life, for browsers that know `Max-Age` and for those that do not.
const GONE: &str = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

/// Browsers drop a cookie whose name and value have more than 4096 bytes together (RFC 6265bis, section 5.6).
const LONGEST_NAME: usize = 4096 - SignedToken::LENGTH;

/// Which requests from other sites carry the cookie (RFC 6265bis, section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// No request, not even when a link is followed.
    Strict,
    /// A request for a link that is followed. Not a form that is posted, nor a picture that is loaded.
    Lax,
    /// Every request. It needs `Secure`.
    None,
}

/// The name and the attributes of the session cookie.
///
/// There is no `Max-Age` to set. The cookie of a persistent session lives until the session ends, any other until the browser
/// is closed.
///
/// # Moving the cookie
///
/// A cookie is a name *and* a scope: `Domain`, `Path` and `Partitioned`. If one of these changes under the same name,
/// browsers keep the old cookie beside the new one, and send both. So name the old scope by
/// [`former_scope`](CookieConfigBuilder::former_scope). Its cookie is then removed
///
/// - by each response that gives a login's token in the present scope, and by a logout;
/// - by the token of a new anonymous session, if the request had a cookie of the name, was within the old scope's path, and
///   came by no link of another site. Otherwise the browser may keep a login there that it did not send. With
///   `SameSite=None` that is so in each frame of another site, and so no such token removes it.
///
/// It is never removed alone. While two versions of a site run side by side, the one cookie of a request may be the live login:
/// a `Cookie` header does not tell scopes.
///
/// If the two run side by side for longer than a rotation interval, let the version before name the *new* scope by `former_scope`,
/// in a release of its own. Otherwise it replaces a token and leaves the old one in the new scope. A page to which the browser
/// sends that one alone takes it for a stolen one, and the user is logged out.
///
/// A cookie of the present scope whose session has ended is not removed either. The response that removes it could arrive late,
/// and remove the cookie of a login that has overtaken it. Such a cookie costs one load in each request that asks for its
/// session. That ends with the next login, the next new session, or when the browser is closed.
///
/// # Examples
///
/// ```
/// use session_core::{CookieConfig, CookieScope, SameSite};
///
/// // Once for all of `example.com`, now for this host alone.
/// let before = CookieScope::host().domain("example.com");
/// let cookie = CookieConfig::builder("session").former_scope(before).build()?;
///
/// let cookie = CookieConfig::builder("__Host-session").same_site(SameSite::Strict).build()?;
/// assert_eq!(cookie.name(), "__Host-session");
/// assert!(CookieConfig::builder("__Host-session").secure(false).build().is_err());
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieConfig {
    name: String,
    scope: CookieScope,
    former: Vec<CookieScope>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
}

impl CookieConfig {
    /// A cookie of this name with `Path=/`, `Secure`, `HttpOnly` and `SameSite=Lax`, until changed.
    #[must_use]
    pub fn builder(name: &str) -> CookieConfigBuilder {
        CookieConfigBuilder { cookie: Self { name: name.to_owned(), ..Self::production() }, is_public_suffix: None }
    }

    /// `__Host-session`: as strict as cookies get.
    pub(crate) fn production() -> Self {
        Self {
            name: "__Host-session".to_owned(),
            scope: CookieScope::host(),
            former: Vec::new(),
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
        }
    }

    /// A cookie without `Secure`: what browsers accept over plain http.
    ///
    /// It is called `session-` and eight hexadecimal digits, which are made of the path of the running program. Browsers
    /// send a cookie to every port of a host (RFC 6265, section 8.5), so two programs need two names, or a login at one
    /// logs the user out of the other. Two sites that one program serves need names of their own: take
    /// [`builder`](Self::builder) with `secure(false)`.
    #[must_use]
    pub fn development() -> Self {
        static NAME: LazyLock<String> = LazyLock::new(development_name);
        Self { name: NAME.clone(), secure: false, ..Self::production() }
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

    pub(crate) fn scope(&self) -> &CookieScope {
        &self.scope
    }

    /// Whether a browser takes the two for one cookie, if they have one name.
    pub(crate) fn is_of_scope(&self, other: &Self) -> bool {
        self.scope == other.scope
    }

    /// What its tokens are signed for, at the site of this label.
    pub(crate) fn carrier<'a>(&'a self, site: &'a str) -> Carrier<'a> {
        Carrier { kind: CarrierKind::Cookie, site, name: &self.name }
    }

    pub(crate) fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// Verifies every cookie of our name. A browser sends one for each Domain, Path and partition, in any order.
    pub(crate) fn read(&self, header: &[u8], site: &str, keys: &Keyring) -> ReadTokens {
        let carrier = self.carrier(site);
        let mut read = ReadTokens::default();
        let mut bytes = 0;
        for value in cookie_values(header, &self.name) {
            read.present = true;
            bytes += self.name.len() + 1 + value.len();
            if bytes > MOST_BYTES {
                read.has_more = true;
                break;
            }
            read.add(keys.verify(carrier, value));
        }
        read
    }

    /// The `Set-Cookie` that gives the browser this token.
    pub(crate) fn set(&self, token: &SignedToken, max_age: Option<Duration>) -> Option<HeaderValue> {
        let age = max_age.map(|age| format!("; Max-Age={}", age.min(LONGEST_MAX_AGE).as_secs()));
        self.header(&self.scope, token.expose(), &age.unwrap_or_default())
    }

    /// The `Set-Cookie` that makes the browser forget the cookie: with the attributes it was set with, or a browser
    /// would not take it for the same (RFC 6265bis, section 5.7).
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header(&self.scope, "", GONE)
    }

    /// The `Set-Cookie`s that make the browser forget what it has in those of the former scopes.
    pub(crate) fn remove_former(&self, of: impl Fn(&CookieScope) -> bool) -> impl Iterator<Item = HeaderValue> {
        self.former.iter().filter(move |scope| of(scope)).filter_map(|scope| self.header(scope, "", GONE))
    }

    fn header(&self, scope: &CookieScope, value: &str, life: &str) -> Option<HeaderValue> {
        let [of_path, path, of_domain, domain] = scope.place();
        let secure = if self.secure { "; Secure" } else { "" };
        let http_only = if self.http_only { "; HttpOnly" } else { "" };
        let same_site = match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        let partitioned = if scope.is_partitioned() { "; Partitioned" } else { "" };
        let (name, place) = ([self.name.as_str(), "=", value], [of_path, path, life, of_domain, domain]);
        let flags = [secure, http_only, same_site, partitioned];
        // Of exactly its length, so that nothing is copied again.
        let mut header = String::with_capacity(name.iter().chain(&place).chain(&flags).map(|part| part.len()).sum());
        header.extend(name.into_iter().chain(place).chain(flags));
        let mut header = HeaderValue::try_from(header).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// Worked out once: where a running program is replaced by its next build, its path changes.
fn development_name() -> String {
    // Where the system does not tell the path, the program was at least called somehow.
    let program = env::current_exe().ok().map(PathBuf::into_os_string).or_else(|| env::args_os().next());
    let hash = Sha256::digest(program.unwrap_or_default().as_encoded_bytes());
    let mut name = "session-".to_owned();
    for byte in hash.iter().take(4) {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Collects the attributes of a [`CookieConfig`] and judges them together.
#[derive(Clone)]
pub struct CookieConfigBuilder {
    cookie: CookieConfig,
    is_public_suffix: Option<PublicSuffixes>,
}

/// The application's list: whether it has a domain, in lower case.
type PublicSuffixes = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl CookieConfigBuilder {
    /// The path under which the cookie is sent.
    ///
    /// It is written as in the address of a request: what browsers escape there is escaped here, too.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.cookie.scope = self.cookie.scope.path(path);
        self
    }

    /// The domain whose hosts get the cookie. Without one, only the host that set it does, which is safer.
    ///
    /// Browsers refuse a domain that is not the host of the site, or above it. They refuse a public suffix as well, under
    /// which strangers register names: `co.uk`, `github.io`, and each single label such as `com`. This crate brings no
    /// list of these: see [`public_suffixes`](Self::public_suffixes). An IPv4 address, or a suffix that is the host
    /// itself, is the same as no domain.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.cookie.scope = self.cookie.scope.domain(domain);
        self
    }

    /// The list of public suffixes that the domain is looked up in: [`build`](Self::build) then refuses it if it is one.
    ///
    /// The closure is asked in lower case. With the crate `psl` it is
    /// `|domain| psl::suffix_str(domain) == Some(domain)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::CookieConfig;
    ///
    /// // In real life from <https://publicsuffix.org>.
    /// let suffixes = ["com", "uk", "co.uk", "github.io"];
    /// let cookie = |domain| CookieConfig::builder("session").domain(domain).public_suffixes(move |d| suffixes.contains(&d));
    /// assert!(cookie("shop.co.uk").build().is_ok());
    /// assert!(cookie("co.uk").build().is_err());
    /// ```
    #[must_use]
    pub fn public_suffixes(mut self, is_public_suffix: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.is_public_suffix = Some(Arc::new(is_public_suffix));
        self
    }

    /// Whether the cookie travels over https only.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.cookie.secure = secure;
        self
    }

    /// Whether scripts are kept from the cookie.
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.cookie.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookie.same_site = same_site;
        self
    }

    /// Whether an embedded page has a jar for each site that embeds it (CHIPS).
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.cookie.scope = self.cookie.scope.partitioned(partitioned);
        self
    }

    /// A scope in which browsers may still have a cookie of this name from before: see
    /// [moving the cookie](CookieConfig#moving-the-cookie). May be called several times.
    #[must_use]
    pub fn former_scope(mut self, scope: CookieScope) -> Self {
        self.cookie.former.push(scope);
        self
    }

    /// Judges the whole.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names what browsers would refuse, or would never send.
    pub fn build(self) -> Result<CookieConfig, ConfigError> {
        let Self { cookie, is_public_suffix } = self;
        cookie.judge_name()?;
        for (at, scope) in cookie.scopes().enumerate() {
            scope.judge(|domain| is_public_suffix.as_ref().is_some_and(|is_public_suffix| is_public_suffix(domain)))?;
            if cookie.scopes().take(at).any(|other| other == scope) {
                return Err(ConfigError::FormerScope);
            }
        }
        cookie.judge_prefix()?;
        let needs_secure = match cookie.same_site {
            SameSite::None => Some("SameSite=None"),
            _ if cookie.scopes().any(CookieScope::is_partitioned) => Some("Partitioned"),
            _ => None,
        };
        match needs_secure {
            Some(attribute) if !cookie.secure => Err(ConfigError::NeedsSecure { attribute }),
            _ => Ok(cookie),
        }
    }
}

impl fmt::Debug for CookieConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CookieConfigBuilder").field(&self.cookie).finish()
    }
}

impl CookieConfig {
    /// The present scope, then the former ones.
    fn scopes(&self) -> impl Iterator<Item = &CookieScope> {
        iter::once(&self.scope).chain(&self.former)
    }

    fn judge_name(&self) -> Result<(), ConfigError> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(ConfigError::CookieName);
        }
        let (length, limit) = (self.name.len(), LONGEST_NAME);
        if length > limit { Err(ConfigError::CookieNameTooLong { length, limit }) } else { Ok(()) }
    }

    /// RFC 6265bis, section 4.1.3. Browsers compare prefixes without regard to case.
    fn judge_prefix(&self) -> Result<(), ConfigError> {
        let name = self.name.to_ascii_lowercase();
        let prefixes = ["__Host-Http-", "__Host-", "__Http-", "__Secure-"];
        let Some(prefix) = prefixes.into_iter().find(|prefix| name.starts_with(&prefix.to_ascii_lowercase())) else {
            return Ok(());
        };
        let is_host = prefix.starts_with("__Host-");
        let of_scopes = self.scopes().filter(|_| is_host).flat_map(CookieScope::demands_of_host_prefix);
        let demands = [(self.secure, "Secure"), (!prefix.ends_with("Http-") || self.http_only, "HttpOnly")];
        match demands.into_iter().chain(of_scopes).find(|(kept, _)| !kept) {
            Some((_, demand)) => Err(ConfigError::CookiePrefix { prefix, demand }),
            None => Ok(()),
        }
    }
}
