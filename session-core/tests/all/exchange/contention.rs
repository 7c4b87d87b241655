//! Many writers of one session. Each change arrives, and no writer waits for ever.

use std::time::Duration;

use session_core::{Error, EventKind, Outcome, Policy, SessionManager, Store};
use tokio::time::Instant;

use crate::support::*;

/// How many races one request loses in a row if others write without a pause on a fast store.
const LOST: usize = 200;

/// How often a request tries if a call takes no time.
const ATTEMPTS: usize = 512;

/// Before each of the next calls of this kind another node writes for the same browser.
fn beat(site: &Site, browser: &Browser, call: Call, times: usize) {
    beat_slowly(site, browser, call, times, Duration::ZERO);
}

/// The same, where each call takes this long.
fn beat_slowly(site: &Site, browser: &Browser, call: Call, times: usize, way: Duration) {
    // The other node never rotates, so that it does not do the work of the request.
    let policy = Policy::builder().rotation(HOUR).build().unwrap();
    let manager = SessionManager::new(site.lab.memory.clone(), keys()).with_policy(policy);
    let other = Browser { manager, cookie: browser.cookie.clone() };
    for _ in 0..times {
        let other = other.clone();
        site.lab.before_next(call, move || {
            let other = other.clone();
            async move {
                tokio::time::sleep(way).await;
                let (exchange, session) = other.start().await;
                session.skip_touch();
                add_one(&session);
                exchange.commit().await.unwrap();
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_loses_its_race_hundreds_of_times_is_saved() {
    let site = Site::new();
    let browser = site.visitor().await;
    beat(&site, &browser, Call::Replace, LOST);
    let (exchange, session) = browser.start().await;
    add_one(&session);
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    site.lab.assert_all_met();
    assert_eq!(browser.get::<usize>("n").await, Some(LOST + 1));
}

#[tokio::test(start_paused = true)]
async fn a_logout_and_the_end_of_a_device_win_against_hundreds_of_writes() {
    for ends_elsewhere in [false, true] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let (_exchange, session) = browser.start().await;
        let id = session.id().unwrap();
        beat(&site, &browser, Call::Delete, LOST);
        if ends_elsewhere {
            assert!(site.manager.end(&user(), &id).await.unwrap());
        } else {
            session.logout().await.unwrap();
        }
        site.lab.assert_all_met();
        assert_eq!(site.lab.memory.load(&id).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_always_loses_is_an_error_in_time_and_nothing_of_it_is_saved() {
    for way in [Duration::ZERO, SECOND / 10] {
        let site = Site::new();
        let browser = site.visitor().await;
        beat_slowly(&site, &browser, Call::Replace, 10 * LOST, way);
        let (exchange, session) = browser.start().await;
        session.insert("mine", &1).unwrap();
        let begun = Instant::now();
        assert!(matches!(exchange.commit().await, Err(Error::Contended)));
        assert!(begun.elapsed() < 6 * SECOND, "gave up after {:?}", begun.elapsed());
        assert!(!sets_cookie(&exchange));
        let stored = site.lab.memory.load(&session.id().unwrap()).await.unwrap().unwrap();
        assert!(!stored.payload.windows(4).any(|key| key == b"mine"));
    }
}

#[tokio::test(start_paused = true)]
async fn log_out_everywhere_wins_where_a_logout_always_loses() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    beat(&site, &browser, Call::Delete, 10 * LOST);
    let (exchange, session) = browser.start().await;
    assert!(matches!(session.logout().await, Err(Error::Contended)));
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "the session is still there");
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1);
    assert_eq!(browser.owner().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_change_on_a_very_slow_store_is_merged_all_the_same() {
    let site = Site::new();
    let browser = site.visitor().await;
    beat_slowly(&site, &browser, Call::Replace, 5, 10 * SECOND);
    let (exchange, session) = browser.start().await;
    add_one(&session);
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    site.lab.assert_all_met();
}

#[tokio::test(start_paused = true)]
async fn a_theft_is_told_and_ends_the_session_whatever_the_thief_writes() {
    for (times, revokes) in [(LOST, false), (10 * LOST, true)] {
        let site = Site::new();
        let other_device = site.logged_in(USER).await;
        let (thief, victim) = stolen(&site).await;
        beat(&site, &thief, Call::Delete, times);
        assert_eq!(victim.open().session().await.unwrap().owner(), None);
        assert_eq!(site.events.thefts(), 1, "of {times} races lost");
        assert_eq!(thief.owner().await, None);
        // If no deletion of the one session gets through, all sessions of the owner end, and an event tells it.
        assert_eq!(other_device.owner().await.is_none(), revokes, "of {times} races lost");
        assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Revoked { .. })), usize::from(revokes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_comes_before_the_last_resort_against_a_theft_is_spared() {
    let site = Site::new();
    let other_device = site.logged_in(USER).await;
    let (browser, old) = stolen(&site).await;
    beat(&site, &browser, Call::Delete, ATTEMPTS - 1);
    let again = browser.clone();
    site.lab.before_next(Call::Delete, move || {
        let mut again = again.clone();
        async move { again.visit(async |session| session.login(USER).await.unwrap()).await }
    });
    assert_eq!(old.open().session().await.unwrap().owner(), None);
    site.lab.assert_all_met();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Revoked { .. })), 0);
    assert_eq!(other_device.owner().await, Some(user()));
}

#[tokio::test(start_paused = true)]
async fn a_successor_is_good_while_another_tab_writes_without_a_pause() {
    for way in [Duration::ZERO, SECOND] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        let old = browser.clone();
        site.due().await;
        browser.visit(async |_| {}).await;
        beat_slowly(&site, &old, Call::Replace, LOST, way);
        let (exchange, session) = browser.start().await;
        assert_eq!(session.owner(), Some(user()));
        exchange.commit().await.unwrap();
        assert!(!sets_cookie(&exchange), "it has the successor");
        // The first request that wins a race proves the successor.
        assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 0);
        while site.events.count(|kind| matches!(kind, EventKind::Rotated)) == 0 {
            browser.visit(async |_| {}).await;
        }
        assert_eq!(browser.owner().await, Some(user()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_merged_while_others_never_stop_writing() {
    let site = Site::new();
    let browser = site.visitor().await;
    let mut other = browser.clone();
    let writing = tokio::spawn(async move {
        loop {
            other
                .visit(async |session| {
                    add_one(session);
                })
                .await;
            tokio::time::sleep(SECOND / 10_000).await;
        }
    });
    for _ in 0..20 {
        let (exchange, session) = browser.start().await;
        session.update("mine", |n: &mut i64| *n += 1).unwrap();
        tokio::time::sleep(SECOND / 1000).await;
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    }
    writing.abort();
    assert_eq!(browser.get::<i64>("mine").await, Some(20));
}

#[tokio::test(start_paused = true)]
async fn a_touch_or_a_successor_that_always_loses_does_not_hold_up_a_request_that_only_reads() {
    for (call, is_meant) in [
        (Call::Touch, (|kind| matches!(kind, EventKind::TouchFailed(Error::Contended))) as fn(&EventKind) -> bool),
        (Call::Replace, |kind| matches!(kind, EventKind::SuccessorFailed(Error::Contended))),
    ] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        site.lab.advance(if call == Call::Touch { 10 * MINUTE } else { 16 * MINUTE });
        beat(&site, &browser, call, LOST);
        let begun = Instant::now();
        let (exchange, _) = browser.start().await;
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged, "nothing was lost");
        assert!(begun.elapsed() < SECOND / 4, "waited {:?} for a {call:?}", begun.elapsed());
        assert_eq!(site.events.count(is_meant), 1);
    }
}
