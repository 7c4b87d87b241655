//! The note of `begin_login`, which says when a login began, and what becomes of it.

use session_core::{Error, Owner, Policy};

use crate::support::*;

/// An owner's session with a note that is too old for a login.
async fn owner_with_expired_note() -> (Site, Browser) {
    let policy = Policy::builder().logged_in(lifetime(8 * HOUR, 8 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(61 * MINUTE);
    (site, browser)
}

/// A browser whose login has begun, and which has proven something already.
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
    let id = browser.open().presented_id();
    site.lab.advance(61 * MINUTE);
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    assert_ne!(browser.open().presented_id(), id);
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
    assert_eq!(browser.owner().await, Some(Owner::from(7)), "the session goes on");
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
async fn a_refused_login_leaves_a_note_that_was_made_again_since() {
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

// A login that starts again within the request that ended the last one.

#[tokio::test]
async fn a_login_that_begins_again_after_a_logout_is_beaten_by_a_later_revocation() {
    for notes_in_one_request in [false, true] {
        let site = Site::new();
        let mut browser = site.browser();
        if !notes_in_one_request {
            browser = with_note(&site).await;
            site.lab.advance(10 * MINUTE);
        }
        browser
            .visit(async |session| {
                if notes_in_one_request {
                    session.begin_login().await.unwrap();
                }
                session.logout().await.unwrap();
                session.begin_login().await.unwrap();
            })
            .await;
        site.lab.advance(MINUTE);
        site.manager.revoke_all(&user()).await.unwrap();
        site.lab.advance(MINUTE);
        let (_, session) = browser.start().await;
        let answer = session.login(USER).await;
        assert!(matches!(answer, Err(Error::LoginRevoked)), "in one request: {notes_in_one_request}: {answer:?}");
    }
}

#[tokio::test]
async fn a_login_that_begins_again_after_a_logout_keeps_the_earlier_date() {
    let site = Site::new();
    let mut browser = with_note(&site).await;
    site.lab.advance(10 * MINUTE);
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(10 * MINUTE);
    browser
        .visit(async |session| {
            session.logout().await.unwrap();
            session.begin_login().await.unwrap();
        })
        .await;
    let (_, session) = browser.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
}

/// A site whose anonymous sessions live longer than the hour that a login may take.
fn patient() -> Site {
    Site::with_policy(Policy::builder().before_login(lifetime(4 * HOUR, 4 * HOUR)).build().unwrap())
}

#[tokio::test]
async fn after_a_login_has_expired_the_user_can_start_again_in_the_same_request() {
    for logs_out in [false, true] {
        let site = patient();
        let mut browser = with_note(&site).await;
        site.lab.advance(61 * MINUTE);
        site.lab.calls();
        browser
            .visit(async |session| {
                match logs_out {
                    true => session.logout().await.unwrap(),
                    false => assert!(matches!(session.login(USER).await, Err(Error::LoginExpired))),
                }
                session.begin_login().await.unwrap();
                let answer = session.login(USER).await;
                assert!(matches!(answer, Err(Error::LoginExpired)), "in this request: {answer:?}");
                session.begin_login().await.unwrap();
            })
            .await;
        assert!(site.lab.calls().len() < 12);
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert_eq!(browser.owner().await, Some(user()));
    }
}

#[tokio::test]
async fn in_an_owner_s_session_an_expired_login_can_start_again_in_the_same_request() {
    let (_site, mut browser) = owner_with_expired_note().await;
    browser
        .visit(async |session| {
            assert!(matches!(session.login(7).await, Err(Error::LoginExpired)));
            session.begin_login().await.unwrap();
            let answer = session.login(7).await;
            assert!(matches!(answer, Err(Error::LoginExpired)), "in this request: {answer:?}");
            session.begin_login().await.unwrap();
        })
        .await;
    browser.visit(async |session| session.login(7).await.unwrap()).await;
}

#[tokio::test]
async fn what_a_request_changed_before_begin_login_is_in_the_session_that_takes_the_old_one_s_place() {
    let site = patient();
    let mut browser = with_note(&site).await;
    site.lab.advance(61 * MINUTE);
    browser
        .visit(async |session| {
            session.insert("return_to", "/cart").unwrap();
            add_one(session);
            session.begin_login().await.unwrap();
            assert_eq!(session.get::<String>("return_to").unwrap().as_deref(), Some("/cart"));
        })
        .await;
    let (_, session) = browser.start().await;
    assert_eq!(session.get::<String>("return_to").unwrap().as_deref(), Some("/cart"));
    assert_eq!(session.get::<i64>("n").unwrap(), Some(1));
    assert_eq!(session.get::<String>("proven").unwrap(), None);
}

#[tokio::test]
async fn begin_login_does_not_trust_a_note_that_a_login_in_place_has_cleared() {
    for changes in [false, true] {
        let site = Site::new();
        let browser = with_note(&site).await;
        let (exchange, session) = browser.start().await;
        browser.clone().visit(async |session| session.login(USER).await.unwrap()).await;
        if changes {
            session.insert("n", &1).unwrap();
        }
        let answer = session.begin_login().await;
        assert!(matches!(answer, Err(Error::Superseded)), "with a change: {changes}: {answer:?}");
        assert!(!{
            exchange.commit().await.unwrap();
            sets_cookie(&exchange)
        });
    }
}

#[tokio::test]
async fn begin_login_makes_the_note_that_a_refused_login_has_cleared_since_the_load() {
    let policy = Policy::builder().logged_in(lifetime(8 * HOUR, 8 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(59 * MINUTE);
    let (_exchange, session) = browser.start().await;
    site.lab.advance(2 * MINUTE);
    let (_refused, other) = browser.start().await;
    assert!(matches!(other.login(7).await, Err(Error::LoginExpired)));
    session.begin_login().await.unwrap();
    site.lab.advance(MINUTE);
    site.manager.revoke_all(&Owner::from(7)).await.unwrap();
    site.lab.advance(MINUTE);
    let (_exchange, session) = browser.start().await;
    let answer = session.login(7).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "it began before the revocation: {answer:?}");
}
