//! An owner as it appears in a log.

use session_core::{Keyring, Owner, SessionManager};
use session_memory::MemoryStore;

use crate::support::{log::Log, *};

#[tokio::test]
async fn a_user_name_forges_no_line_of_the_log() {
    let log = Log::start();
    let keys = Keyring::new(session_core::Key::from_bytes(&[7; 32]).unwrap());
    let mut browser = Browser { manager: SessionManager::new(MemoryStore::default(), keys), cookie: None };
    let name =
        Owner::try_from("Zoë\n2026-01-01 INFO session: root logged in\r\u{1b}[2K\u{85}\u{2028}\u{202e}").unwrap();
    browser.visit(async |session| session.login(name.clone()).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(name));
    let log = log.text();
    let of_the_login = log.lines().filter(|line| line.contains("Zoë")).count();
    assert_eq!(of_the_login, log.matches("root logged in").count(), "{log}");
    assert!(of_the_login > 0, "{log}");
    let forges = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{202e}'));
    assert!(!log.chars().any(forges), "{log:?}");
}
