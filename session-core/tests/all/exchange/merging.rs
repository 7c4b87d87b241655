//! Changes are merged into what others have saved. A request that has lost the session is silent.

use session_core::{Error, Outcome, Owner, Store};

use crate::support::*;

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

/// Of twenty requests, each in a process of its own or all in one.
async fn parallel_updates_are_exact(faults: &[Fault], is_one_process: bool) {
    let site = Site::new();
    let browser = site.visitor().await;
    for fault in faults {
        site.lab.next(Call::Replace, fault.clone());
    }
    let tasks = (0..20).map(|_| {
        let manager = if is_one_process { site.manager.clone() } else { site.another_process().manager };
        let browser = Browser { manager, ..browser.clone() };
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
            // Too many other writes have followed, so the outcome cannot be told. The answer says so, and nothing is
            // applied twice.
            Err(Error::OutcomeUnknown) => unknown += 1,
            Err(error) => panic!("{error}"),
        }
    }
    site.lab.assert_all_met();
    let late = faults.iter().filter(|fault| matches!(fault, Fault::ArrivesLate)).count();
    assert_eq!(site.lab.deliver_late().await, vec![false; late]);
    let n = browser.get::<i64>("n").await.unwrap();
    assert!((20 - unknown..=20).contains(&n), "{n} of 20 increments with {unknown} unknown");
    // In one process nobody else writes while one asks what became of its write.
    assert!(!is_one_process || unknown == 0);
}

#[tokio::test(start_paused = true)]
async fn parallel_updates_are_exact_when_replies_are_lost_and_packets_are_late() {
    let faults = [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails].map(|fault| vec![fault; 4]);
    parallel_updates_are_exact(&faults.concat(), false).await;
}

/// One write is sent at a time, for up to seven requests. So the faults come one after another. None meets three, which would
/// be an error.
#[tokio::test(start_paused = true)]
async fn in_one_process_parallel_updates_are_exact_when_replies_are_lost_and_packets_are_late() {
    let faults = [Fault::Fails, Fault::LosesReply, Fault::ArrivesLate, Fault::LosesReply];
    parallel_updates_are_exact(&[&faults[..]; 2].concat(), true).await;
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
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    let (runs, other) = (AtomicU32::new(0), session.clone());
    session
        .update("n", move |n: &mut i64| {
            *n += 1;
            // Another task of the same request acts just then. It is the third run: the commit has been beaten, this request
            // has seen the new value, and the next write is worked out.
            if runs.fetch_add(1, Ordering::SeqCst) == 2 {
                other.insert("other", &1).unwrap();
            }
        })
        .unwrap();
    browser.visit(async |session| _ = add_one(session)).await;
    exchange.commit().await.unwrap();
    let (_, session) = browser.start().await;
    assert_eq!((session.get::<i64>("n").unwrap(), session.get::<i64>("other").unwrap()), (Some(2), Some(1)));
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
