//! Writers of one process take turns at a session. A turn is one compare-and-swap, and nobody depends on getting one.

use std::{pin::pin, time::Duration};

use session_core::Outcome;
use tokio::time::Instant;

use super::in_line::*;
use crate::support::*;

#[tokio::test]
async fn a_lone_request_makes_no_call_more() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (exchange, _) = writer(&browser).await;
    exchange.commit().await.unwrap();
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn writers_of_one_process_do_not_beat_one_another() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let begun = Instant::now();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let browser = browser.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    let (exchange, _) = writer(&browser).await;
                    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let calls = site.lab.calls();
    let tries = calls.iter().filter(|call| **call == Call::Replace).count();
    assert_eq!(browser.get::<usize>("n").await, Some(320));
    // Those who wait share one, seven at most.
    assert!((320 / 7..=320 / 4).contains(&tries), "{tries} tries for 320 writes");
    assert!(begun.elapsed() < WAIT, "somebody was not called: {:?}", begun.elapsed());
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_knows_what_the_one_before_has_written() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let sessions = [browser.start().await.1, browser.start().await.1, browser.start().await.1];
    let gate = site.lab.hold(Call::Replace);
    site.lab.calls();
    let mut tasks = Vec::new();
    for session in sessions {
        tasks.push(tokio::spawn(async move { session.update_now("n", |n: &mut i64| *n += 1).await }));
        settle().await;
    }
    gate.reached().await;
    gate.open();
    for (at, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap(), [1, 2, 3][at], "it answers, so it shares no write");
    }
    // The second came while the first was writing, so it looks. The third came before the second had begun.
    assert_eq!(site.lab.calls(), [Call::Replace, Call::Load, Call::Replace, Call::Replace]);
    assert_eq!(browser.get::<i64>("n").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_50_ms_at_most_and_the_next_one_does_not_wait_again() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let [(first, _), (second, _)] = [writer(&browser).await, writer(&browser).await];
    let gate = site.lab.hold(Call::Replace);
    let first = commit(first).await;
    gate.reached().await;
    let begun = Instant::now();
    assert_eq!(second.commit().await.unwrap(), Outcome::Saved);
    assert!((WAIT..WAIT + Duration::from_millis(10)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let begun = Instant::now();
    let (third, _) = writer(&browser).await;
    assert_eq!(third.commit().await.unwrap(), Outcome::Saved);
    assert_eq!(begun.elapsed(), Duration::ZERO, "that turn is over");
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), Outcome::Saved);
    assert_eq!(browser.get::<i64>("n").await, Some(3));
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn who_is_dropped_while_writing_or_waiting_frees_the_turn_at_once() {
    for (dropped, is_held) in [(0, false), (0, true), (1, false)] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let writers = [writer(&browser).await, writer(&browser).await, writer(&browser).await];
        // Before it is applied, or after.
        let gate = if is_held { site.lab.hold_reply(Call::Replace) } else { site.lab.hold(Call::Replace) };
        let mut tasks = Vec::new();
        for (exchange, _) in writers {
            tasks.push(commit(exchange).await);
        }
        gate.reached().await;
        let begun = Instant::now();
        tasks.remove(dropped).abort();
        settle().await;
        if dropped > 0 {
            gate.open();
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), Outcome::Saved);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited for one who is gone");
        assert_eq!(browser.get::<i64>("n").await, Some(2 + i64::from(is_held)));
        assert_nobody_writes(&site);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_ends_before_its_writer_looks_again() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let [(first, _), (second, _)] = [writer(&browser).await, writer(&browser).await];
    let elsewhere = elsewhere(&site, &browser);
    site.lab.before_next(Call::Replace, move || {
        let mut elsewhere = elsewhere.clone();
        async move { elsewhere.visit(async |session| _ = add_one(session)).await }
    });
    // The first load is that of the request elsewhere.
    site.lab.before_next(Call::Load, || async {});
    let looking = site.lab.hold(Call::Load);
    let first = commit(first).await;
    looking.reached().await;
    let begun = Instant::now();
    assert_eq!(second.commit().await.unwrap(), Outcome::Saved);
    assert!(begun.elapsed() < WAIT, "{:?}", begun.elapsed());
    looking.open();
    assert_eq!(first.await.unwrap().unwrap(), Outcome::Saved);
    assert_eq!(browser.get::<i64>("n").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_logout_a_login_a_renewal_and_a_revocation_wait_for_no_turn() {
    for end in ["logout", "login", "renew", "revoke"] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let [(first, _), (second, _)] = [writer(&browser).await, writer(&browser).await];
        let (_exchange, session) = browser.start().await;
        let gate = site.lab.hold(Call::Replace);
        let tasks = [commit(first).await, commit(second).await];
        gate.reached().await;
        let begun = Instant::now();
        match end {
            "logout" => session.logout().await.unwrap(),
            "login" => session.login(USER).await.unwrap(),
            "renew" => session.renew().await.unwrap(),
            _ => assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1),
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "{end}");
        gate.open();
        let is_moved = matches!(end, "login" | "renew");
        for task in tasks {
            let outcome = task.await.unwrap().unwrap();
            assert_eq!(outcome, if is_moved { Outcome::Superseded } else { Outcome::Gone }, "{end}");
        }
        assert_nobody_writes(&site);
    }
}

/// The one before has written, and its answer is on the way. Then the session ends, or a login takes it over.
#[tokio::test(start_paused = true)]
async fn what_the_one_before_has_written_is_trusted_no_more_than_a_load() {
    for end in ["logout", "login", "revoke", "expiry"] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let [(first, _), (second, _)] = [writer(&browser).await, writer(&browser).await];
        let [(_exchange, session), (exchange, third)] = [browser.start().await, browser.start().await];
        let gates = [site.lab.hold_reply(Call::Replace), site.lab.hold_reply(Call::Replace)];
        let tasks = [commit(first).await, commit(second).await];
        let third = tokio::spawn(async move {
            let updated = third.update_now("n", |n: &mut i64| *n += 1).await;
            drop(exchange);
            updated
        });
        settle().await;
        gates[0].reached().await;
        gates[0].open();
        gates[1].reached().await;
        match end {
            "logout" => session.logout().await.unwrap(),
            "login" => session.login(USER).await.unwrap(),
            "revoke" => assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1),
            _ => site.lab.advance(HOUR),
        }
        gates[1].open();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), Outcome::Saved, "it was applied before: {end}");
        }
        let lost = third.await.unwrap().unwrap_err();
        assert_eq!(lost.name(), if end == "login" { "superseded" } else { "gone" }, "{end}");
        assert_eq!(is_stored(&site, &browser).await, end == "login", "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_two_sessions_in_two_orders_do_not_wait_for_one_another() {
    let site = Site::new();
    let browsers = [site.logged_in(USER).await, site.logged_in(7).await];
    let begun = Instant::now();
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let mut browsers = browsers.clone();
            browsers.rotate_left(number % 2);
            tokio::spawn(async move {
                let [one, two] = [writer(&browsers[0]).await, writer(&browsers[1]).await];
                for (exchange, session) in [one, two] {
                    session.update_now("m", |m: &mut i64| *m += 1).await.unwrap();
                    exchange.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(begun.elapsed() < WAIT, "{:?}", begun.elapsed());
    for browser in &browsers {
        assert_eq!((browser.get::<i64>("n").await, browser.get::<i64>("m").await), (Some(16), Some(16)));
    }
}

#[tokio::test(start_paused = true)]
async fn writers_of_two_processes_are_exact() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let elsewhere = elsewhere(&site, &browser);
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let browser = if number % 2 == 0 { browser.clone() } else { elsewhere.clone() };
            tokio::spawn(async move {
                for _ in 0..10 {
                    let (exchange, session) = writer(&browser).await;
                    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
                    session.update_now("m", |m: &mut i64| *m += 1).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((browser.get::<i64>("n").await, browser.get::<i64>("m").await), (Some(320), Some(320)));
}

/// A future that is not polled holds its turn. It is the select of a handler, for example.
#[tokio::test(start_paused = true)]
async fn a_writer_that_nobody_polls_holds_up_one_wait_and_no_more() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (_stuck, session) = writer(&browser).await;
    let mut saving = pin!(session.save());
    let gate = site.lab.hold(Call::Replace);
    tokio::select! {
        biased;
        _ = &mut saving => panic!("the save is held"),
        () = gate.reached() => {}
    }
    let begun = Instant::now();
    for _ in 0..10 {
        let (exchange, _) = writer(&browser).await;
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    }
    assert!(begun.elapsed() < WAIT + Duration::from_millis(10), "{:?}", begun.elapsed());
    gate.open();
    saving.await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(11));
}
