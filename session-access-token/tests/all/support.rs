//! A service that mints, one that verifies, and a second implementation of PASETO `v4.public` to forge tokens with.

use std::time::{Duration, SystemTime};

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};
use serde_json::{Value, json};
use session_access_token::{AccessTokens, KeySet, SigningKey, SigningKeys, Verifier};
use session_core::{Exchange, Incoming, Key, Keyring, Login, Session, SessionManager};
use session_memory::MemoryStore;

pub(crate) const ISSUER: &str = "https://accounts.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const USER: u64 = 42;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// What every signature covers.
pub(crate) const IMPLICIT: &str = "session-access-token.v1";

/// Of the key that signs in most tests.
pub(crate) const SEED: [u8; 32] = [7; 32];

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32]).unwrap()
}

pub(crate) fn tokens() -> AccessTokens {
    AccessTokens::new(ISSUER, AUDIENCE, SigningKeys::new(key(SEED[0]))).unwrap()
}

/// Another service, which has fetched the published keys.
pub(crate) fn verifier(tokens: &AccessTokens) -> Verifier {
    Verifier::new(KeySet::from_json(&tokens.key_set_json()).unwrap(), ISSUER, AUDIENCE).unwrap()
}

/// A site with one user's browser.
pub(crate) struct Site {
    pub(crate) store: MemoryStore,
    pub(crate) manager: SessionManager,
}

impl Site {
    pub(crate) fn new() -> Self {
        let store = MemoryStore::new();
        let manager = SessionManager::new(store.clone(), Keyring::new(Key::from_bytes(&[9; 32]).unwrap()));
        Self { store, manager }
    }

    /// A request of a browser that has logged in.
    pub(crate) async fn logged_in(&self, login: impl Into<Login>) -> (String, Exchange, Session) {
        let cookie = self.manager.login_for_tests(login).await.unwrap();
        let (exchange, session) = self.request(&cookie).await;
        (cookie, exchange, session)
    }

    pub(crate) async fn request(&self, cookie: &str) -> (Exchange, Session) {
        let exchange = self.manager.open(Incoming::new([cookie.as_bytes()]));
        let session = exchange.session().await.unwrap();
        (exchange, session)
    }

    /// A stream of this browser: its response has left.
    pub(crate) async fn stream(&self, cookie: &str) -> Session {
        let (exchange, session) = self.request(cookie).await;
        exchange.commit().await.unwrap();
        session
    }
}

/// The claims of a good token, minted now.
pub(crate) fn good_claims() -> Value {
    let now = SystemTime::now();
    let text = |time| humantime::format_rfc3339_millis(time).to_string();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "42", "sid": "AAECAwQFBgcICQoLDA0ODw", "jti": "one",
        "iat": text(now), "nbf": text(now), "exp": text(now + 600 * SECOND),
    })
}

/// The good claims with one changed, or removed.
pub(crate) fn claims_with(claim: &str, value: Option<Value>) -> Value {
    let mut claims = good_claims();
    let all = claims.as_object_mut().unwrap();
    match value {
        Some(value) => all.insert(claim.to_owned(), value),
        None => all.remove(claim),
    };
    claims
}

/// Signs as a thief of the key could.
pub(crate) fn sign(claims: &Value) -> String {
    sign_v4(&SEED, &claims.to_string(), &footer(), IMPLICIT)
}

/// The footer that names the key of most tests.
pub(crate) fn footer() -> String {
    json!({ "kid": key(SEED[0]).public_key().id() }).to_string()
}

/// The pre-authentication encoding of PASETO.
fn encoded(pieces: &[&[u8]]) -> Vec<u8> {
    let length = |n: usize| (n as u64 & (u64::MAX >> 1)).to_le_bytes();
    let mut all = length(pieces.len()).to_vec();
    for piece in pieces {
        all.extend(length(piece.len()));
        all.extend(*piece);
    }
    all
}

/// Signs by the specification: <https://github.com/paseto-standard/paseto-spec>, version 4, public.
pub(crate) fn sign_v4(seed: &[u8; 32], payload: &str, footer: &str, implicit: &str) -> String {
    let pair = KeyPair::from_seed(Seed::new(*seed));
    let signed = encoded(&[b"v4.public.", payload.as_bytes(), footer.as_bytes(), implicit.as_bytes()]);
    let body = [payload.as_bytes(), pair.sk.sign(signed, None).as_slice()].concat();
    let token = format!("v4.public.{}", Base64UrlUnpadded::encode_string(&body));
    match footer {
        "" => token,
        footer => format!("{token}.{}", Base64UrlUnpadded::encode_string(footer.as_bytes())),
    }
}

/// The payload and the footer, if the specification says that the key has signed it.
pub(crate) fn verify_v4(public: &[u8], token: &str, implicit: &str) -> Option<(String, String)> {
    let mut parts = token.strip_prefix("v4.public.")?.split('.');
    let body = Base64UrlUnpadded::decode_vec(parts.next()?).ok()?;
    let footer = Base64UrlUnpadded::decode_vec(parts.next().unwrap_or_default()).ok()?;
    let (payload, signature) = body.split_at(body.len().checked_sub(64)?);
    let signed = encoded(&[b"v4.public.", payload, &footer, implicit.as_bytes()]);
    let key = PublicKey::from_slice(public).ok()?;
    key.verify(signed, &Signature::from_slice(signature).ok()?).ok()?;
    Some((String::from_utf8(payload.to_vec()).ok()?, String::from_utf8(footer).ok()?))
}
