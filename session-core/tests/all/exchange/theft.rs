//! Theft: an old token after its grace. The session ends, and the owner is told.

use session_core::{Error, EventKind, Owner, Policy, Store, StoreError};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn parallel_thefts_are_one_event_and_never_none_when_the_answer_is_lost() {
    for lost in [false, true] {
        let site = Site::new();
        let (_, old) = stolen(&site).await;
        if lost {
            site.lab.next(Call::Delete, Fault::LosesReply);
        }
        let tasks = (0..5).map(|_| {
            let old = old.clone();
            tokio::spawn(async move { old.owner().await })
        });
        for task in tasks.collect::<Vec<_>>() {
            assert_eq!(task.await.unwrap(), None);
        }
        // If an answer was lost, two requests may both have reason to think that they have ended the session.
        assert!((1..=1 + usize::from(lost)).contains(&site.events.thefts()), "with a lost answer: {lost}");
    }
}

#[tokio::test]
async fn theft_is_judged_again_if_the_session_moved() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    let victim = browser.clone();
    site.lab.before_next(Call::Delete, move || {
        let mut victim = victim.clone();
        async move { victim.visit(async |session| session.renew().await.unwrap()).await }
    });
    assert_eq!(old.owner().await, None);
    site.lab.assert_all_met();
    assert_eq!(site.events.thefts(), 0, "the renewal made it a late token, which alarms nobody");
    assert_eq!(site.lab.memory.list(&Owner::from(42)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_theft_that_cannot_be_ended_is_an_outage_and_no_session() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    let exchange = old.open();
    assert!(matches!(exchange.session().await, Err(Error::Store(StoreError::TimedOut { .. }))));
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn a_theft_whose_answer_was_lost_is_told() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    let old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    site.lab.next(Call::Delete, Fault::LosesReply);
    assert_eq!(old.owner().await, None);
    assert_eq!(site.events.thefts(), 1);
}

#[tokio::test]
async fn honest_tabs_and_lost_responses_never_look_like_theft() {
    let policy = Policy::builder().rotation(10 * SECOND).grace(4 * SECOND).build().unwrap();
    let site = Site::with_policy(policy);
    let mut jar = site.logged_in(42).await;
    for round in 0_u32..200 {
        // Two tabs ask at once. Now and then one answer is lost. The browser stores the other within half the grace.
        let (first, second) = (jar.clone(), jar.clone());
        let (one, _) = first.start().await;
        let (two, session) = second.start().await;
        assert_eq!(session.owner(), Some(Owner::from(42)), "in round {round}");
        add_one(&session);
        one.commit().await.unwrap();
        site.lab.advance(SECOND);
        two.commit().await.unwrap();
        if round % 3 != 0 {
            jar.receive(&two.headers());
        }
        if round % 5 == 0 {
            jar.receive(&one.headers());
        }
        site.lab.advance(u32::from(round % 7 == 0) * 5 * SECOND);
    }
    assert_eq!(site.events.thefts(), 0);
    assert!(site.events.count(|kind| matches!(kind, EventKind::Rotated)) > 10);
}

#[tokio::test(start_paused = true)]
async fn a_theft_whose_first_deletion_arrives_late_is_told() {
    let site = Site::new();
    let (browser, mut old) = stolen(&site).await;
    site.lab.next(Call::Delete, Fault::ArrivesLate);
    let lab = site.lab.clone();
    site.lab.before_next(Call::Delete, move || {
        let lab = lab.clone();
        async move { assert_eq!(lab.deliver_late().await, [true]) }
    });
    old.visit(async |session| assert_eq!(session.owner(), None)).await;
    site.lab.assert_all_met();
    assert_eq!(browser.owner().await, None, "it has ended");
    assert_eq!(site.events.thefts(), 1, "and that shows");
    assert_eq!(old.cookie, None, "a removal cookie leaves");
}

#[tokio::test(start_paused = true)]
async fn a_theft_whose_deletion_lost_its_answer_is_told_also_if_the_store_then_fails() {
    let site = Site::new();
    let (browser, old) = stolen(&site).await;
    let first_load = site.lab.hold(Call::Load);
    site.lab.next(Call::Load, Fault::Fails);
    site.lab.next(Call::Delete, Fault::LosesReply);
    first_load.open();
    old.open().session().await.unwrap_err();
    site.lab.assert_all_met();
    assert_eq!(browser.owner().await, None, "it has ended");
    old.open().session().await.unwrap();
    assert_eq!(site.events.thefts(), 1, "and that shows");
}

#[tokio::test(start_paused = true)]
async fn a_theft_is_told_also_if_the_thief_hangs_up() {
    let site = Site::new();
    let (browser, old) = stolen(&site).await;
    let gate = site.lab.hold_reply(Call::Delete);
    let exchange = old.open();
    tokio::select! {
        _ = exchange.session() => panic!("the deletion was held"),
        () = gate.reached() => {}
    }
    drop(exchange);
    assert_eq!(browser.owner().await, None, "it has ended");
    assert_eq!(site.events.thefts(), 1, "and that shows");
}
