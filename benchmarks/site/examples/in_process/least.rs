//! The least work of a request with a session, by hand.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    in_process::cpu,
    least_layer::cookies::{Cookies, random},
};

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
    cookies: Cookies,
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
        self.cookies.sign(&id, secret)
    }

    /// The session's id, its revision and its payload.
    fn load(&self, cookie: &str) -> ([u8; 16], [u8; 8], Arc<[u8]>) {
        let (id, hash) = self.cookies.open(cookie).unwrap();
        let rows = self.rows.lock().unwrap();
        let row = &rows[&id];
        assert_eq!(row.secret, hash);
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
}

/// Prints a line for each operation: the CPU time of one, in nanoseconds.
pub(crate) fn run() {
    let site = Site { cookies: Cookies::new(), rows: Mutex::default() };
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
