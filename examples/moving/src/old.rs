//! What the old library has left: its cookie, and its session in Redis.

use axum::http::{HeaderMap, header::COOKIE};
use base64ct::{Base64Unpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::Sha256;
use tower_sessions_core::session::{Id, Record};

/// The library of the old site, with its default settings.
#[derive(Clone, Debug)]
pub enum Old {
    /// express-session with connect-redis. The secret is that of its option `secret`.
    Express { secret: Vec<u8> },
    /// tower-sessions with tower-sessions-redis-store. Its cookie is not signed.
    TowerSessions,
}

impl Old {
    pub fn cookie(&self) -> &'static str {
        match self {
            Self::Express { .. } => "connect.sid",
            Self::TowerSessions => "id",
        }
    }

    /// The key of the old session in Redis. `None` if no cookie is one that the old site has made.
    pub fn key(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies = cookies.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, value) = cookies.find(|(name, _)| *name == self.cookie())?;
        match self {
            Self::Express { secret } => signed_by_express(value, secret).map(|id| format!("sess:{id}")),
            Self::TowerSessions => value.parse::<Id>().ok().map(|id| id.to_string()),
        }
    }

    /// The user of the old session. The old site has kept it as `user`.
    pub fn user(&self, stored: &[u8]) -> Option<String> {
        let user = match self {
            Self::Express { .. } => serde_json::from_slice::<Value>(stored).ok()?.get("user").cloned(),
            Self::TowerSessions => rmp_serde::from_slice::<Record>(stored).ok()?.data.remove("user"),
        };
        user?.as_str().map(str::to_owned)
    }
}

/// The id in a cookie such as `s:ID.SIGNATURE`, percent-encoded. The signature is the HMAC-SHA256 of the id.
fn signed_by_express(value: &str, secret: &[u8]) -> Option<String> {
    let value = percent_decode_str(value).decode_utf8().ok()?;
    let (id, signature) = value.strip_prefix("s:")?.rsplit_once('.')?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(id.as_bytes());
    mac.verify_slice(&Base64Unpadded::decode_vec(signature).ok()?).ok()?;
    Some(id.to_owned())
}
