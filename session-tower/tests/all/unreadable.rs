//! A session that is stored but cannot be read.

use axum::{Router, http::StatusCode, routing::get};
use session_conformance::FaultyStore;
use session_core::{Entry, Error, Expiry, Outcome, Policy, SessionManager, Store, StoreError, WhenUnreadable};
use session_tower::{CurrentOwner, Exchange, Session, SessionLayer};

use crate::site::*;

async fn guest(owner: Option<CurrentOwner>) {
    panic!("the handler was told that {owner:?} is logged in");
}

async fn leave(session: Option<Session>) {
    session.unwrap().logout().await.unwrap();
}

fn app(when_unreadable: WhenUnreadable) -> (Router, FaultyStore) {
    let store = FaultyStore::default();
    let policy = Policy::builder().when_unreadable(when_unreadable).build().unwrap();
    let manager = SessionManager::development(store.clone()).with_policy(policy);
    let more = Router::new().route("/guest", get(guest)).route("/leave", get(leave));
    (routes().merge(more).layer(SessionLayer::new(manager)), store)
}

/// A browser with a login whose values a later version has written.
async fn unreadable(app: &Router, store: &FaultyStore) -> Browser {
    let mut browser = Browser::default();
    let answer = browser.get(app, "/login").await;
    let id = answer.head.extensions.get::<Exchange>().unwrap().loaded().unwrap().id().unwrap();
    let loaded = store.load(&id).await.unwrap().unwrap();
    let mut payload = loaded.payload.to_vec();
    let head = usize::from(u16::from_be_bytes([payload[1], payload[2]]));
    payload[3 + head] = u8::MAX;
    let entry = Entry::new(loaded.revision, &payload);
    assert!(store.replace(&id, loaded.revision, entry, Expiry::Keep).await.unwrap());
    browser
}

#[tokio::test]
async fn a_page_is_a_500_and_a_login_and_a_logout_work() {
    let (app, store) = app(WhenUnreadable::Fail);
    let mut browser = unreadable(&app, &store).await;
    for path in ["/read", "/count", "/owner", "/guest"] {
        let answer = browser.get(&app, path).await;
        assert_eq!((answer.head.status, answer.text()), (StatusCode::INTERNAL_SERVER_ERROR, ""), "{path}");
        assert!(matches!(answer.cause(), Some(Error::Store(StoreError::Corrupt { .. }))), "{path}");
        assert_eq!(answer.set_cookies().len(), 0, "{path}");
    }
    assert_eq!(browser.get(&app, "/silent").await.head.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/login").await.head.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/count").await.text(), "1");
    for path in ["/logout", "/leave"] {
        let mut browser = unreadable(&app, &store).await;
        assert_eq!(browser.get(&app, path).await.head.status, StatusCode::OK);
        assert_eq!(browser.cookies, []);
    }
}

#[tokio::test]
async fn a_page_goes_on_as_if_nobody_were_logged_in_where_the_site_says_so() {
    let (app, store) = app(WhenUnreadable::GoOnWithout);
    let mut browser = unreadable(&app, &store).await;
    assert_eq!(browser.get(&app, "/read").await.text(), "0");
    assert_eq!(browser.get(&app, "/owner").await.head.status, StatusCode::UNAUTHORIZED);
    let answer = browser.get(&app, "/count").await;
    assert_eq!((answer.text(), answer.set_cookies().len()), ("1", 0));
    assert_eq!(answer.head.extensions.get::<Outcome>(), Some(&Outcome::Unreadable));
    assert_eq!(browser.get(&app, "/login").await.head.status, StatusCode::OK);
    assert_eq!(browser.get(&app, "/owner").await.text(), "42");
}
