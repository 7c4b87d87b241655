//! A store that visitors have filled.

use session_core::{Error, SessionManager, StoreError};
use session_memory::MemoryStore;

use crate::support::*;

const CAPACITY: usize = 40;

/// A site without room for another visitor.
async fn full_of_visitors() -> SessionManager {
    let manager = SessionManager::new(MemoryStore::with_capacity(CAPACITY), keys());
    for visitor in 0..=CAPACITY {
        let (exchange, session) = browser(&manager).start().await;
        session.insert("n", &0).unwrap();
        match exchange.commit().await {
            Ok(_) => assert!(visitor < CAPACITY),
            Err(error) => {
                assert!(matches!(error, Error::Store(StoreError::Unavailable { .. })), "{error}");
                assert_eq!(visitor, CAPACITY * 3 / 4);
                return manager;
            }
        }
    }
    panic!("the store has no bound")
}

fn browser(manager: &SessionManager) -> Browser {
    Browser { manager: manager.clone(), cookie: None }
}

#[tokio::test]
async fn a_login_without_a_session_finds_room() {
    let manager = full_of_visitors().await;
    let mut browser = browser(&manager);
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test]
async fn a_login_over_several_requests_finds_room() {
    let manager = full_of_visitors().await;
    let mut browser = browser(&manager);
    browser
        .visit(async |session| {
            session.insert("state", "of the provider").unwrap();
            session.begin_login().await.unwrap();
        })
        .await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(browser.get::<String>("state").await.as_deref(), Some("of the provider"));
}

#[tokio::test]
async fn log_out_everywhere_finds_room() {
    let manager = full_of_visitors().await;
    let mut early = browser(&manager);
    early.visit(async |session| session.begin_login().await.unwrap()).await;
    let mut browser = browser(&manager);
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(manager.revoke_all(&user()).await.unwrap(), 1);
    let (_, session) = early.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)), "the revocation was not noted");
}
