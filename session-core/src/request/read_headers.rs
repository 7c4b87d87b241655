//! The headers of a request that count.

use http::{HeaderMap, HeaderValue};

use crate::request::{ProxyHeaders, Source, forwarded::Lines};

/// What the headers of a request tell.
#[derive(Default)]
pub(crate) struct ReadHeaders<'a> {
    cookies: Cookies,
    x_forwarded_for: Lines,
    x_forwarded_proto: Lines,
    x_forwarded_host: Lines,
    forwarded: Lines,
    host: Option<&'a HeaderValue>,
    has_several_hosts: bool,
    origin: Lines,
    referer: Option<&'a HeaderValue>,
    upgrade: Lines,
    fetch_site: Lines,
    fetch_mode: Option<&'a HeaderValue>,
}

impl<'a> ReadHeaders<'a> {
    /// Looks at each header once. That is less work than a search for each name: most requests have few of them.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut read = Self::default();
        headers.iter().for_each(|(name, value)| read.add(name.as_str(), value));
        read
    }

    fn add(&mut self, name: &str, value: &'a HeaderValue) {
        let line = value.as_bytes();
        match name {
            "cookie" => self.cookies.add(value),
            "x-forwarded-for" => self.x_forwarded_for.add(line),
            "x-forwarded-proto" => self.x_forwarded_proto.add(line),
            "x-forwarded-host" => self.x_forwarded_host.add(line),
            "forwarded" => self.forwarded.add(line),
            "host" => match self.host {
                None => self.host = Some(value),
                Some(_) => self.has_several_hosts = true,
            },
            "origin" => self.origin.add(line),
            "referer" => self.referer = self.referer.or(Some(value)),
            "upgrade" => self.upgrade.add(line),
            "sec-fetch-site" => self.fetch_site.add(line),
            "sec-fetch-mode" => self.fetch_mode = self.fetch_mode.or(Some(value)),
            _ => {}
        }
    }

    /// The cookies, the page that the request comes from, and what proxies say.
    pub(crate) fn into_parts(self) -> (Cookies, Source, ProxyHeaders) {
        let mut source = Source::default();
        if self.has_several_hosts {
            source.note_several_hosts();
        }
        source.set_host(self.host.cloned());
        source.set_origin(self.origin.into_list());
        source.set_referer(text(self.referer));
        source.set_upgrade(&self.upgrade.into_list());
        source.set_fetch_metadata(&self.fetch_site.into_list(), text(self.fetch_mode));
        let proxy_headers = ProxyHeaders {
            x_forwarded_for: self.x_forwarded_for.into_list(),
            x_forwarded_proto: self.x_forwarded_proto.into_list(),
            x_forwarded_host: self.x_forwarded_host.into_list(),
            forwarded: self.forwarded.into_list(),
        };
        (self.cookies, source, proxy_headers)
    }
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
    use super::*;

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
