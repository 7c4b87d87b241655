//! Step-up: the user proves again who they are.

use session_core::{Error, EventKind, Outcome, adapter::Failure};

use crate::support::*;

/// How old the user's last proof is, in minutes.
async fn proved_age(browser: &Browser) -> Option<u64> {
    let age = browser.start().await.1.proved_age();
    age.map(|age| (age + SECOND / 2).as_secs() / 60)
}

#[tokio::test]
async fn a_login_and_a_proof_count_and_a_renewal_and_use_do_not() {
    let site = Site::new();
    assert_eq!(proved_age(&site.visitor().await).await, None);
    let mut browser = site.logged_in(USER).await;
    assert_eq!(proved_age(&browser).await, Some(0));
    site.lab.advance(10 * MINUTE);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    browser
        .visit(async |session| {
            add_one(session);
        })
        .await;
    assert_eq!(proved_age(&browser).await, Some(10));
    browser.visit(async |session| session.proved().await.unwrap()).await;
    assert_eq!(proved_age(&browser).await, Some(0));
    site.lab.advance(3 * MINUTE);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    assert_eq!(proved_age(&browser).await, Some(3), "a renewal loses no proof");
    site.due().await;
    for _ in 0..3 {
        browser.visit(async |_| ()).await;
    }
    assert_eq!(proved_age(&browser).await, Some(18), "nor does a rotation");
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(proved_age(&browser).await, Some(0));
}

#[tokio::test]
async fn a_login_of_another_user_inherits_no_proof() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.advance(30 * MINUTE);
    browser.visit(async |session| session.proved().await.unwrap()).await;
    browser.visit(async |session| session.login(7).await.unwrap()).await;
    site.lab.advance(2 * MINUTE);
    assert_eq!(proved_age(&browser).await, Some(2));
}

#[tokio::test]
async fn a_page_that_requires_a_fresh_proof_is_refused_until_there_is_one() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let refused = async |browser: &Browser| browser.start().await.1.require_fresh(5 * MINUTE).err();
    assert!(matches!(refused(&browser).await, Some(Error::NotLoggedIn)));
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert!(refused(&browser).await.is_none());
    site.lab.advance(5 * MINUTE - SECOND);
    assert!(refused(&browser).await.is_none());
    site.lab.advance(2 * SECOND);
    let error = refused(&browser).await.unwrap();
    assert!(matches!(error, Error::StaleProof { max_age } if max_age == 5 * MINUTE));
    let answer = Failure::from(error).answer([]);
    assert_eq!(answer.status(), 401);
    let challenge = "Bearer error=\"insufficient_user_authentication\", max_age=\"300\"";
    assert_eq!(answer.headers()["www-authenticate"], challenge);
    browser.visit(async |session| session.proved().await.unwrap()).await;
    assert!(refused(&browser).await.is_none());
}

#[tokio::test]
async fn a_proof_opens_nothing_for_who_has_the_token_from_before() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let thief = browser.clone();
    browser.visit(async |session| session.proved().await.unwrap()).await;
    assert_eq!((browser.owner().await, thief.owner().await), (Some(user()), None));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Proved)), 1);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Renewed)), 0);
}

#[tokio::test]
async fn nobody_proves_who_they_are_without_a_login() {
    let site = Site::new();
    for browser in [site.browser(), site.visitor().await] {
        let (exchange, session) = browser.start().await;
        assert!(matches!(session.proved().await, Err(Error::NotLoggedIn)));
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
        assert!(!sets_cookie(&exchange));
    }
}

#[tokio::test]
async fn a_proof_is_lost_to_no_save_at_the_same_time() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.advance(10 * MINUTE);
    // The save comes first: the proof is written over it.
    let other = browser.clone();
    site.lab.before_next(Call::Replace, move || {
        let mut other = other.clone();
        async move {
            other
                .visit(async |session| {
                    add_one(session);
                })
                .await;
        }
    });
    let (exchange, session) = browser.start().await;
    let (late, overtaken) = browser.start().await;
    session.proved().await.unwrap();
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    assert_eq!((proved_age(&browser).await, browser.get::<i64>("n").await), (Some(0), Some(1)));
    // The proof comes first: a request that has loaded before it writes nothing.
    add_one(&overtaken);
    assert_eq!(late.commit().await.unwrap(), Outcome::Superseded);
    assert_eq!((proved_age(&browser).await, browser.get::<i64>("n").await), (Some(0), Some(1)));
    site.lab.assert_all_met();
}

#[tokio::test(start_paused = true)]
async fn a_proof_whose_reply_is_lost_or_late_happens_once() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        site.lab.advance(10 * MINUTE);
        site.lab.next(Call::Replace, fault);
        browser.visit(async |session| session.proved().await.unwrap()).await;
        site.lab.deliver_late().await;
        assert_eq!(proved_age(&browser).await, Some(0));
    }
}
