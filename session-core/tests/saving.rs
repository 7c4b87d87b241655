//! Merging, losing, and what a request costs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use session_core::{Error, Outcome, Owner, Store};
use support::*;

// What a request costs.

#[tokio::test]
async fn a_request_that_never_asks_for_its_session_makes_no_call() {
    let site = Site::new();
    let browser = site.visitor().await;
    let exchange = browser.open();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert!(exchange.headers().is_empty());
    assert_eq!(site.lab.calls(), []);
}

#[tokio::test]
async fn reading_costs_one_load_and_no_write() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| assert_eq!(session.get::<i64>("n").unwrap(), Some(0))).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn an_equal_value_inserted_writes_nothing() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("n", &0).unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_value_changed_back_writes_nothing() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser
        .visit(async |session| {
            session.insert("n", &1).unwrap();
            session.insert("n", &0).unwrap();
            session.insert("other", &1).unwrap();
            assert!(session.remove("other"));
        })
        .await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_change_costs_a_load_and_a_replace_and_a_new_session_one_create() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.visit(async |session| session.insert("n", &0).unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Create]);
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
}

#[tokio::test]
async fn a_login_costs_three_calls_and_two_without_an_earlier_session() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace, Call::Load]);
    let mut fresh = site.browser();
    fresh.visit(async |session| session.login(42).await.unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Create, Call::Load]);
}

#[tokio::test]
async fn an_empty_new_session_is_never_created() {
    let site = Site::new();
    let mut browser = site.browser();
    browser
        .visit(async |session| {
            session.insert("n", &1).unwrap();
            assert!(session.remove("n"));
            assert!(session.is_new());
        })
        .await;
    assert_eq!((site.lab.calls(), browser.cookie), (vec![], None));
}

#[tokio::test]
async fn a_touch_is_sent_when_a_tenth_of_the_idle_time_out_but_at_most_a_minute_was_used() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(59 * SECOND);
    browser.visit(async |_| ()).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
    site.lab.advance(2 * SECOND);
    browser.visit(async |_| ()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Touch]);
    browser.visit(async |session| assert!(session.expires_in().unwrap() > HOUR - SECOND)).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_poll_does_not_keep_the_user_signed_in() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    for _ in 0..3 {
        site.lab.advance(15 * MINUTE);
        browser.visit(async |session| session.skip_touch()).await;
        browser
            .visit(async |session| {
                session.skip_touch();
                add_one(session);
            })
            .await;
    }
    assert!(!site.lab.calls().contains(&Call::Touch));
    site.lab.advance(15 * MINUTE);
    assert_eq!(browser.get::<i64>("n").await, None);
}

#[tokio::test]
async fn a_touch_that_fails_is_told_and_the_response_stands() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(2 * MINUTE);
    site.lab.next(Call::Touch, Fault::Fails);
    browser.visit(async |_| ()).await;
    assert_eq!(site.events.count(|kind| matches!(kind, session_core::EventKind::TouchFailed(_))), 1);
}

#[tokio::test]
async fn a_touch_that_lost_against_a_poll_still_extends_the_idle_time_out() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(30 * MINUTE);
    let poll = browser.clone();
    site.lab.before_next(Call::Touch, move || {
        let poll = poll.clone();
        async move {
            let (exchange, session) = poll.start().await;
            session.skip_touch();
            add_one(&session);
            exchange.commit().await.unwrap();
        }
    });
    browser.visit(async |_| ()).await;
    site.lab.assert_all_met();
    site.lab.advance(45 * MINUTE);
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

// Merging.

#[tokio::test(start_paused = true)]
async fn parallel_updates_are_all_kept() {
    let site = Site::new();
    let browser = site.visitor().await;
    let tasks = (0..50).map(|_| {
        let browser = browser.clone();
        tokio::spawn(async move {
            let (exchange, session) = browser.start().await;
            add_one(&session);
            exchange.commit().await.unwrap()
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), Outcome::Saved);
    }
    assert_eq!(browser.get::<i64>("n").await, Some(50));
}

#[tokio::test(start_paused = true)]
async fn parallel_updates_are_exact_when_replies_are_lost_and_packets_are_late() {
    let site = Site::new();
    let browser = site.visitor().await;
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        for _ in 0..4 {
            site.lab.next(Call::Replace, fault.clone());
        }
    }
    let tasks = (0..20).map(|_| {
        let browser = browser.clone();
        tokio::spawn(async move {
            let (exchange, session) = browser.start().await;
            add_one(&session);
            exchange.commit().await
        })
    });
    let mut unknown = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(outcome) => assert_eq!(outcome, Outcome::Saved),
            // So many others have followed that it cannot be told: said, and never applied twice.
            Err(Error::OutcomeUnknown) => unknown += 1,
            Err(error) => panic!("{error}"),
        }
    }
    site.lab.assert_all_met();
    assert_eq!(site.lab.deliver_late().await, [false; 4]);
    let n = browser.get::<i64>("n").await.unwrap();
    assert!((20 - unknown..=20).contains(&n), "{n} of 20 increments with {unknown} unknown");
}

#[tokio::test(start_paused = true)]
async fn disjoint_keys_written_at_once_are_all_kept() {
    let site = Site::new();
    let browser = site.visitor().await;
    let tasks = (0..20).map(|n| {
        let browser = browser.clone();
        tokio::spawn(async move {
            let (exchange, session) = browser.start().await;
            session.insert(&format!("key {n}"), &n).unwrap();
            exchange.commit().await.unwrap()
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(browser.start().await.1.keys().len(), 21);
}

#[tokio::test(start_paused = true)]
async fn take_has_one_winner() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("code", "1234").unwrap()).await;
    let tasks = (0..20).map(|_| {
        let browser = browser.clone();
        tokio::spawn(async move { browser.start().await.1.take::<String>("code").await.unwrap() })
    });
    let mut winners = 0;
    for task in tasks.collect::<Vec<_>>() {
        winners += usize::from(task.await.unwrap().is_some());
    }
    assert_eq!(winners, 1);
    assert_eq!(browser.get::<String>("code").await, None);
}

#[tokio::test(start_paused = true)]
async fn take_knows_its_win_when_the_reply_is_lost_and_hands_nothing_out_while_it_does_not() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("code", "1234").unwrap()).await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    assert_eq!(browser.start().await.1.take::<String>("code").await.unwrap().as_deref(), Some("1234"));

    browser.visit(async |session| session.insert("code", "5678").unwrap()).await;
    let (_, session) = browser.start().await;
    for _ in 0..3 {
        site.lab.next(Call::Replace, Fault::Fails);
    }
    session.take::<String>("code").await.unwrap_err();
    assert_eq!(session.take::<String>("code").await.unwrap(), None, "the first take was settled before the second");
    site.lab.assert_all_met();
}

#[tokio::test]
async fn taking_a_value_of_another_type_leaves_it() {
    let site = Site::new();
    let browser = site.visitor().await;
    let error = browser.start().await.1.take::<String>("n").await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error}");
    assert_eq!(browser.get::<i64>("n").await, Some(0));
}

#[tokio::test]
async fn a_merge_applies_clear_remove_and_updates_to_what_others_saved() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("old", &1).unwrap()).await;
    let (exchange, session) = browser.start().await;
    session.clear();
    session.update("n", |n: &mut i64| *n += 5).unwrap();
    session.insert("mine", &1).unwrap();
    browser
        .visit(async |session| {
            add_one(session);
            session.insert("theirs", &1).unwrap();
        })
        .await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    let (_, session) = browser.start().await;
    assert_eq!(session.keys(), ["mine", "n"]);
    assert_eq!(session.get::<i64>("n").unwrap(), Some(5));
}

#[tokio::test]
async fn a_change_made_while_a_save_is_on_its_way_is_saved_later_and_once() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    let gate = site.lab.hold(Call::Replace);
    let saving = tokio::spawn({
        let session = session.clone();
        async move { session.save().await }
    });
    gate.reached().await;
    assert_eq!(add_one(&session), 2, "what is on its way is seen");
    gate.open();
    saving.await.unwrap().unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(2));
    assert_eq!(browser.get::<i64>("n").await, Some(1));
    exchange.commit().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(2));
}

#[tokio::test]
async fn a_change_that_comes_while_a_write_is_worked_out_is_not_lost() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    let (runs, other) = (AtomicU32::new(0), session.clone());
    session
        .update("n", move |n: &mut i64| {
            *n += 1;
            // Another task of the same request, just then: once when the commit runs this again.
            if runs.fetch_add(1, Ordering::SeqCst) == 1 {
                other.insert("other", &1).unwrap();
            }
        })
        .unwrap();
    exchange.commit().await.unwrap();
    let (_, session) = browser.start().await;
    assert_eq!((session.get::<i64>("n").unwrap(), session.get::<i64>("other").unwrap()), (Some(1), Some(1)));
}

#[tokio::test]
async fn an_equal_value_inserted_is_no_change_to_what_others_saved() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.insert("n", &0).unwrap();
    session.insert("mine", &1).unwrap();
    browser.visit(async |session| session.insert("n", &5).unwrap()).await;
    exchange.commit().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(5));
}

#[tokio::test]
async fn an_update_runs_again_if_another_task_of_the_request_was_quicker() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    let (is_first, other) = (AtomicBool::new(true), session.clone());
    let seen = session.update("n", move |n: &mut i64| {
        if is_first.swap(false, Ordering::SeqCst) {
            other.insert("n", &10).unwrap();
        }
        *n += 1;
    });
    assert_eq!(seen.unwrap(), 11);
    exchange.commit().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(11));
}

// Losing.

#[tokio::test]
async fn a_late_save_never_revives_a_session_that_was_logged_out_revoked_or_has_expired() {
    let owner = Owner::from(42);
    for end in ["logout", "revoke", "end", "expiry"] {
        let site = Site::new();
        let browser = site.logged_in(42).await;
        let (exchange, session) = browser.start().await;
        add_one(&session);
        let id = session.id().unwrap();
        match end {
            "logout" => browser.clone().visit(async |session| session.logout().await.unwrap()).await,
            "revoke" => assert_eq!(site.manager.revoke_all(&owner).await.unwrap(), 1),
            "end" => assert!(site.manager.end(&owner, &id).await.unwrap()),
            _ => site.lab.advance(HOUR),
        }
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Gone, "after {end}");
        assert!(!sets_cookie(&exchange), "the loser is silent");
        assert!(matches!(session.save().await, Err(Error::Gone)));
        assert_eq!(site.lab.memory.load(&id).await.unwrap(), None, "after {end}");
        session.insert("n", &1).unwrap();
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Gone, "and makes no new one");
    }
}

#[tokio::test]
async fn a_touch_that_finds_the_session_gone_or_superseded_says_so() {
    let site = Site::new();
    let browser = site.visitor().await;
    site.lab.advance(10 * MINUTE);
    let (exchange, _) = browser.start().await;
    browser.clone().visit(async |session| session.logout().await.unwrap()).await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Gone);

    let browser = site.visitor().await;
    site.lab.advance(10 * MINUTE);
    let (exchange, _) = browser.start().await;
    browser.clone().visit(async |session| session.login(42).await.unwrap()).await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn after_gone_nothing_is_sent_whatever_succeeded_before() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.login(42).await.unwrap();
    assert!(sets_cookie(&exchange));
    add_one(&session);
    assert_eq!(site.manager.revoke_all(&Owner::from(42)).await.unwrap(), 1);
    assert!(matches!(session.save().await, Err(Error::Gone)));
    assert!(!sets_cookie(&exchange));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Gone);
    assert!(!sets_cookie(&exchange));
}

// The response, and what comes after it.

#[tokio::test]
async fn after_the_response_a_session_is_saved_but_not_created_renewed_or_logged_in() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    add_one(&session);
    session.save().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(1));
    assert!(matches!(session.login(42).await, Err(Error::ResponseSent)));
    assert!(matches!(session.renew().await, Err(Error::ResponseSent)));

    let (exchange, session) = site.browser().start().await;
    exchange.commit().await.unwrap();
    session.insert("n", &1).unwrap();
    assert!(matches!(session.save().await, Err(Error::ResponseSent)));
    assert!(matches!(session.begin_login().await, Err(Error::ResponseSent)));
    assert!(matches!(session.login(42).await, Err(Error::ResponseSent)));
}

#[tokio::test]
async fn a_websocket_that_was_opened_anonymously_stays_anonymous() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    browser.visit(async |session| session.insert("n", &3).unwrap()).await;
    session.reload().await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(3));
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    assert!(matches!(session.reload().await, Err(Error::Superseded)));
    assert_eq!(session.owner(), None);
    assert!(matches!(session.save().await, Err(Error::Superseded)));
}

#[tokio::test]
async fn a_session_that_was_read_varies_by_cookie_and_a_cookie_is_never_cached() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    assert_eq!(exchange.headers().get("vary").unwrap(), "Cookie");
    assert!(!exchange.headers().contains_key("cache-control"));
    drop(session);
    let (exchange, session) = browser.start().await;
    session.login(42).await.unwrap();
    exchange.commit().await.unwrap();
    assert_eq!(exchange.headers().get("cache-control").unwrap(), "no-store");
}

// Sizes.

#[tokio::test]
async fn a_value_that_is_too_large_is_refused_at_insert_and_after_a_merge() {
    let policy = session_core::Policy::builder().size_limit(4096).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    assert!(matches!(session.insert("big", &"x".repeat(4096)), Err(Error::TooLarge { limit: 4096, .. })));
    assert!(!session.contains("big"));
    session.insert("mine", &"x".repeat(2000)).unwrap();
    browser.visit(async |session| session.insert("theirs", &"x".repeat(2000)).unwrap()).await;
    assert!(matches!(exchange.commit().await, Err(Error::TooLarge { .. })));
    assert_eq!(browser.start().await.1.keys(), ["n", "theirs"]);
}

#[tokio::test]
async fn a_session_that_was_larger_before_the_limit_was_lowered_goes_on_but_does_not_grow() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    browser.visit(async |session| session.insert("big", &"x".repeat(8192)).unwrap()).await;
    let policy = session_core::Policy::builder().size_limit(4096).build().unwrap();
    browser.manager = browser.manager.with_policy(policy);
    site.due().await;
    let old = browser.cookie.clone();
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_ne!(browser.cookie, old, "it rotates");
    let (_, session) = browser.start().await;
    session.renew().await.unwrap();
    assert!(matches!(session.insert("more", &1), Err(Error::TooLarge { .. })));
    assert_eq!(session.take::<String>("big").await.unwrap().unwrap().len(), 8192);
    session.insert("more", &1).unwrap();
}

#[tokio::test]
async fn keys_and_values_are_binary_safe() {
    let site = Site::new();
    let mut browser = site.browser();
    let strange = ["", "\0", "ключ", "a\nb", "🦀"];
    browser
        .visit(async |session| {
            for key in strange {
                session.insert(key, key).unwrap();
            }
        })
        .await;
    for key in strange {
        assert_eq!(browser.get::<String>(key).await.as_deref(), Some(key));
    }
}

#[tokio::test]
async fn idle_and_absolute_time_outs_hold_together() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let mut lived = Duration::ZERO;
    while browser.get::<i64>("n").await.is_some() {
        site.lab.advance(30 * MINUTE);
        lived += 30 * MINUTE;
        browser.visit(async |_| ()).await;
    }
    assert_eq!(lived, 4 * HOUR, "used all the time, a session before login lasts four hours");
    let browser = site.visitor().await;
    site.lab.advance(HOUR);
    assert_eq!(browser.get::<i64>("n").await, None, "unused, one");
}
