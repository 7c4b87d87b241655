//! The tokens that a request presents, and the cookies that hold them.

use std::iter;

use memchr::memchr;

use crate::{
    few::Few,
    request::{SessionToken, keyring::Forged},
};

/// What the tokens of a request were.
#[derive(Debug, Default)]
pub(crate) struct ReadTokens {
    /// The genuine ones.
    pub(crate) tokens: Few<SessionToken>,
    /// Whether there were cookies of our name.
    pub(crate) present: bool,
    /// Whether there were more than are looked at.
    pub(crate) has_more: bool,
    pub(crate) malformed: usize,
    pub(crate) wrongly_signed: usize,
}

impl ReadTokens {
    pub(crate) fn add(&mut self, verified: Result<SessionToken, Forged>) {
        match verified {
            Ok(token) => self.tokens.push(token),
            Err(Forged::Malformed) => self.malformed += 1,
            Err(Forged::Signature) => self.wrongly_signed += 1,
        }
    }
}

/// The values of the cookies of this name in one `Cookie` header (RFC 6265, section 5.4).
pub(crate) fn cookie_values<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let mut left = Some(header);
    let pairs = iter::from_fn(move || {
        let header = left?;
        let Some(end) = memchr(b';', header) else { return left.take() };
        left = Some(&header[end + 1..]);
        Some(&header[..end])
    });
    pairs.filter_map(move |pair| {
        let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        Some(rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii())
    })
}
