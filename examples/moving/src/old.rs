//! What the old library has left: its cookie, and its session in Redis.
//!
//! This is for the defaults of the libraries. Adapt to your site:
//!
//! - the cookie's name and its domain: [`Old::cookie`], [`DOMAIN`]. A cookie is only cleared under its own domain and path
//! - the prefix of the keys in the database: [`Old::key`]
//! - where your users keep their id in the session: [`Old::user`]. For passport it is `passport.user`, for axum-login
//!   `axum-login.data` and in it `user_id`. It must be the id that you give to `session.login` on the new site
//! - what tells that a login was to be remembered: [`Old::login`]

use std::{collections::HashMap, error::Error};

use axum::http::{HeaderMap, header::COOKIE};
use base64ct::{Base64Unpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::Sha256;
use tower_sessions_core::session::{Id, Record};

/// The domain of the old cookie, if its library was given one: `Some("shop.example")`.
const DOMAIN: Option<&str> = None;

/// The library of the old site, with its default settings.
#[derive(Clone, Debug)]
pub enum Old {
    /// express-session with connect-redis. The secrets are those of its option `secret`.
    Express { secrets: Vec<Vec<u8>> },
    /// tower-sessions with tower-sessions-redis-store. Its cookie is not signed. What is stored does not tell whether the
    /// cookie outlives the browser: `remembered` is true if the layer's `Expiry` was another one than `OnSessionEnd`.
    TowerSessions { remembered: bool },
}

/// A login of the old site.
#[derive(Debug)]
pub struct OldLogin {
    pub user: String,
    /// Whether its cookie outlives the browser.
    pub remembered: bool,
    pub values: HashMap<String, Value>,
}

/// Why a stored session cannot be read.
pub type Unreadable = Box<dyn Error + Send + Sync>;

impl Old {
    pub fn cookie(&self) -> &'static str {
        match self {
            Self::Express { .. } => "connect.sid",
            Self::TowerSessions { .. } => "id",
        }
    }

    /// The `Set-Cookie` that makes a browser forget the old cookie.
    pub fn forget(&self) -> String {
        let domain = DOMAIN.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        format!("{}=; Path=/; Max-Age=0{domain}", self.cookie())
    }

    /// The key of the old session in Redis. `None` if no cookie is one that the old site has made.
    pub fn key(&self, headers: &HeaderMap) -> Option<String> {
        let value = cookie(headers, self.cookie())?;
        match self {
            Self::Express { secrets } => {
                secrets.iter().find_map(|secret| signed_by_express(value, secret)).map(|id| format!("sess:{id}"))
            }
            Self::TowerSessions { .. } => value.parse::<Id>().ok().map(|id| id.to_string()),
        }
    }

    /// The login in a stored session. `None` if nobody was logged in.
    pub fn login(&self, stored: &[u8]) -> Result<Option<OldLogin>, Unreadable> {
        let (values, remembered) = match self {
            Self::Express { .. } => {
                let values: HashMap<String, Value> = serde_json::from_slice(stored)?;
                // A number of milliseconds, and `false` or null if the cookie ends with the browser.
                let remembered = values.get("cookie").is_some_and(|cookie| cookie["originalMaxAge"].is_number());
                (values, remembered)
            }
            Self::TowerSessions { remembered } => (rmp_serde::from_slice::<Record>(stored)?.data, *remembered),
        };
        Ok(Self::user(&values)?.map(|user| OldLogin { user, remembered, values }))
    }

    /// The old site has kept the user as `user`.
    fn user(values: &HashMap<String, Value>) -> Result<Option<String>, Unreadable> {
        match values.get("user") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone())),
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
            Some(_) => Err("the user is neither a text nor a whole number".into()),
        }
    }
}

/// The value of the cookie of this name.
pub fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(name, _)| *name == wanted).map(|(_, value)| value)
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
