//! The least work of a request with a session, by hand. The cookie is `name=token.mac`, as ours is.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRng, rngs::SysRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::in_process::cpu;

const NAME: &str = "__Host-session";

/// How long each operation is called, in CPU time.
const WINDOW: Duration = Duration::from_millis(200);

#[derive(Serialize, Deserialize)]
struct Values {
    k0: String,
    n: u64,
    user: Option<u64>,
}

struct Row {
    revision: [u8; 8],
    secret: [u8; 32],
    payload: Arc<[u8]>,
}

struct Site {
    key: Hmac<Sha256>,
    rows: Mutex<HashMap<[u8; 16], Row>>,
}

impl Site {
    /// Stores a new session, and returns its cookie.
    fn login(&self, user: u64) -> String {
        let bytes = random::<56>();
        let (id, secret) = (bytes[..16].try_into().unwrap(), &bytes[24..]);
        let values = Values { k0: "x".repeat(200), n: 0, user: Some(user) };
        let row = Row {
            revision: bytes[16..24].try_into().unwrap(),
            secret: Sha256::digest(secret).into(),
            payload: serde_json::to_vec(&values).unwrap().into(),
        };
        self.rows.lock().unwrap().insert(id, row);
        let mut text = [0; 70];
        let token = [&id[..], &[0; 4], secret].concat();
        let token = Base64UrlUnpadded::encode(&token, &mut text).unwrap();
        let mac = Base64UrlUnpadded::encode_string(&self.mac(token).finalize().into_bytes());
        format!("{NAME}={token}.{mac}; Path=/; Secure; HttpOnly; SameSite=Lax")
    }

    /// The session's id, its revision and its payload.
    fn load(&self, cookie: &str) -> ([u8; 16], [u8; 8], Arc<[u8]>) {
        let (token, mac) = cookie.strip_prefix(NAME).unwrap()[1..].split_once('.').unwrap();
        let (mut given, mut bytes) = ([0; 32], [0; 52]);
        Base64UrlUnpadded::decode(mac, &mut given).unwrap();
        self.mac(token).verify_slice(&given).unwrap();
        Base64UrlUnpadded::decode(token, &mut bytes).unwrap();
        let id = bytes[..16].try_into().unwrap();
        let rows = self.rows.lock().unwrap();
        let row = &rows[&id];
        assert_eq!(row.secret[..], Sha256::digest(&bytes[20..])[..]);
        (id, row.revision, row.payload.clone())
    }

    fn read(&self, cookie: &str) -> usize {
        let (.., payload) = self.load(cookie);
        serde_json::from_slice::<Values>(&payload).unwrap().k0.len()
    }

    fn write(&self, cookie: &str) {
        let (id, expected, payload) = self.load(cookie);
        let mut values: Values = serde_json::from_slice(&payload).unwrap();
        values.n += 1;
        let (revision, payload) = (random(), serde_json::to_vec(&values).unwrap().into());
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(&id).unwrap();
        assert_eq!(row.revision, expected);
        *row = Row { revision, payload, ..*row };
    }

    fn mac(&self, token: &str) -> Hmac<Sha256> {
        self.key.clone().chain_update(NAME).chain_update(token)
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).unwrap();
    bytes
}

/// Prints a line for each operation: the CPU time of one, in nanoseconds.
pub(crate) fn run() {
    let site = Site { key: Hmac::new_from_slice(&[7; 32]).unwrap(), rows: Mutex::default() };
    let cookie = site.login(42).split(';').next().unwrap().to_owned();
    print("read", || _ = black_box(site.read(black_box(&cookie))));
    print("write", || site.write(black_box(&cookie)));
    print("login", || _ = black_box(site.login(black_box(42))));
}

fn print(name: &str, mut operation: impl FnMut()) {
    // The first window only warms up.
    for is_measured in [false, true] {
        let (start, mut calls) = (cpu(), 0);
        while cpu() - start < WINDOW {
            (0..50).for_each(|_| operation());
            calls += 50;
        }
        if is_measured {
            println!("{name} {}", (cpu() - start).as_nanos() / calls);
        }
    }
}
