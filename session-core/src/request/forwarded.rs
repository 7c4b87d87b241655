//! What the proxies in front say of a request: `X-Forwarded-For` with `X-Forwarded-Proto`, or `Forwarded` (RFC 7239).
//!
//! Each proxy adds its word at the right end, and what stands left of it may be forged. So everything is read from the
//! right to the left: nothing on the left can change what the right means, not even a quote that is never closed.

use std::{
    iter,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::Peer;

/// How much of a header is read, in bytes from the right.
const READ: usize = 8 * 1024;

/// The headers of proxies, each as one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyHeaders {
    pub(crate) x_forwarded_for: String,
    pub(crate) x_forwarded_proto: String,
    pub(crate) x_forwarded_host: String,
    pub(crate) forwarded: String,
}

/// What one proxy says of the hop in front of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Whose request it was. `None`: the proxy does not tell, or not in a way that can be read.
    pub(crate) from: Option<Peer>,
    pub(crate) https: Option<bool>,
    /// The host that was asked for.
    pub(crate) host: Option<String>,
}

/// The lines of a header as one list (RFC 9110, section 5.3).
#[derive(Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    pub(crate) fn of(line: &str) -> Self {
        Self(line.into())
    }

    pub(crate) fn add(&mut self, line: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(line);
    }

    #[inline]
    pub(crate) fn into_list(self) -> String {
        // Most requests have none.
        if self.0.is_empty() { String::new() } else { self.joined() }
    }

    /// Only the end of a long list is kept.
    fn joined(self) -> String {
        match self.0.len().checked_sub(READ) {
            None | Some(0) => String::from_utf8(self.0).unwrap_or_else(|error| lossy(error.as_bytes())),
            // The mark keeps what is cut through from being read as something whole.
            Some(cut) => format!("?{}", lossy(&self.0[cut..])),
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl ProxyHeaders {
    /// The words of `X-Forwarded-For`, from the right. Its list has no quotes that could hold a comma.
    pub(crate) fn x_words(&self) -> impl Iterator<Item = Word> {
        let list = Some(self.x_forwarded_for.as_str()).filter(|list| !list.is_empty());
        let nodes = list.into_iter().flat_map(|list| list.rsplit(','));
        nodes.map(|node| Word { from: peer(unquoted(node)), ..Word::default() })
    }

    /// What the last proxy says in `X-Forwarded-Proto`.
    pub(crate) fn x_https(&self) -> Option<bool> {
        self.x_forwarded_proto.rsplit(',').next().and_then(is_https)
    }

    /// The host that the last proxy says in `X-Forwarded-Host`. `None`: it says nothing.
    pub(crate) fn x_host(&self) -> Option<String> {
        let list = Some(self.x_forwarded_host.as_str()).filter(|list| !list.is_empty())?;
        list.rsplit(',').next().map(|host| host.trim().to_owned())
    }

    /// The words of `Forwarded`, from the right. `None`: one that cannot be read, so that nobody knows where it begins.
    pub(crate) fn words(&self) -> impl Iterator<Item = Option<Word>> {
        let mut left = Some(self.forwarded.as_str()).filter(|list| !list.is_empty());
        iter::from_fn(move || {
            let (before, element) = split_last(left?);
            left = before;
            Some(element)
        })
        .map(word)
    }
}

/// Splits at the last comma that is not within quotes.
fn split_last(list: &str) -> (Option<&str>, &str) {
    let bytes = list.as_bytes();
    let mut is_quoted = false;
    for (at, byte) in bytes.iter().enumerate().rev() {
        match byte {
            b',' if !is_quoted => return (Some(&list[..at]), &list[at + 1..]),
            b'"' if !is_quoted => is_quoted = true,
            // A quote after an odd number of backslashes is within the quotes.
            b'"' => is_quoted = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1,
            _ => {}
        }
    }
    (None, list)
}

/// Reads a `forwarded-element` (RFC 7239, section 4).
fn word(element: &str) -> Option<Word> {
    let (mut node, mut proto, mut host) = (None, None, None);
    let mut rest = element.trim();
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        if rest.is_empty() {
            break;
        }
        let (name, value) = rest.split_once('=')?;
        let (value, after) = parameter_value(value)?;
        let name = name.to_ascii_lowercase();
        let twice = match name.as_str() {
            "for" => node.replace(value).is_some(),
            "proto" => proto.replace(value).is_some(),
            "host" => host.replace(value).is_some(),
            _ => false,
        };
        rest = after.trim_start();
        if twice || !is_token(&name) || !(rest.is_empty() || rest.starts_with(';')) {
            return None;
        }
    }
    Some(Word { from: node.and_then(|node| peer(&node)), https: proto.and_then(|proto| is_https(&proto)), host })
}

/// Reads a value, and returns it with what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // An address with a colon should be quoted. There is nothing else that it could mean.
        let is_of_value = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | ';' | ',' | '\\' | '=');
        let end = text.find(|c| !is_of_value(c)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// Whether it is a `token` (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What stands within quotes, for proxies that put them around an address in `X-Forwarded-For`.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Reads an address, with a port or without, or `unix:`, as nginx calls the peer of a Unix socket.
fn peer(node: &str) -> Option<Peer> {
    let node = node.trim();
    if node == "unix:" {
        return Some(Peer::Unix);
    }
    let address: IpAddr = if let Ok(address) = node.parse() {
        address
    } else if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(address.into())?
    } else {
        let (address, port) = node.split_once(':')?;
        let address: Ipv4Addr = address.parse().ok()?;
        is_port(port).then_some(address.into())?
    };
    Some(address.into())
}

/// Whether it is a `node-port` (RFC 7239, section 6.3): a number, or a name with an underscore for one that is hidden.
fn is_port(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(is_of_name),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Whether a scheme is that of TLS; `None` for one that says nothing of it.
fn is_https(scheme: &str) -> Option<bool> {
    let is = |name: &str| scheme.trim().eq_ignore_ascii_case(name);
    // Some proxies tell the scheme of a websocket.
    match () {
        () if is("https") || is("wss") => Some(true),
        () if is("http") || is("ws") => Some(false),
        () => None,
    }
}
