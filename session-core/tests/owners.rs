//! What an owner is in a log.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use session_core::{Keyring, Owner, SessionManager};
use session_memory::MemoryStore;
use support::*;

/// The lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_user_name_forges_no_line_of_the_log() {
    let lines = Lines::default();
    let log = {
        let lines = lines.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.clone()).finish()
    };
    let _log = tracing::subscriber::set_default(log);
    let keys = Keyring::new(session_core::Key::from_bytes(&[7; 32]).unwrap());
    let mut browser = Browser { manager: SessionManager::new(MemoryStore::default(), keys), cookie: None };
    let name =
        Owner::try_from("Zoë\n2026-01-01 INFO session: root logged in\r\u{1b}[2K\u{85}\u{2028}\u{202e}").unwrap();
    browser.visit(async |session| session.login(name.clone()).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(name));
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let of_the_login = log.lines().filter(|line| line.contains("Zoë")).count();
    assert_eq!(of_the_login, log.matches("root logged in").count(), "{log}");
    assert!(of_the_login > 0, "{log}");
    let forges = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{202e}'));
    assert!(!log.chars().any(forges), "{log:?}");
}
