//! When a login began: the note that `begin_login` makes, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use session_core::{Error, Owner, Policy};
use support::*;

/// An owner's session with a note that is too old for a login.
async fn owner_with_expired_note() -> (Site, Browser) {
    let policy = Policy::builder().logged_in(lifetime(8 * HOUR, 8 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(61 * MINUTE);
    (site, browser)
}

/// A browser whose login has begun, and something been proven.
async fn with_note(site: &Site) -> Browser {
    let mut browser = site.browser();
    browser
        .visit(async |session| {
            session.insert("proven", "password").unwrap();
            session.begin_login().await.unwrap();
        })
        .await;
    browser
}

#[tokio::test]
async fn a_login_that_has_expired_is_not_dated_now_by_trying_again() {
    let policy = Policy::builder().before_login(lifetime(4 * HOUR, 4 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let browser = with_note(&site).await;
    site.lab.advance(61 * MINUTE);
    let (_, session) = browser.start().await;
    assert!(matches!(session.login(42).await, Err(Error::LoginExpired)));
    let again = session.login(42).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn a_logout_before_the_login_does_not_date_it_now() {
    let site = Site::new();
    let browser = with_note(&site).await;
    site.lab.advance(10 * MINUTE);
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    site.lab.advance(10 * MINUTE);
    let (_, session) = browser.start().await;
    session.logout().await.unwrap();
    let answer = session.login(42).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_without_a_note_is_no_expired_login() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_, session) = browser.start().await;
    tokio::time::advance(61 * MINUTE).await;
    session.login(42).await.unwrap();
}

#[tokio::test]
async fn a_note_older_than_an_hour_ends_an_anonymous_session() {
    let policy = Policy::builder().before_login(lifetime(4 * HOUR, 4 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = with_note(&site).await;
    site.lab.advance(61 * MINUTE);
    let again = browser.clone();
    let (exchange, session) = browser.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginExpired)));
    assert_eq!(session.get::<String>("proven").unwrap(), None);
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    assert_eq!((browser.cookie.as_ref(), again.get::<String>("proven").await), (None, None));

    let mut browser = with_note(&site).await;
    let id = browser.open().request_cookie();
    site.lab.advance(61 * MINUTE);
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    assert_ne!(browser.open().request_cookie(), id);
    assert_eq!(browser.get::<String>("proven").await, None, "it must not be dated now");
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
}

#[tokio::test]
async fn in_an_owner_s_session_an_old_note_is_replaced_and_refuses_another_owner_once() {
    let (site, mut browser) = owner_with_expired_note().await;
    let (_, session) = browser.start().await;
    assert!(matches!(session.login(7).await, Err(Error::LoginExpired)));
    assert_eq!(browser.owner().await, Some(user()));
    browser.visit(async |session| session.login(7).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(Owner::from(7)));

    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(61 * MINUTE);
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test]
async fn in_an_owner_s_session_an_old_note_does_not_refuse_the_same_owner() {
    let (_site, mut browser) = owner_with_expired_note().await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_clears_the_note_also_if_it_loses_a_race() {
    let (site, mut browser) = owner_with_expired_note().await;
    let other = browser.clone();
    site.lab.before_next(Call::Replace, move || {
        let mut other = other.clone();
        async move { other.visit(async |session| session.insert("n", &1).unwrap()).await }
    });
    let (_exchange, session) = browser.start().await;
    assert!(matches!(session.login(7).await, Err(Error::LoginExpired)));
    browser.visit(async |session| session.login(7).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_leaves_a_note_that_was_made_anew_meanwhile() {
    let (site, browser) = owner_with_expired_note().await;
    let other = browser.clone();
    site.lab.before_next(Call::Replace, move || {
        let mut other = other.clone();
        async move { other.visit(async |session| session.begin_login().await.unwrap()).await }
    });
    let (_exchange, session) = browser.start().await;
    assert!(matches!(session.login(7).await, Err(Error::LoginExpired)));
    site.lab.advance(MINUTE);
    site.manager.revoke_all(&Owner::from(7)).await.unwrap();
    site.lab.advance(MINUTE);
    let (_exchange, session) = browser.start().await;
    assert!(matches!(session.login(7).await, Err(Error::LoginRevoked)), "it began before the revocation");
}
