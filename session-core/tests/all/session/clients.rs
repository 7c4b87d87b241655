//! Code as applications write it: small trials of the API's shape.

use serde::{Deserialize, Serialize};
use session_core::{Error, Field, Key, Keyring, Outcome, Session, SessionManager};
use session_memory::MemoryStore;

use crate::support::*;

// Typed fields: each field of a struct is stored under a key of its own.

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Article {
    name: String,
    count: u32,
}

const CART: Field<Vec<Article>> = Field::new("cart");
const THEME: Field<String> = Field::new("theme");

#[tokio::test]
async fn two_requests_that_change_two_fields_both_keep_their_change() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (one, cart) = browser.start().await;
    let (two, theme) = browser.start().await;
    CART.update(&cart, |cart| cart.push(Article { name: "tea".to_owned(), count: 1 })).unwrap();
    THEME.insert(&theme, &"dark".to_owned()).unwrap();
    assert_eq!((one.commit().await.unwrap(), two.commit().await.unwrap()), (Outcome::Saved, Outcome::Saved));
    let (_, session) = browser.start().await;
    assert_eq!(CART.get(&session).unwrap().unwrap()[0].name, "tea");
    assert_eq!(THEME.take(&session).await.unwrap().as_deref(), Some("dark"));
    assert!(!THEME.remove(&session) && CART.remove(&session));
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_and_stays() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_, session) = browser.start().await;
    let n: Field<String> = Field::new("n");
    assert!(matches!(n.get(&session), Err(Error::Decode(_))));
    assert!(matches!(n.update(&session, String::clear), Err(Error::Decode(_))));
    assert_eq!(session.get::<i64>("n").unwrap(), Some(0));
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_an_error_and_changes_nothing() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    let odd = std::collections::HashMap::from([((1, 2), 3)]);
    assert!(matches!(session.insert("odd", &odd), Err(Error::Encode(_))));
    assert!(session.keys().is_empty());
}

// A websocket that saves as it goes, also from several tasks.

#[tokio::test(start_paused = true)]
async fn a_websocket_saves_after_its_response_has_left() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    let writers = (0..8).map(|_| {
        let session: Session = session.clone();
        tokio::spawn(async move {
            session.update_now("n", |n: &mut i64| *n += 1).await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(browser.get::<i64>("n").await, Some(8));
    browser.clone().visit(async |session| session.logout().await.unwrap()).await;
    session.insert("n", &9).unwrap();
    assert!(matches!(session.save().await, Err(Error::Gone)));
}

#[tokio::test]
async fn a_websocket_whose_token_was_retired_long_ago_is_no_thief() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    session.reload().await.unwrap();
    session.insert("n", &9).unwrap();
    session.save().await.unwrap();
    assert_eq!((browser.get::<i64>("n").await, site.events.thefts()), (Some(9), 0));
}

// Flash messages.

#[tokio::test]
async fn a_flash_message_is_shown_once() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.visit(async |session| session.insert("flash", "saved").unwrap()).await;
    let mut shown = Vec::new();
    for _ in 0..2 {
        browser.visit(async |session| shown.push(session.take::<String>("flash").await.unwrap())).await;
    }
    assert_eq!(shown, [Some("saved".to_owned()), None]);
}

// An application's own test, with a moved clock.

#[tokio::test]
async fn an_application_moves_the_clock_in_its_tests() {
    let store = MemoryStore::default();
    let manager = SessionManager::new(store.clone(), Keyring::new(Key::generate().unwrap()));
    let mut browser = Browser { manager, cookie: None };
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    assert!(browser.owner().await.is_some());
    store.advance(HOUR);
    assert!(browser.owner().await.is_none());
}

// Middleware that answers before the handler, and one that cannot reach the store.

#[tokio::test]
async fn a_middleware_and_the_handler_share_one_load() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let exchange = browser.open();
    let is_logged_in = exchange.session().await.unwrap().owner().is_some();
    assert!(is_logged_in);
    let handler = exchange.session().await.unwrap();
    add_one(&handler);
    assert_eq!(exchange.loaded().unwrap().get::<i64>("n").unwrap(), Some(1), "all handles are of one session");
    exchange.commit().await.unwrap();
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
}
