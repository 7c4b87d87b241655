//! The headers of a request that count.

use http::{HeaderMap, HeaderValue};

use crate::request::{ProxyHeaders, Source, forwarded::Lines};

/// The names of the headers that count: those in [`ReadHeaders::add`].
const READ: [&str; 11] = [
    "cookie",
    "host",
    "origin",
    "referer",
    "sec-fetch-site",
    "sec-fetch-mode",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "upgrade",
];

/// What the headers of a request tell.
#[derive(Default)]
pub(crate) struct ReadHeaders {
    cookies: Cookies,
    x_forwarded_for: Lines,
    x_forwarded_proto: Lines,
    x_forwarded_host: Lines,
    forwarded: Lines,
    host: Option<HeaderValue>,
    has_several_hosts: bool,
    origin: Lines,
    referer: Option<HeaderValue>,
    upgrade: Lines,
    fetch_site: Lines,
    fetch_mode: Option<HeaderValue>,
}

impl ReadHeaders {
    /// Looks at each header once. That is less work than a search for each name: most requests have few of them.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        headers.iter().for_each(|(name, value)| read.add(name.as_str(), value));
        read
    }

    /// The name may have any case of letters. A value with bytes that no header may have does not count.
    pub(crate) fn add_bytes(&mut self, name: &str, value: &[u8]) {
        let known = READ.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        if let (Some(known), Ok(value)) = (known, HeaderValue::from_bytes(value)) {
            self.add(known, &value);
        }
    }

    fn add(&mut self, name: &str, value: &HeaderValue) {
        let line = value.as_bytes();
        match name {
            "cookie" => self.cookies.add(value),
            "x-forwarded-for" => self.x_forwarded_for.add(line),
            "x-forwarded-proto" => self.x_forwarded_proto.add(line),
            "x-forwarded-host" => self.x_forwarded_host.add(line),
            "forwarded" => self.forwarded.add(line),
            "host" => match self.host {
                None => self.host = Some(value.clone()),
                Some(_) => self.has_several_hosts = true,
            },
            "origin" => self.origin.add(line),
            "referer" => add_first(&mut self.referer, value),
            "upgrade" => self.upgrade.add(line),
            "sec-fetch-site" => self.fetch_site.add(line),
            "sec-fetch-mode" => add_first(&mut self.fetch_mode, value),
            _ => {}
        }
    }

    /// The cookies, the page that the request comes from, and what proxies say.
    pub(crate) fn into_parts(self) -> (Cookies, Source, ProxyHeaders) {
        let mut source = Source::default();
        if self.has_several_hosts {
            source.note_several_hosts();
        }
        source.set_host(self.host);
        source.set_origin(self.origin.into_list());
        source.set_referer(text(self.referer.as_ref()));
        source.set_upgrade(&self.upgrade.into_list());
        source.set_fetch_metadata(&self.fetch_site.into_list(), text(self.fetch_mode.as_ref()));
        let proxy_headers = ProxyHeaders {
            x_forwarded_for: self.x_forwarded_for.into_list(),
            x_forwarded_proto: self.x_forwarded_proto.into_list(),
            x_forwarded_host: self.x_forwarded_host.into_list(),
            forwarded: self.forwarded.into_list(),
        };
        (self.cookies, source, proxy_headers)
    }
}

fn add_first(first: &mut Option<HeaderValue>, value: &HeaderValue) {
    first.get_or_insert_with(|| value.clone());
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The `Cookie` headers of a request, joined as RFC 9113, section 8.2.3 does. Most requests have one, which is not copied.
#[derive(Clone, Default)]
pub(crate) enum Cookies {
    #[default]
    None,
    One(HeaderValue),
    Joined(Vec<u8>),
}

impl Cookies {
    pub(crate) fn joined<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::Joined(headers.into_iter().collect::<Vec<_>>().join(&b"; "[..]))
    }

    fn add(&mut self, header: &HeaderValue) {
        match self {
            Self::None => *self = Self::One(header.clone()),
            Self::One(first) => *self = Self::joined([first.as_bytes(), header.as_bytes()]),
            Self::Joined(headers) => {
                headers.extend_from_slice(b"; ");
                headers.extend_from_slice(header.as_bytes());
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::One(header) => header.as_bytes(),
            Self::Joined(headers) => headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn each_header_counts_in_any_case_of_letters() {
        let headers = [
            ("Cookie", "a=1"),
            ("HOST", "example.org"),
            ("Origin", "https://example.com"),
            ("Referer", "http://example.org/login"),
            ("Sec-Fetch-Site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "example.net"),
            ("Forwarded", "for=192.0.2.9"),
            ("Upgrade", "websocket"),
        ];
        let told = |read: ReadHeaders| {
            let (cookies, source, proxy_headers) = read.into_parts();
            format!("{:?} {source:?} {proxy_headers:?}", cookies.as_bytes())
        };
        assert_eq!(headers.len(), READ.len());
        for (name, value) in headers {
            let (mut map, mut of_bytes) = (HeaderMap::new(), ReadHeaders::default());
            map.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static(value));
            of_bytes.add_bytes(name, value.as_bytes());
            let of_bytes = told(of_bytes);
            assert_eq!(of_bytes, told(ReadHeaders::of(&map)), "{name}");
            assert_ne!(of_bytes, told(ReadHeaders::default()), "{name}");
        }
    }

    #[test]
    fn several_cookie_headers_are_one() {
        let mut headers = HeaderMap::new();
        for (count, all) in [(1, "a=1"), (2, "a=1; b=2"), (3, "a=1; b=2; c=3")] {
            headers.append("cookie", HeaderValue::from_static(["a=1", "b=2", "c=3"][count - 1]));
            let (cookies, ..) = ReadHeaders::of(&headers).into_parts();
            assert_eq!(String::from_utf8_lossy(cookies.as_bytes()), all);
        }
    }
}
