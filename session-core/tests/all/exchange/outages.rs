//! Outages, and writes whose outcome is unknown.

use session_core::{Error, Outcome, Owner, SchemaError, Store, StoreError};

use crate::support::*;

/// The outermost error, which the log shows first.
#[test]
fn a_missing_table_is_the_first_thing_that_an_error_says() {
    let missing = SchemaError::TableMissing { table: "sessions".into() };
    let sentence =
        "the table sessions is missing: call `migrate()` of the store at start, or make the table by its `SCHEMA`";
    let error = Error::from(StoreError::from(missing));
    assert_eq!(error.to_string(), sentence);
    assert!(std::error::Error::source(&error).is_none(), "it is said once");
    assert_eq!(error.status(), 503);
}

// Unknown outcomes.

#[tokio::test(start_paused = true)]
async fn a_write_whose_reply_is_lost_is_applied_once() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    browser
        .visit(async |session| {
            add_one(session);
        })
        .await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace, Call::Load]);
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_late_packet_is_not_applied_twice() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.next(Call::Replace, Fault::ArrivesLate);
    browser
        .visit(async |session| {
            add_one(session);
        })
        .await;
    assert_eq!(site.lab.deliver_late().await, [false]);
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_late_packet_that_arrives_before_the_second_sending_counts_as_the_first() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    site.lab.next(Call::Replace, Fault::ArrivesLate);
    let lab = site.lab.clone();
    site.lab.before_next(Call::Replace, move || {
        let lab = lab.clone();
        async move { assert_eq!(lab.deliver_late().await, [true]) }
    });
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    site.lab.assert_all_met();
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_own_revision_is_found_under_later_writes_and_logins() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    site.lab.next(Call::Replace, Fault::LosesReply);
    let other = browser.clone();
    site.lab.before_next(Call::Load, move || {
        let mut other = other.clone();
        async move {
            for _ in 0..6 {
                other
                    .visit(async |session| {
                        add_one(session);
                    })
                    .await;
            }
        }
    });
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    assert_eq!(browser.get::<i64>("n").await, Some(7));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_can_no_longer_be_told_is_an_error_and_nothing_is_applied_twice() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    site.lab.next(Call::Replace, Fault::LosesReply);
    let other = browser.clone();
    site.lab.before_next(Call::Load, move || {
        let mut other = other.clone();
        async move {
            for _ in 0..9 {
                other
                    .visit(async |session| {
                        add_one(session);
                    })
                    .await;
            }
        }
    });
    assert!(matches!(exchange.commit().await, Err(Error::OutcomeUnknown)));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert_eq!(browser.get::<i64>("n").await, Some(10));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_failed_stays_in_the_exchange_and_is_settled_before_the_next() {
    for first in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        let site = Site::new();
        let browser = site.visitor().await;
        let (exchange, session) = browser.start().await;
        add_one(&session);
        site.lab.next(Call::Replace, first);
        site.lab.next(Call::Load, Fault::Fails);
        assert!(matches!(session.save().await, Err(Error::Store(StoreError::TimedOut { .. }))));
        add_one(&session);
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
        site.lab.deliver_late().await;
        site.lab.assert_all_met();
        assert_eq!(browser.get::<i64>("n").await, Some(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_future_was_dropped_is_settled_before_the_next() {
    for reply in [false, true] {
        let site = Site::new();
        let browser = site.visitor().await;
        let (exchange, session) = browser.start().await;
        add_one(&session);
        let gate = if reply { site.lab.hold_reply(Call::Replace) } else { site.lab.hold(Call::Replace) };
        tokio::select! {
            _ = session.save() => panic!("the save was held"),
            () = gate.reached() => {}
        }
        assert_eq!(session.get::<i64>("n").unwrap(), Some(1), "what is on its way is seen");
        add_one(&session);
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
        assert_eq!(browser.get::<i64>("n").await, Some(2), "with the answer held: {reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_of_unknown_outcome_is_tried_again_under_a_fresh_id() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        let site = Site::new();
        let mut browser = site.browser();
        site.lab.next(Call::Create, fault);
        browser.visit(async |session| session.insert("n", &7).unwrap()).await;
        assert_eq!(site.lab.calls(), [Call::Create, Call::Create]);
        site.lab.deliver_late().await;
        assert_eq!(browser.get::<i64>("n").await, Some(7));
    }
}

#[tokio::test]
async fn a_create_whose_future_was_dropped_is_made_at_commit() {
    let site = Site::new();
    let mut browser = site.browser();
    let gate = site.lab.hold_reply(Call::Create);
    browser
        .visit(async |session| {
            session.insert("n", &7).unwrap();
            tokio::select! {
                _ = session.save() => panic!("the save was held"),
                () = gate.reached() => {}
            }
        })
        .await;
    assert_eq!(browser.get::<i64>("n").await, Some(7));
}

// Outages.

#[tokio::test]
async fn an_outage_is_an_error_and_never_an_empty_session() {
    let site = Site::new();
    let browser = site.visitor().await;
    site.lab.set_down(true);
    let exchange = browser.open();
    for _ in 0..2 {
        let error = exchange.session().await.unwrap_err();
        assert!(matches!(error, Error::Store(StoreError::Unavailable { .. })));
        assert_eq!(error.status(), 503);
    }
    assert_eq!(site.lab.calls(), [Call::Load], "one load, also where it fails");
    site.lab.set_down(false);
    assert!(exchange.loaded().is_none());
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert!(!sets_cookie(&exchange));
    assert_eq!(browser.get::<i64>("n").await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_save_is_an_error_and_the_login_before_it_still_leaves() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.login(42).await.unwrap();
    add_one(&session);
    site.lab.set_down(true);
    assert!(matches!(exchange.commit().await, Err(Error::Store(_))));
    site.lab.set_down(false);
    browser.receive(&exchange.headers());
    assert_eq!(browser.owner().await, Some(Owner::from(42)));
}

#[tokio::test(start_paused = true)]
async fn the_purge_task_survives_an_error_and_stops_when_it_is_told_to() {
    let site = Site::new();
    site.visitor().await;
    site.lab.advance(5 * HOUR);
    site.lab.set_down(true);
    let purge = site.manager.purge_every(MINUTE);
    tokio::time::sleep(MINUTE / 2).await;
    assert_eq!(site.lab.calls(), [Call::Purge]);
    site.lab.set_down(false);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(site.lab.calls(), [Call::Purge, Call::Purge], "until none is left");
    assert_eq!(site.lab.memory.purge(1).await.unwrap(), 0, "nothing was purged after an error");
    purge.stop().await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(site.lab.calls(), [], "the task has not stopped");
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_first_create_was_slow_keeps_its_data() {
    let site = Site::new();
    let mut browser = site.browser();
    for _ in 0..2 {
        site.lab.next(Call::Create, Fault::Fails);
    }
    let (exchange, session) = browser.start().await;
    session.insert("cart", &1).unwrap();
    session.login(42).await.unwrap_err();
    assert_eq!(session.get::<i64>("cart").unwrap(), Some(1));
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    assert_eq!(browser.get::<i64>("cart").await, Some(1));
}
