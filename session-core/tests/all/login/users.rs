//! The application's user of a session.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use session_core::{
    Error, Exchange, Owner,
    adapter::{self, Failure, Users},
};

use crate::support::*;

#[derive(Clone, Debug)]
struct User {
    name: String,
}

/// The users, with user 7 deleted, and how often they were asked. To ask for user 13 fails.
fn users() -> (Users, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let users = Users::new(move |owner: Owner| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::task::yield_now().await;
            match owner.as_str() {
                Some("7") => Ok(None),
                Some("13") => Err("the users are away"),
                _ => Ok(Some(User { name: format!("user {owner}") })),
            }
        }
    });
    (users, calls)
}

async fn name(exchange: &Exchange) -> Option<String> {
    let user = adapter::user::<User>(exchange).await.unwrap()?;
    Some(format!("{} of {}", user.name, user.owner()))
}

#[tokio::test]
async fn a_user_is_loaded_once_a_request_however_many_ask_at_once() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (users, calls) = users();
    let exchange = browser.open();
    users.attach(&exchange);
    let ask = async || name(&exchange).await;
    assert_eq!(tokio::join!(ask(), ask(), ask()).2.as_deref(), Some("user 42 of 42"));
    users.clone().attach(&exchange);
    assert_eq!(ask().await.as_deref(), Some("user 42 of 42"));
    assert_eq!(calls.load(Ordering::SeqCst), 1, "also where a layer inside attaches the same users again");
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn nobody_is_asked_for_where_nobody_is_logged_in() {
    let site = Site::new();
    let (users, calls) = users();
    for browser in [site.browser(), site.visitor().await] {
        let exchange = browser.open();
        users.attach(&exchange);
        assert_eq!(name(&exchange).await, None);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn after_a_login_or_logout_in_the_same_request_the_user_is_another() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (users, calls) = users();
    let (exchange, session) = browser.start().await;
    users.attach(&exchange);
    assert_eq!(name(&exchange).await.as_deref(), Some("user 42 of 42"));
    session.login(43).await.unwrap();
    assert_eq!(name(&exchange).await.as_deref(), Some("user 43 of 43"));
    session.logout().await.unwrap();
    assert_eq!(name(&exchange).await, None);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_user_who_is_gone_is_not_logged_in_and_the_session_stays() {
    let site = Site::new();
    let browser = site.logged_in(7).await;
    let (users, calls) = users();
    let exchange = browser.open();
    users.attach(&exchange);
    for _ in 0..2 {
        assert_eq!(name(&exchange).await, None);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    assert_eq!(browser.owner().await, Some(Owner::from(7)));
}

#[tokio::test]
async fn an_error_of_the_users_is_a_500_with_its_cause_and_they_are_not_asked_again() {
    let site = Site::new();
    let browser = site.logged_in(13).await;
    let (users, calls) = users();
    let exchange = browser.open();
    users.attach(&exchange);
    for _ in 0..2 {
        let failure = adapter::user::<User>(&exchange).await.unwrap_err();
        assert_eq!(failure.status(), 500);
        let source = std::error::Error::source(&failure).unwrap();
        assert_eq!(format!("{failure}: {source}"), "the user could not be found out: the users are away");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn where_nothing_finds_users_of_a_type_that_is_a_mistake_of_the_program() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let exchange = browser.open();
    users().0.attach(&exchange);
    let failure = adapter::user::<String>(&exchange).await.unwrap_err();
    assert_eq!(failure.status(), 500);
    assert!(failure.to_string().contains("CurrentUser<alloc::string::String>"), "{failure}");
    assert!(name(&exchange).await.is_some(), "the other type is there");
}

#[tokio::test]
async fn the_store_down_is_an_error_and_never_a_stranger() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (users, calls) = users();
    site.lab.set_down(true);
    let exchange = browser.open();
    users.attach(&exchange);
    let failure: Failure = adapter::user::<User>(&exchange).await.unwrap_err();
    assert!(matches!(failure.cause(), Some(Error::Store(_))));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
