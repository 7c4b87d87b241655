//! Short-lived access tokens, minted from a session and verified by other services: without the store, and without
//! `session-core`.
//!
//! The service that has the sessions mints one. The key comes from `openssl rand -base64 32`, and is not the key of the
//! cookies.
//!
//! ```
//! # #[cfg(feature = "issue")]
//! # {
//! use session_access_token::{AccessTokenExt, AccessTokens, IssueError, SigningKey, SigningKeys};
//! use session_core::Session;
//!
//! # fn keys(from_environment: &str) -> Result<(), session_access_token::ConfigError> {
//! let keys = SigningKeys::new(SigningKey::from_base64(from_environment)?);
//! let tokens = AccessTokens::new("https://accounts.example", "https://api.example", keys)?;
//! # Ok(()) }
//!
//! /// The body of `POST /token`.
//! async fn token(session: &Session, tokens: &AccessTokens) -> Result<String, IssueError> {
//!     Ok(session.access_token(tokens).await?.to_json()) // good for 60 seconds
//! }
//! # }
//! ```
//!
//! Another service verifies it. It has `session-access-token` with `default-features = false`.
//!
//! ```
//! use session_access_token::{ConfigError, KeySet, Verifier, VerifyError};
//!
//! # fn verifier(json: &str) -> Result<(), ConfigError> {
//! // What the first service publishes at an address of its own.
//! let keys = KeySet::from_json(json)?;
//! let verifier = Verifier::new(keys, "https://accounts.example", "https://api.example")?;
//! # Ok(()) }
//!
//! fn handle(verifier: &Verifier, headers: &http::HeaderMap) -> Result<String, VerifyError> {
//!     // Of `Authorization: Bearer v4.public.…`.
//!     let claims = verifier.verify_headers(headers)?;
//!     Ok(format!("the orders of {}", claims.subject().unwrap_or("a user whose id is no text")))
//! }
//! ```
//!
//! - [`AccessTokens`] is what the first service decides once: its own name, the audience, how long a token lasts, the keys.
//! - [`AccessTokenExt`] gives a session its `access_token`.
//! - [`KeySet`] is published as JSON, by [`AccessTokens::key_set_json`]. Other services fetch it.
//! - [`Verifier`] says whose a token is, or why it is refused: [`VerifyError`]. Its keys can be exchanged while it runs.
//! - [`AccessClaims`] is what a token says.
//!
//! # What a logout means for a token
//!
//! Nobody asks the store about an access token. So a logout, "log out everywhere" or a theft that was found out does
//! not end the tokens that were minted before. It ends the session, and a session that has ended mints nothing. Each of its
//! tokens is good until its own end, which is 60 seconds after the store last confirmed the session, at the latest. To
//! this a verifier adds its leeway of up to 5 seconds.
//!
//! - Is a minute too long? Give tokens a shorter life: [`AccessTokens::with_lifetime`]. What must never happen after a
//!   logout asks the service that has the sessions.
//! - A stolen access token is good for that time, and nothing tells of it. The session's own token is the long one: it
//!   rotates, and its theft shows.
//! - A stolen *signing key* is taken out of the key set. Services refuse it once they have fetched the new set, and
//!   that is at most the set's maximum age later: 5 minutes by default. See [`SigningKeys`].
//!
//! # How a client uses it
//!
//! A page of your site has the session's cookie. A mobile app sends the session's token in the header that the site names
//! (`SessionManager::with_token_header`, by default `Session-Token`). Either of them asks your service for an access
//! token, sends it to other services as `Authorization: Bearer`, and asks for the next one when `expires_in` is nearly
//! over. A script keeps it in memory, and nowhere else.
//!
//! - The answer with the token is for your own pages. So do not allow other origins to read it (CORS).
//! - A service that has the sessions and takes access tokens, too, leaves the header of the session's tokens at
//!   `Session-Token`: with `TokenHeader::bearer` an access token would be a wrong token of a session.
//!
//! # What is in a token
//!
//! It is a [PASETO](https://paseto.io) `v4.public`: signed with Ed25519, and readable by everybody who has it.
//!
//! | claim | what it says |
//! | --- | --- |
//! | `iss`, `aud` | who has minted it, and for whom: the two names of [`AccessTokens::new`] |
//! | `sid` | the session's id, which opens nothing |
//! | `sub` | the owner, if it is text: `Owner::from(42)` is `"42"`, a UUID is its text |
//! | `owner` | the owner if its bytes are no UTF-8, in base64url; then there is no `sub` |
//! | `iat`, `nbf`, `exp` | when it was minted, twice, and until when it is good: RFC 3339 in UTC, with milliseconds |
//! | `jti` | the token's own name, random |
//!
//! The footer is `{"kid":"…"}`, the id of its key ([PASERK](https://github.com/paseto-standard/paserk) `k4.pid`). The
//! implicit assertion is `session-access-token.v1`. So a `v4.public` token that was signed by the same key for something
//! else is not an access token. A library of another language needs these two, and judges the two names and the times. In
//! Python, with pyseto: `pyseto.decode(key, token, implicit_assertion=b"session-access-token.v1")`.
//!
//! The algorithm is fixed. A token does not choose it, as the `alg` of a JWT does.
//!
//! # Clocks
//!
//! The times in a token come from the clock of the server that has minted it, and are judged by the clock of the one that
//! verifies it. Nothing else of the sessions depends on these. The clocks may differ by the leeway. If they differ more, tokens
//! end too early, are refused, or are good for longer by that much. So keep both with NTP.
//!
//! # Features
//!
//! - `issue` (default): minting. Without it the crate verifies, and brings neither `session-core` nor tokio.

// Without minting there are no such items. Their links lead to the section that says so.
#![cfg_attr(not(feature = "issue"), doc = "")]
#![cfg_attr(not(feature = "issue"), doc = "[`AccessTokenExt`]: #features")]
#![cfg_attr(not(feature = "issue"), doc = "[`AccessTokens::key_set_json`]: #features")]
#![cfg_attr(not(feature = "issue"), doc = "[`AccessTokens::new`]: #features")]
#![cfg_attr(not(feature = "issue"), doc = "[`AccessTokens::with_lifetime`]: #features")]
#![cfg_attr(not(feature = "issue"), doc = "[`AccessTokens`]: #features")]
#![cfg_attr(not(feature = "issue"), doc = "[`SigningKeys`]: #features")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod claims;
mod error;
#[cfg(feature = "issue")]
mod issue;
mod key;
mod key_set;
mod verifier;

use std::time::Duration;

pub use self::{
    claims::AccessClaims,
    error::{ClaimError, ConfigError, VerifyError},
    key::PublicKey,
    key_set::KeySet,
    verifier::Verifier,
};

#[cfg(feature = "issue")]
pub use self::issue::{AccessToken, AccessTokenExt, AccessTokens, IssueError, SigningKey, SigningKeys};

/// The longest life of an access token: 10 minutes. A longer one is neither minted nor accepted.
pub const MAX_LIFETIME: Duration = Duration::from_secs(600);

/// The longest access token, in bytes. A longer one is neither minted nor read.
pub const MAX_LENGTH: usize = 4096;

/// What every signature covers beside the token itself: so a token for another purpose, of the same key, is none of ours.
const IMPLICIT_ASSERTION: &[u8] = b"session-access-token.v1";

/// The name of an issuer or an audience: 1 to 255 visible characters of ASCII, such as an address.
fn judge_name(which: &'static str, name: &str) -> Result<(), ConfigError> {
    let is_name = (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_name { Ok(()) } else { Err(ConfigError::Name { which }) }
}
