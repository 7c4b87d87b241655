//! The least that makes a cookie, and that opens one. The cookie is `name=token.mac`, as ours is.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};

const NAME: &str = "__Host-session";

/// What signs cookies, and checks them.
pub(crate) struct Cookies(Hmac<Sha256>);

impl Cookies {
    pub(crate) fn new() -> Self {
        Self(Hmac::new_from_slice(&[7; 32]).unwrap())
    }

    /// A `Set-Cookie` for this id and this secret.
    pub(crate) fn sign(&self, id: &[u8], secret: &[u8]) -> String {
        let mut text = [0; 70];
        let token = [id, &[0; 4], secret].concat();
        let token = Base64UrlUnpadded::encode(&token, &mut text).unwrap();
        let mac = Base64UrlUnpadded::encode_string(&self.mac(token).finalize().into_bytes());
        format!("{NAME}={token}.{mac}; Path=/; Secure; HttpOnly; SameSite=Lax")
    }

    /// The id and the hash of the secret, of a genuine `name=token.mac`.
    pub(crate) fn open(&self, cookie: &str) -> Option<([u8; 16], [u8; 32])> {
        let (token, mac) = cookie.strip_prefix(NAME)?.strip_prefix('=')?.split_once('.')?;
        let (mut given, mut bytes) = ([0; 32], [0; 52]);
        Base64UrlUnpadded::decode(mac, &mut given).ok()?;
        self.mac(token).verify_slice(&given).ok()?;
        Base64UrlUnpadded::decode(token, &mut bytes).ok()?;
        Some((bytes[..16].try_into().ok()?, Sha256::digest(&bytes[20..]).into()))
    }

    fn mac(&self, token: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(NAME).chain_update(token)
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).unwrap();
    bytes
}
