//! Where a cookie is sent: which `Domain` and `Path` browsers store, and which a request can ever match.

use std::net::Ipv4Addr;

use crate::ConfigError;

/// Browsers ignore an attribute whose value is longer (RFC 6265bis, section 5.6).
const LONGEST_ATTRIBUTE: usize = 1024;

/// The longest host name, and the longest label of one (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What browsers write as `%` and two digits in the path of an address, and the `;` that would end the attribute.
const ESCAPED_IN_PATHS: &[u8] = b" \"#<>?\\^`{|};";

/// What, with the name, tells cookies of one browser apart: `Domain`, `Path` and `Partitioned`.
///
/// # Examples
///
/// ```
/// use session_core::CookieScope;
///
/// // `Set-Cookie: session=…; Path=/shop; Domain=example.com`
/// let scope = CookieScope::host().path("/shop").domain("example.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieScope {
    path: String,
    domain: Option<String>,
    partitioned: bool,
}

impl CookieScope {
    /// The scope of a cookie with `Path=/`, without `Domain` and `Partitioned`: the host that set it.
    #[must_use]
    pub fn host() -> Self {
        Self { path: "/".to_owned(), domain: None, partitioned: false }
    }

    /// The same under this path.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The same for the hosts of this domain.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        Self { domain: Some(domain.to_ascii_lowercase()), ..self }
    }

    /// The same in the jar of the site that embeds the page.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        Self { partitioned, ..self }
    }

    pub(crate) fn is_partitioned(&self) -> bool {
        self.partitioned
    }

    /// Whether a cookie whose name starts with `__Host-` can have it (RFC 6265bis, section 4.1.3.2).
    pub(crate) fn demands_of_host_prefix(&self) -> [(bool, &'static str); 2] {
        [(self.path == "/", "Path=/"), (self.domain.is_none(), "no Domain")]
    }

    /// Judges what browsers store and send.
    pub(crate) fn judge(&self, is_public_suffix: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
        judge_path(&self.path)?;
        let Some(domain) = &self.domain else { return Ok(()) };
        judge_domain(domain)?;
        if is_public_suffix(domain) { Err(ConfigError::PublicSuffix) } else { Ok(()) }
    }

    /// Whether a browser sends its cookie to this path (RFC 6265, section 5.1.4).
    pub(crate) fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }

    pub(crate) fn has_domain(&self) -> bool {
        self.domain.is_some()
    }

    /// Whether a browser sends its cookie to this host (RFC 6265, section 5.1.3). The host that sets it is left out.
    pub(crate) fn has_in_domain(&self, host: &str) -> bool {
        let Some(rest) = self.domain.as_ref().and_then(|domain| host.strip_suffix(domain.as_str())) else {
            return false;
        };
        rest.is_empty() || rest.ends_with('.')
    }

    /// The attributes `Path` and `Domain`, in parts. The last two are empty where there is no domain.
    pub(crate) fn place(&self) -> [&str; 4] {
        let (of_domain, domain) = self.domain.as_ref().map_or(("", ""), |domain| ("; Domain=", domain));
        ["; Path=", &self.path, of_domain, domain]
    }
}

/// Judges the domain whose hosts get a cookie.
fn judge_domain(domain: &str) -> Result<(), ConfigError> {
    match host_fault(domain) {
        Some(fault) => Err(ConfigError::CookieAttribute { attribute: "Domain", fault }),
        None => Ok(()),
    }
}

/// What is wrong with the name of a host, to follow it in a sentence.
pub(crate) fn host_fault(domain: &str) -> Option<&'static str> {
    let labels = || domain.split('.');
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let has_hyphen_at_end = |label: &str| label.starts_with('-') || label.ends_with('-');
    let faults = [
        (domain.is_empty(), "is empty"),
        (domain.starts_with('.'), "starts with a dot: leave the dot out"),
        (domain.ends_with('.'), "ends with a dot, and browsers refuse that"),
        (
            !domain.bytes().all(is_of_host),
            "has a character that no host name has: what is not ASCII is written as xn--",
        ),
        (labels().any(str::is_empty), "has an empty label between two dots"),
        (labels().any(has_hyphen_at_end), "has a label that starts or ends with a hyphen"),
        (labels().any(|label| label.len() > LONGEST_LABEL), "has a label of more than 63 characters"),
        (domain.len() > LONGEST_HOST, "has more than the 253 characters of a host name"),
        (is_broken_address(domain), "ends in a number but is no IPv4 address in four decimal parts"),
    ];
    faults.iter().find(|(is_found, _)| *is_found).map(|(_, fault)| *fault)
}

/// Judges the path under which a cookie is sent.
fn judge_path(path: &str) -> Result<(), ConfigError> {
    let is_kept = |byte: u8| byte.is_ascii_graphic() && !ESCAPED_IN_PATHS.contains(&byte);
    let is_of_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let faults = [
        (!path.starts_with('/'), "does not start with a slash"),
        (
            !path.bytes().all(is_kept),
            "has a character that browsers escape in addresses, so no request ever matches it",
        ),
        (
            path.split('/').any(is_of_dots),
            "has a segment `.` or `..`, which browsers resolve, so no request ever matches it",
        ),
        (path.len() > LONGEST_ATTRIBUTE, "has more than the 1024 bytes that browsers read"),
    ];
    match faults.iter().find(|(is_found, _)| *is_found) {
        Some((_, fault)) => Err(ConfigError::CookieAttribute { attribute: "Path", fault }),
        None => Ok(()),
    }
}

/// Whether browsers would read the domain as an address and fail: they do where the last label is a number.
fn is_broken_address(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default();
    let is_hexadecimal =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let is_number = !last.is_empty() && last.bytes().all(|digit| digit.is_ascii_digit());
    (is_number || is_hexadecimal) && domain.parse::<Ipv4Addr>().is_err()
}
