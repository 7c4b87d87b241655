//! A request whose types are not those of the `http` crate.

use crate::{Incoming, TokenHeader, request::ReadHeaders};

/// An [`Incoming`] for a framework whose types are not those of the `http` crate. Give the path without its query. The
/// headers may have any case of letters. The first argument is the site's: [`SessionManager::token_header`].
///
/// [`SessionManager::token_header`]: crate::SessionManager::token_header
///
/// Give all lines of a name, and their bytes as they are.
///
/// In HTTP/2 the host is the authority of the request's target. Tell it by [`Incoming::with_host`].
///
/// # Examples
///
/// ```
/// use std::net::IpAddr;
///
/// use session_core::adapter;
///
/// let headers = [("Cookie", &b"theme=dark"[..]), ("Host", b"example.org")];
/// # let manager = session_core::SessionManager::development(session_memory::MemoryStore::new());
/// let incoming = adapter::incoming(manager.token_header(), "GET", "/account", headers).with_peer(IpAddr::from([192, 0, 2, 7]));
/// ```
///
/// A framework that hands its headers out by value needs a list first, from which the pairs borrow:
///
/// ```
/// # use session_core::adapter;
/// # fn headers() -> impl Iterator<Item = (String, Vec<u8>)> { [].into_iter() }
/// # let manager = session_core::SessionManager::development(session_memory::MemoryStore::new());
/// let headers: Vec<(String, Vec<u8>)> = headers().collect();
/// let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
/// let incoming = adapter::incoming(manager.token_header(), "GET", "/account", pairs);
/// ```
pub fn incoming<'a>(
    token_header: Option<&TokenHeader>,
    method: &str,
    path: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Incoming {
    let (mut read, mut tokens) = (ReadHeaders::default(), Vec::new());
    for (name, value) in headers {
        if token_header.is_some_and(|header| header.request_name().as_str().eq_ignore_ascii_case(name)) {
            tokens.push(value);
        }
        read.add_bytes(name, value);
    }
    let incoming = Incoming::with_headers(read).with_resource(method, path);
    match token_header {
        Some(header) => incoming.with_token_header(header, tokens),
        None => incoming,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::TrustedProxies;

    #[test]
    fn headers_in_any_case_of_letters_tell_what_a_request_of_the_http_crate_tells() {
        let headers = [
            ("Cookie", "theme=dark"),
            ("COOKIE", "session=abc"),
            ("Host", "example.org"),
            ("Origin", "https://example.com"),
            ("Referer", "http://example.org/login"),
            ("Upgrade", "websocket"),
            ("X-Forwarded-For", "192.0.2.7"),
            ("x-forwarded-for", "192.0.2.8"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "example.net"),
            ("Forwarded", "for=192.0.2.9"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Accept", "*/*"),
            ("Session-Token", "abc"),
        ];
        let of_pairs = incoming(
            Some(&TokenHeader::default()),
            "POST",
            "/login",
            headers.map(|(name, value)| (name, value.as_bytes())),
        );
        let mut request = http::Request::post("/login?next=home").body(()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value));
        }
        let of_request = Incoming::from(&request).with_token("abc");
        assert_eq!(of_pairs.token, of_request.token);
        assert_eq!(of_pairs.cookies.as_bytes(), of_request.cookies.as_bytes());
        let told = |incoming: Incoming| {
            let incoming = incoming.with_peer(std::net::IpAddr::from([10, 0, 0, 1]));
            format!("{:?}", incoming.resource(&TrustedProxies::at(["10.0.0.1"]).unwrap()))
        };
        assert_eq!(told(of_pairs), told(of_request));
    }
}
