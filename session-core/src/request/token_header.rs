//! The header in which a client without cookies sends its token, and the one in which it gets a new one.

use http::{HeaderName, header};
use zeroize::Zeroizing;

use crate::{
    ConfigError,
    request::{Carrier, CarrierKind},
};

static SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

/// Headers that have a meaning of their own, for HTTP or for this crate.
const TAKEN: [&str; 13] = [
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "referer",
    "set-cookie",
    "transfer-encoding",
    "upgrade",
    "vary",
];

/// What a page of any site may send along without asking first (the CORS-safelisted request headers of Fetch).
const SENT_BY_ANY_PAGE: [&str; 5] = ["accept", "accept-language", "content-language", "content-type", "range"];

/// Families of headers that belong to browsers and proxies.
const TAKEN_PREFIXES: [&str; 5] = ["access-control-", "content-", "proxy-", "sec-", "x-forwarded-"];

/// The header of clients without cookies: mobile apps, programs, single-page apps of another origin.
///
/// Such a client sends its token in a header, and cookies play no part. Both kinds of clients may use the same routes.
///
/// 1. The client asks for a token: it sends the header with an empty value, for example with the login.
/// 2. The response has the token in a header. The client stores it, and sends it with each request from then on.
/// 3. A later response may have a new token, for tokens rotate: the client stores it in place of the old one.
/// 4. An empty value in a response says: the session is over, forget the token. The response of a logout says that.
/// 5. After a 401 the client forgets the token that it has sent, but not a newer one. The session may have expired, or was
///    ended on another device. With `insufficient_user_authentication` in `WWW-Authenticate` the session lives: the client
///    keeps its token, and sends the user's password to the route that calls [`proved`](crate::Session::proved).
///
/// A wrong or dead token is as good as an empty one: if a value is stored, the response has a token of a new session.
///
/// ```text
/// client                                         server
///   │ POST /login            Session-Token:          │
///   ├───────────────────────────────────────────────▶│
///   │ 204                    Session-Token: AAEC…    │
///   │◀───────────────────────────────────────────────┤
///   │ GET /account           Session-Token: AAEC…    │
///   ├───────────────────────────────────────────────▶│
///   │ 200                                            │
///   │◀───────────────────────────────────────────────┤
///   │ POST /logout           Session-Token: AAEC…    │
///   ├───────────────────────────────────────────────▶│
///   │ 204                    Session-Token:          │
///   │◀───────────────────────────────────────────────┤
/// ```
///
/// # Which requests are those of a header client
///
/// Those that have the header, whatever its value. Their cookies are ignored: a wrong token is no session, never the
/// session of a cookie. So a page of another site cannot add a bad header to get a cookie past a guard against forged
/// requests. Such a guard asks [`Exchange::is_cross_origin`](crate::Exchange::is_cross_origin), and never the header.
///
/// If the header is there several times, the one token in it counts. Of two tokens none counts, also if they are the same. The
/// log then tells of a bad token.
///
/// A token is signed for its carrier. One from a cookie does not open a session in a header, nor the other way round.
///
/// # Single-page apps
///
/// On the site's own origin a cookie is safer, because no script can read it. An app of another origin needs, from your
/// CORS middleware, the request header in `Access-Control-Allow-Headers` and the response header in
/// `Access-Control-Expose-Headers`. It needs no `Access-Control-Allow-Credentials`. Name the origins that may call: any
/// page of an allowed origin can log in, and can use a token that it has.
///
/// A browser cannot set a header on a `WebSocket`. Let the page fetch a one-time ticket first, or use cookies there.
///
/// # Examples
///
/// ```
/// use session_core::{SessionManager, TokenHeader};
/// use session_memory::MemoryStore;
///
/// let manager = SessionManager::development(MemoryStore::new()).with_token_header(TokenHeader::default());
/// assert_eq!(manager.token_header().map(TokenHeader::request_name).unwrap(), "session-token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHeader {
    request: HeaderName,
    response: HeaderName,
}

impl Default for TokenHeader {
    /// `Session-Token`, in requests and in responses.
    fn default() -> Self {
        Self { request: SESSION_TOKEN.clone(), response: SESSION_TOKEN.clone() }
    }
}

impl TokenHeader {
    /// A header of this name, in requests and in responses.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TokenHeader`] if it is no name of a header, or one with a meaning of its own: `Cookie`, `Host`,
    /// `Authorization` (see [`bearer`](Self::bearer)). Also if a page of any site may send it without asking first, such as
    /// `Accept` or `Content-Type` (Fetch, "CORS-safelisted request-header").
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        let name = judged(name)?;
        Ok(Self { request: name.clone(), response: name })
    }

    /// `Authorization: Bearer` (RFC 6750, section 2.1) in requests, `Session-Token` in responses.
    ///
    /// It is not the default because others use `Authorization`, too, and then no cookie counts:
    ///
    /// - A request with an access token is one of a header client with a wrong token.
    /// - A browser behind a proxy that asks for `Basic` credentials sends them with each request. So its user cannot log in
    ///   with a cookie. Browsers send such credentials with requests from other sites, too. So a guard that lets header
    ///   clients pass does not protect what trusts `Basic`.
    #[must_use]
    pub fn bearer() -> Self {
        Self { request: header::AUTHORIZATION, response: SESSION_TOKEN.clone() }
    }

    /// The same with another name for the header of responses.
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub fn with_response_name(self, name: &str) -> Result<Self, ConfigError> {
        Ok(Self { response: judged(name)?, ..self })
    }

    /// The header of requests.
    #[must_use]
    pub fn request_name(&self) -> &HeaderName {
        &self.request
    }

    /// The header of responses.
    #[must_use]
    pub fn response_name(&self) -> &HeaderName {
        &self.response
    }

    /// What the values of this header say, or `None` if the request has no such header. Without a token it is `""`.
    pub(crate) fn token<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Option<Zeroizing<String>> {
        let mut values = values.into_iter().peekable();
        values.peek()?;
        let mut tokens = values.map(|value| self.token_in(value)).filter(|token| !token.is_empty());
        let token = tokens.next().unwrap_or_default();
        // Nobody can tell which of two tokens is the client's. Together they are no token, and the log says so.
        Some(tokens.fold(token, |all, token| Zeroizing::new(format!("{}, {}", *all, *token))))
    }

    fn token_in(&self, value: &[u8]) -> Zeroizing<String> {
        let value = match self.request == header::AUTHORIZATION {
            true => bearer_token(value),
            false => value,
        };
        // What is no UTF-8 stays no token.
        Zeroizing::new(String::from_utf8_lossy(value.trim_ascii()).into_owned())
    }

    /// What its tokens are signed for, at the site of this label.
    pub(crate) fn carrier<'a>(&'a self, site: &'a str) -> Carrier<'a> {
        Carrier { kind: CarrierKind::Header, site, name: self.request.as_str() }
    }
}

/// The credentials of the scheme `Bearer`, which is written in any case (RFC 9110, section 11.1). Empty for another scheme.
fn bearer_token(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    match value.split_at_checked(end) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer") => token,
        _ => b"",
    }
}

fn judged(name: &str) -> Result<HeaderName, ConfigError> {
    let parsed =
        HeaderName::try_from(name).map_err(|_| ConfigError::TokenHeader { fault: "is no name of a header" })?;
    let name = parsed.as_str();
    let faults = [
        (name == "authorization", "is for access tokens: take TokenHeader::bearer"),
        (SENT_BY_ANY_PAGE.contains(&name), "may be sent by a page of any site, without asking first"),
        (TAKEN.contains(&name), "has a meaning of its own"),
        (TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "belongs to browsers and proxies"),
    ];
    match faults.iter().find(|(is_found, _)| *is_found) {
        Some((_, fault)) => Err(ConfigError::TokenHeader { fault }),
        None => Ok(parsed),
    }
}
