//! The origins of other sites whose pages may send what the site's own pages send.

use std::sync::Arc;

use http::uri::Authority;

use crate::{ConfigError, request::scope::host_fault};

/// Origins, beside the site's own, whose pages may send requests that change something. The default is none.
///
/// Cookies are sent with such requests as far as their `SameSite` allows. So a page of a trusted origin can do what its
/// visitor can do. For an app of another origin that sends its token in a header, no origin has to be trusted: see
/// [`TokenHeader`](crate::TokenHeader).
///
/// # Examples
///
/// ```
/// use session_core::TrustedOrigins;
///
/// let origins = TrustedOrigins::at(["https://shop.example", "https://admin.shop.example:8443"])?;
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedOrigins(Arc<[String]>);

impl TrustedOrigins {
    /// These origins, written as browsers write them in `Origin`: `https://shop.example`. The host is in lower case, and what
    /// is not ASCII is written as `xn--`. There is no slash at the end. A port is there only if it is not the one of the
    /// scheme. Origins are compared as they are written, so one of another form would never be met.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TrustedOrigin`] for what no browser writes, also for `null`: any page can make its origin `null`.
    pub fn at<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let judged = |(index, origin): (usize, &'a str)| match fault_of(origin) {
            Some(fault) => Err(ConfigError::TrustedOrigin { index, fault }),
            None => Ok(origin.to_owned()),
        };
        Ok(Self(origins.into_iter().enumerate().map(judged).collect::<Result<Vec<_>, _>>()?.into()))
    }

    pub(crate) fn have(&self, origin: &str) -> bool {
        self.0.iter().any(|trusted| trusted == origin)
    }
}

fn fault_of(origin: &str) -> Option<&'static str> {
    let Some((scheme, authority)) = origin.split_once("://") else { return Some("has no scheme, such as https://") };
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Some("is neither of http:// nor of https://"),
    };
    if authority.ends_with('/') {
        return Some("ends with a slash, and browsers write none");
    }
    if authority.ends_with(default_port) {
        return Some("has the port of its scheme, and browsers leave it out");
    }
    if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("has a capital letter, and browsers write hosts in lower case");
    }
    let Some((host, port)) = authority.rsplit_once(':') else { return host_fault(authority) };
    let is_port =
        authority.parse::<Authority>().is_ok_and(|authority| authority.port_u16().is_some_and(|port| port > 0))
            && !port.starts_with('0');
    if is_port { host_fault(host) } else { Some("has a port that is no number") }
}
