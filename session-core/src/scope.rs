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

/// Judges the domain whose hosts get a cookie.
pub(crate) fn judge_domain(domain: &str) -> Result<(), ConfigError> {
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
    refuse("Domain", &faults)
}

/// Judges the path under which a cookie is sent.
pub(crate) fn judge_path(path: &str) -> Result<(), ConfigError> {
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
    refuse("Path", &faults)
}

fn refuse(attribute: &'static str, faults: &[(bool, &'static str)]) -> Result<(), ConfigError> {
    match faults.iter().find(|(is_found, _)| *is_found) {
        Some((_, fault)) => Err(ConfigError::CookieAttribute { attribute, fault }),
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
