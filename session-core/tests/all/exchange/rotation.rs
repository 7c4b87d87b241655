//! Rotation and theft: derive, prove, retire.

use session_core::{EventKind, Outcome, Owner, Store};

use crate::support::*;

#[tokio::test]
async fn a_due_token_gets_a_successor_with_the_one_write_of_the_commit() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.cookie.clone();
    site.lab.advance(14 * MINUTE);
    browser.visit(async |_| ()).await;
    assert_eq!(browser.cookie, old);
    site.lab.calls();
    site.lab.advance(MINUTE);
    browser
        .visit(async |session| {
            add_one(session);
        })
        .await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
    assert_ne!(browser.cookie, old);
    assert_eq!(browser.get::<i64>("n").await, Some(1));
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace], "the promotion");
    assert_eq!(browser.get::<i64>("n").await, Some(1));
    assert_eq!(site.lab.calls(), [Call::Load]);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued)), 1);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 1);
}

#[tokio::test]
async fn anonymous_sessions_never_rotate() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let old = browser.cookie.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    assert_eq!(browser.cookie, old);
}

#[tokio::test(start_paused = true)]
async fn parallel_requests_derive_the_same_successor() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    site.due().await;
    let tasks = (0..10).map(|_| {
        let mut browser = browser.clone();
        tokio::spawn(async move {
            browser.visit(async |_| ()).await;
            browser.cookie
        })
    });
    let mut successors = std::collections::BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        successors.insert(task.await.unwrap());
    }
    assert_eq!(successors.len(), 1);
    assert!(!successors.contains(&browser.cookie));
}

#[tokio::test]
async fn a_lost_response_harms_nobody_and_the_successor_is_sent_again() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    site.due().await;
    let mut lost = browser.clone();
    lost.visit(async |_| ()).await;
    // There is no deadline: this holds until the successor is presented.
    for _ in 0..30 {
        site.lab.advance(20 * MINUTE);
        let mut again = browser.clone();
        again.visit(async |session| assert!(session.owner().is_some())).await;
        assert_eq!(again.cookie, lost.cookie, "a pending successor is never replaced");
    }
    let mut at_once = browser.clone();
    at_once.visit(async |_| ()).await;
    assert_eq!(at_once.cookie, lost.cookie, "the successor leaves also where nothing else is due");
    browser.visit(async |_| ()).await;
    assert_eq!(browser.owner().await, Some(Owner::from(42)));
    assert_eq!(site.events.thefts(), 0);
}

#[tokio::test]
async fn a_successor_is_sent_when_it_is_due_also_where_no_touch_is() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.advance(14 * MINUTE + 40 * SECOND);
    browser.visit(async |_| ()).await;
    site.lab.advance(30 * SECOND);
    let (exchange, _) = browser.start().await;
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange));
    assert!(!site.lab.calls().split_off(2).contains(&Call::Touch), "it was touched half a minute ago");
}

#[tokio::test]
async fn a_retired_token_is_good_within_the_grace_gets_no_successor_and_is_theft_after_it() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let mut old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    assert!(browser.owner().await.is_some());
    site.lab.advance(59 * SECOND);
    let before = old.cookie.clone();
    old.visit(async |session| {
        assert!(session.owner().is_some());
        add_one(session);
    })
    .await;
    assert_eq!(old.cookie, before);
    site.lab.advance(2 * SECOND);

    let (exchange, session) = old.start().await;
    assert_eq!((session.owner(), session.id(), site.events.thefts()), (None, None, 1));
    session.insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Gone, "then as after gone");
    old.receive(&exchange.headers());
    assert_eq!(old.cookie, None, "a removal cookie leaves");
    assert_eq!(browser.owner().await, None, "neither has the session any more");
    let theft = site.events.all().into_iter().find(|event| matches!(event.kind, EventKind::TheftDetected)).unwrap();
    assert_eq!((theft.owner, theft.method.as_deref()), (Some(Owner::from(42)), Some("GET")));
}

#[tokio::test(start_paused = true)]
async fn a_promotion_whose_reply_is_lost_or_late_is_made_once() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        let site = Site::new();
        let mut browser = site.logged_in(42).await;
        let old = browser.clone();
        site.due().await;
        browser.visit(async |_| ()).await;
        site.lab.next(Call::Replace, fault);
        assert!(browser.owner().await.is_some());
        site.lab.deliver_late().await;
        assert!(browser.owner().await.is_some());
        assert!(old.owner().await.is_some(), "within the grace");
        assert_eq!(site.events.thefts(), 0);
    }
}

#[tokio::test]
async fn a_promotion_that_lost_its_race_is_judged_again_and_never_applied_to_another_generation() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    // While the promotion is on its way, the same user logs in with the old token in another tab.
    let tab = old.clone();
    site.lab.before_next(Call::Replace, move || {
        let mut tab = tab.clone();
        async move { tab.visit(async |session| session.login(42).await.unwrap()).await }
    });
    let (exchange, session) = browser.start().await;
    assert_eq!(session.owner(), None, "late: of an earlier generation");
    session.insert("n", &9).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn a_promotion_keeps_the_expiry_as_it_is() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    site.due().await;
    browser.visit(async |_| ()).await;
    site.lab.advance(30 * MINUTE);
    let (_, session) = browser.start().await;
    assert!(session.expires_in().unwrap() <= 30 * MINUTE);
}

#[tokio::test]
async fn a_poll_gets_its_successor_without_counting_as_use() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.cookie.clone();
    site.due().await;
    browser.visit(async |session| session.skip_touch()).await;
    assert_ne!(browser.cookie, old);
    site.lab.advance(45 * MINUTE);
    assert_eq!(browser.owner().await, None);
}

#[tokio::test]
async fn a_successor_that_fails_is_told_and_the_response_stands_without_it() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.cookie.clone();
    site.due().await;
    for _ in 0..3 {
        site.lab.next(Call::Replace, Fault::Fails);
    }
    browser.visit(async |_| ()).await;
    assert_eq!(browser.cookie, old);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SuccessorFailed(_))), 1);
    browser.visit(async |_| ()).await;
    assert_ne!(browser.cookie, old);
}

#[tokio::test(start_paused = true)]
async fn a_response_whose_load_is_longer_ago_than_a_rotation_interval_carries_no_successor() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let slow = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    let (exchange, _) = slow.start().await;
    tokio::time::advance(15 * MINUTE).await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert!(!sets_cookie(&exchange), "the browser may have moved on");
}

#[tokio::test]
async fn no_response_carries_the_token_it_was_asked_with() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    for _ in 0..6 {
        site.lab.advance(5 * MINUTE);
        let asked_with = browser.cookie.clone().unwrap();
        let (exchange, session) = browser.start().await;
        add_one(&session);
        exchange.commit().await.unwrap();
        let answered = exchange.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        assert!(!answered.unwrap_or_default().contains(&asked_with));
        browser.receive(&exchange.headers());
    }
    assert_eq!(browser.get::<i64>("n").await, Some(6));
}

#[tokio::test]
async fn a_login_or_renewal_leaves_nothing_pending_and_nothing_retired() {
    for renews in [false, true] {
        let site = Site::new();
        let mut browser = site.logged_in(42).await;
        let mut retired = browser.clone();
        site.due().await;
        browser.visit(async |_| ()).await;
        browser.visit(async |_| ()).await;
        site.due().await;
        let mut successor = browser.clone();
        successor.visit(async |_| ()).await;
        assert_ne!(successor.cookie, browser.cookie, "one is retired, one is pending");
        browser
            .visit(async |session| match renews {
                true => session.renew().await.unwrap(),
                false => session.login(42).await.unwrap(),
            })
            .await;
        let fresh = browser.cookie.clone();
        browser.visit(async |_| ()).await;
        assert_eq!(browser.cookie, fresh, "a successor of the generation before was sent");
        successor.visit(async |session| assert_eq!(session.owner(), None)).await;
        retired.visit(async |session| assert_eq!(session.owner(), None)).await;
        assert_eq!((browser.owner().await, site.events.thefts()), (Some(Owner::from(42)), 0));
    }
}

/// The secret in a browser's token. Its first 20 bytes are the id and the generation.
fn secret(browser: &Browser) -> String {
    browser.cookie.as_ref().unwrap()[27..70].to_owned()
}

#[tokio::test]
async fn a_login_and_a_renewal_give_the_session_a_fresh_secret() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let planted = secret(&browser);
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    let of_login = secret(&browser);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    let of_renewal = secret(&browser);
    assert!(planted != of_login && of_login != of_renewal && of_renewal != planted);
}

#[tokio::test(start_paused = true)]
async fn a_retired_token_gets_no_successor_however_slow_its_request_is() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    // Within the grace the old token is good. When the request ends, the next rotation is due.
    site.lab.advance(30 * SECOND);
    let (exchange, _session) = old.start().await;
    tokio::time::advance(14 * MINUTE + 45 * SECOND).await;
    site.lab.calls();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    assert!(!site.lab.calls().contains(&Call::Replace), "a successor was stored");
}

#[tokio::test]
async fn a_token_of_a_generation_that_the_record_has_not_reached_is_a_stranger() {
    // This is what a restore from a backup does.
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let before_renewal = browser.clone();
    let id = browser.open().presented_id().unwrap();
    let before = site.lab.memory.load(&id).await.unwrap().unwrap();
    browser.visit(async |session| session.renew().await.unwrap()).await;
    let now = site.lab.memory.load(&id).await.unwrap().unwrap();
    let owner = Owner::from(42);
    let restored = session_core::Entry::new(before.revision, &before.payload).with_owner(Some(&owner));
    assert!(site.lab.memory.replace(&id, now.revision, restored, session_core::Expiry::Keep).await.unwrap());
    assert_eq!((browser.owner().await, site.events.thefts()), (None, 0));
    assert_eq!(before_renewal.owner().await, Some(owner), "it ends nothing");
}

#[tokio::test(start_paused = true)]
async fn after_the_response_was_sent_no_successor_is_made() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    site.lab.advance(10 * MINUTE);
    let (exchange, _session) = browser.start().await;
    exchange.commit().await.unwrap();
    tokio::time::advance(6 * MINUTE).await;
    exchange.commit().await.unwrap();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_logout_neither_extends_the_session_nor_says_that_a_successor_leaves() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    site.due().await;
    let (exchange, session) = browser.start().await;
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    session.logout().await.unwrap_err();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_slow_to_answer_stores_no_successor_that_it_does_not_send() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (exchange, _) = browser.start().await;
    site.due().await;
    tokio::time::advance(16 * MINUTE).await;
    exchange.commit().await.unwrap();
    assert_eq!(sets_cookie(&exchange), site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued)) == 1);
}
