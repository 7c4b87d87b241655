//! Login, renewal, logout, and what revokes them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use session_core::{Error, EventKind, Key, Keyring, Login, Outcome, Owner, Policy, SessionManager, Store, StoreError};
use support::*;

const USER: u64 = 42;

fn user() -> Owner {
    Owner::from(USER)
}

// Fixation.

#[tokio::test]
async fn a_login_makes_a_fresh_token_and_the_old_one_is_dead_at_once() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let planted = browser.clone();
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(browser.get::<i64>("n").await, Some(0), "the data of the anonymous session is kept");
    for _ in 0..2 {
        let (exchange, session) = planted.start().await;
        assert_eq!((session.owner(), session.get::<i64>("n").unwrap()), (None, None));
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
        assert!(!sets_cookie(&exchange));
        // Late within the grace, then a stranger: it opens nothing and ends nothing.
        site.lab.advance(2 * MINUTE);
    }
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(site.events.thefts(), 0, "a planted token alarms nobody");
    let (exchange, session) = planted.start().await;
    session.insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved, "a stranger gets a session of its own");
    assert_ne!(session.id(), browser.open().request_cookie());
}

#[tokio::test]
async fn a_late_request_creates_nothing_but_a_login_of_its_own() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let mut late = browser.clone();
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    let (exchange, session) = late.start().await;
    session.insert("n", &1).unwrap();
    assert!(matches!(session.save().await, Err(Error::Superseded)));
    assert!(matches!(session.logout().await, Err(Error::Superseded)));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange), "it would overwrite the login's");
    late.visit(async |session| session.login(7).await.unwrap()).await;
    assert_eq!(late.owner().await, Some(Owner::from(7)));
    assert_eq!(browser.owner().await, Some(user()));
    assert_ne!(late.open().request_cookie(), browser.open().request_cookie());
}

#[tokio::test]
async fn a_stranger_gets_a_new_id_and_its_own_is_never_adopted() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let id = browser.open().request_cookie().unwrap();
    site.lab.advance(HOUR);
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_ne!(browser.open().request_cookie().unwrap(), id);
    assert_eq!(site.lab.memory.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_after_theft_makes_a_new_session() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let mut old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    old.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(site.events.thefts(), 1);
    assert_eq!(old.owner().await, Some(user()));
}

#[tokio::test]
async fn a_writer_that_loaded_before_the_login_is_superseded_and_its_data_is_not_merged_in() {
    for renews in [false, true] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        let (exchange, session) = browser.start().await;
        session.insert("planted", &1).unwrap();
        browser
            .visit(async |session| match renews {
                true => session.renew().await.unwrap(),
                false => session.login(USER).await.unwrap(),
            })
            .await;
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
        assert!(!sets_cookie(&exchange));
        assert!(!browser.start().await.1.contains("planted"));
    }
}

#[tokio::test]
async fn a_login_merges_what_others_saved_meanwhile() {
    let site = Site::new();
    let mut browser = site.visitor().await;
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
    browser
        .visit(async |session| {
            add_one(session);
            session.login(USER).await.unwrap();
        })
        .await;
    assert_eq!(browser.get::<i64>("n").await, Some(2));
}

#[tokio::test]
async fn a_login_of_another_owner_drops_the_data_and_what_was_pending() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser
        .visit(async |session| {
            session.insert("pending", &1).unwrap();
            session.login(7).await.unwrap();
            session.insert("own", &1).unwrap();
        })
        .await;
    let (_, session) = browser.start().await;
    assert_eq!((session.owner(), session.keys()), (Some(Owner::from(7)), vec!["own".to_owned()]));
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_login_starts_a_new_lifetime_and_a_renewal_does_not() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(30 * MINUTE);
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    let hours = |session: &session_core::Session| (session.ends_in().unwrap() + MINUTE).as_secs() / 3600;
    assert_eq!(hours(&browser.start().await.1), 24);
    site.lab.advance(30 * MINUTE);
    let old = browser.cookie.clone();
    browser.visit(async |session| session.renew().await.unwrap()).await;
    assert_ne!(browser.cookie, old);
    let (_, session) = browser.start().await;
    assert_eq!((hours(&session), session.owner()), (23, Some(user())));
}

#[tokio::test]
async fn a_remembered_login_lives_longer_in_a_persistent_cookie() {
    let site = Site::new();
    let browser = site.browser();
    let (exchange, session) = browser.start().await;
    session.login(Login::new(USER).remembered(true)).await.unwrap();
    exchange.commit().await.unwrap();
    let cookie = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    let max_age = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse::<u64>().unwrap();
    assert!((30 * 86_400 - 2..=30 * 86_400).contains(&max_age), "{cookie}");
    let (exchange, session) = browser.start().await;
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    assert!(!exchange.headers().get("set-cookie").unwrap().to_str().unwrap().contains("Max-Age"));
}

// Unknown outcomes of what moves the generation.

#[tokio::test(start_paused = true)]
async fn a_login_or_renewal_whose_reply_is_lost_or_late_happens_once() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        for renews in [false, true] {
            let site = Site::new();
            let mut browser = site.visitor().await;
            site.lab.next(Call::Replace, fault.clone());
            browser
                .visit(async |session| match renews {
                    true => session.renew().await.unwrap(),
                    false => session.login(USER).await.unwrap(),
                })
                .await;
            site.lab.deliver_late().await;
            assert_eq!(browser.get::<i64>("n").await, Some(0));
            assert_eq!(browser.owner().await.is_some(), !renews);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_dropped_or_failed_sends_no_cookie_and_loses_to_itself() {
    for (call, reply) in [(Call::Replace, false), (Call::Replace, true), (Call::Load, false)] {
        let site = Site::new();
        let browser = site.visitor().await;
        let (exchange, session) = browser.start().await;
        let gate = if reply { site.lab.hold_reply(call) } else { site.lab.hold(call) };
        tokio::select! {
            _ = session.login(USER) => panic!("the login was held"),
            () = gate.reached() => {}
        }
        let is_written = reply || call == Call::Load;
        add_one(&session);
        let outcome = exchange.commit().await.unwrap();
        assert_eq!(outcome, if is_written { Outcome::Superseded } else { Outcome::Saved });
        assert!(!sets_cookie(&exchange));
        assert_eq!(browser.owner().await, None, "the old token opens nothing privileged");
        let listed = site.manager.devices(&user()).await.unwrap().len();
        assert_eq!(listed, usize::from(is_written), "what is left is listed until it expires");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_steps_of_a_login_leaves_no_privileged_session_behind_the_old_token() {
    // The load, the write, the read of the epoch, its move, the revocation; before and after each.
    let calls = [Call::Load, Call::Replace, Call::Load, Call::Create, Call::Revoke];
    for crash in 0..calls.len() {
        for reply in [false, true] {
            let site = Site::new();
            let browser = site.visitor().await;
            // The calls up to the crash pass through gates that are opened at once.
            let mut gates = Vec::new();
            for (at, call) in calls[..=crash].iter().enumerate() {
                let is_last = at == crash;
                gates.push(if is_last && reply { site.lab.hold_reply(*call) } else { site.lab.hold(*call) });
            }
            let request = tokio::spawn({
                let browser = browser.clone();
                async move {
                    let (exchange, session) = browser.start().await;
                    let _ = session.login(Login::new(USER).ending_others()).await;
                    exchange.commit().await
                }
            });
            let last = gates.pop().unwrap();
            for gate in gates {
                gate.reached().await;
                gate.open();
            }
            last.reached().await;
            request.abort();
            let _ = request.await;
            assert_eq!(browser.owner().await, None, "crashed at call {crash}, answered: {reply}");
            assert_eq!(site.events.thefts(), 0);
        }
    }
}

// Logout.

#[tokio::test]
async fn a_logout_ends_the_session_and_removes_the_cookie_with_its_attributes() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    let id = session.id().unwrap();
    add_one(&session);
    session.logout().await.unwrap();
    assert_eq!((session.id(), session.owner(), session.keys()), (None, None, vec![]));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    let cookie = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        cookie,
        "__Host-session=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax"
    );
    browser.receive(&exchange.headers());
    assert_eq!(site.lab.memory.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_inserted_after_a_logout_is_a_new_session_and_its_cookie_takes_the_removal_s_place() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let id = browser.open().request_cookie();
    browser
        .visit(async |session| {
            session.logout().await.unwrap();
            session.insert("flash", "goodbye").unwrap();
        })
        .await;
    assert_eq!(browser.get::<String>("flash").await.as_deref(), Some("goodbye"));
    assert_ne!(browser.open().request_cookie(), id);
}

#[tokio::test]
async fn a_logout_ends_what_the_same_login_saved_or_renewed_meanwhile() {
    let site = Site::new();
    for renews in [false, true] {
        let browser = site.logged_in(USER).await;
        let (_, session) = browser.start().await;
        browser
            .clone()
            .visit(async |session| match renews {
                true => session.renew().await.unwrap(),
                false => assert_eq!(add_one(session), 1),
            })
            .await;
        session.logout().await.unwrap();
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_logout_cannot_end_the_login_that_overtook_it() {
    let site = Site::new();
    let login = |owner: u64| async move |session: &session_core::Session| session.login(owner).await.unwrap();
    let renew = async |session: &session_core::Session| session.renew().await.unwrap();
    for what in ["a login", "another owner's login", "a renewal before any login"] {
        let mut browser = if what == "another owner's login" { site.logged_in(7).await } else { site.visitor().await };
        let (exchange, session) = browser.start().await;
        match what {
            "a renewal before any login" => browser.visit(renew).await,
            _ => browser.visit(login(USER)).await,
        }
        assert!(matches!(session.logout().await, Err(Error::Superseded)), "{what}");
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
        assert!(!sets_cookie(&exchange));
        assert!(browser.start().await.1.id().is_some(), "{what} was ended");
    }
}

#[tokio::test]
async fn a_token_from_before_a_renewal_is_late_however_old_the_session_is() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let late = browser.clone();
    site.lab.advance(10 * MINUTE);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    let (exchange, session) = late.start().await;
    session.insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange), "it would overwrite the renewal's");
    let renewed = browser.cookie.clone();
    site.lab.advance(14 * MINUTE);
    browser.visit(async |_| ()).await;
    assert_eq!(browser.cookie, renewed, "a renewal puts the next rotation off");
}

#[tokio::test(start_paused = true)]
async fn a_logout_whose_reply_is_lost_is_done_and_one_that_failed_sends_nothing() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.next(Call::Delete, Fault::LosesReply);
    browser.visit(async |session| session.logout().await.unwrap()).await;
    assert_eq!(browser.cookie, None);

    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.login(USER).await.unwrap();
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    assert!(matches!(session.logout().await, Err(Error::Store(StoreError::TimedOut { .. }))));
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "not even the login's cookie");
}

#[tokio::test]
async fn a_logout_leaves_with_the_503_of_a_later_failure() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    session.logout().await.unwrap();
    session.insert("n", &1).unwrap();
    site.lab.set_down(true);
    exchange.commit().await.unwrap_err();
    browser.receive(&exchange.headers());
    assert_eq!(browser.cookie, None);
}

// Revocation.

#[tokio::test]
async fn revoke_all_ends_every_session_and_revoke_others_all_but_the_caller_s() {
    let site = Site::new();
    let (one, two, other) = (site.logged_in(USER).await, site.logged_in(USER).await, site.logged_in(7).await);
    let mut three = site.logged_in(USER).await;
    three.visit(async |session| assert_eq!(session.revoke_others().await.unwrap(), 2)).await;
    assert_eq!((one.owner().await, two.owner().await), (None, None));
    assert_eq!(three.owner().await, Some(user()));
    assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1);
    assert_eq!((three.owner().await, other.owner().await), (None, Some(Owner::from(7))));
}

#[tokio::test]
async fn a_revocation_beats_a_login_that_began_before_it() {
    let site = Site::new();
    // Whatever the wire does to the revocation's own move of the epoch.
    for fault in [None, Some(Fault::LosesReply), Some(Fault::ArrivesLate), Some(Fault::Fails)] {
        for with_session in [false, true] {
            let mut browser = if with_session { site.visitor().await } else { site.browser() };
            let (exchange, session) = browser.start().await;
            if let Some(fault) = fault.clone() {
                site.lab.next(Call::Replace, fault);
            }
            site.manager.revoke_all(&user()).await.unwrap();
            assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
            exchange.commit().await.unwrap();
            assert!(!sets_cookie(&exchange));
            assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 0, "it deletes its own session");
            site.lab.advance(SECOND);
            browser.visit(async |session| session.login(USER).await.unwrap()).await;
            assert_eq!(browser.owner().await, Some(user()), "a login that began later stands");
            browser.visit(async |session| session.logout().await.unwrap()).await;
            site.lab.advance(SECOND);
        }
    }
}

#[tokio::test]
async fn a_revocation_between_a_login_s_write_and_its_answer_beats_it_too() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_, session) = browser.start().await;
    let gate = site.lab.hold(Call::Load);
    let login = tokio::spawn(async move { session.login(USER).await });
    gate.reached().await;
    assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1);
    gate.open();
    assert!(matches!(login.await.unwrap(), Err(Error::LoginRevoked)));
}

#[tokio::test]
async fn a_login_whose_epoch_cannot_be_read_is_refused_and_nothing_takes_its_place() {
    for with_session in [false, true] {
        let site = Site::new();
        let browser = if with_session { site.visitor().await } else { site.browser() };
        let (exchange, session) = browser.start().await;
        site.lab.next(Call::Load, Fault::Fails);
        assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
        session.insert("n", &1).unwrap();
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Gone);
        assert!(!sets_cookie(&exchange));
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn after_a_login_that_was_dropped_no_successor_of_the_old_token_is_sent() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    site.due().await;
    browser.clone().visit(async |_| ()).await;
    let (exchange, session) = browser.start().await;
    let gate = site.lab.hold_reply(Call::Replace);
    tokio::select! {
        _ = session.login(USER) => panic!("the login was held"),
        () = gate.reached() => {}
    }
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn revoke_others_spares_the_login_that_replaces_the_kept_session() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let (slow, session) = browser.start().await;
    browser.visit(async |session| assert!(session.revoke_others().await.is_ok())).await;
    session.login(USER).await.unwrap();
    slow.commit().await.unwrap();
    browser.receive(&slow.headers());
    assert_eq!(browser.owner().await, Some(user()));
    // But of that generation only.
    let elsewhere = site.browser().open();
    let elsewhere = elsewhere.session().await.unwrap();
    browser.visit(async |session| assert!(session.revoke_others().await.is_ok())).await;
    assert!(matches!(elsewhere.login(USER).await, Err(Error::LoginRevoked)));
}

#[tokio::test]
async fn ending_others_ends_them_and_logins_in_flight_but_not_itself() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let (_, in_flight) = site.browser().start().await;
    let mut browser = site.browser();
    browser.visit(async |session| session.login(Login::new(USER).ending_others()).await.unwrap()).await;
    assert_eq!((one.owner().await, two.owner().await), (None, None));
    assert!(matches!(in_flight.login(USER).await, Err(Error::LoginRevoked)));
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test]
async fn revoke_all_and_then_login_in_one_request_is_refused_with_the_way_out() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    site.manager.revoke_all(&user()).await.unwrap();
    let error = session.login(USER).await.unwrap_err();
    assert!(error.to_string().contains("Login::ending_others"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_epoch_is_moved_by_one_of_many_revocations_and_made_anew_when_it_has_expired() {
    let site = Site::new();
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(24 * HOUR - SECOND);
    // It expires between the look and the move.
    let lab = site.lab.clone();
    site.lab.before_next(Call::Replace, move || {
        let lab = lab.clone();
        async move { lab.advance(2 * SECOND) }
    });
    let (_, session) = site.browser().start().await;
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.assert_all_met();
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    site.lab.calls();
    let tasks = (0..5).map(|_| {
        let manager = site.manager.clone();
        tokio::spawn(async move { manager.revoke_all(&user()).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(site.lab.calls().iter().filter(|call| **call == Call::Replace).count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_as_old_as_the_application_s_clocks_say_at_most() {
    // The application's clock runs fast against the store's: the login is refused, which is the safe side.
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(10 * SECOND);
    tokio::time::advance(5 * MINUTE).await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
}

#[tokio::test]
async fn a_login_that_began_less_than_the_margin_after_a_revocation_is_refused() {
    let site = Site::new();
    // Where the machine was too busy to be quick enough, once more.
    let is_refused = loop {
        let start = std::time::Instant::now();
        site.manager.revoke_all(&user()).await.unwrap();
        site.lab.advance(SECOND / 20);
        let answer = site.browser().start().await.1.login(USER).await;
        if start.elapsed() < SECOND / 50 {
            break matches!(answer, Err(Error::LoginRevoked));
        }
        site.lab.advance(SECOND);
    };
    assert!(is_refused);
}

#[tokio::test]
async fn after_ending_others_the_same_session_can_log_in_again_at_once() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.login(Login::new(USER).ending_others()).await.unwrap()).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

// A login over several requests.

#[tokio::test]
async fn a_revocation_after_begin_login_beats_the_login() {
    let site = Site::new();
    for revokes in [false, true] {
        let mut browser = site.browser();
        browser.visit(async |session| session.begin_login().await.unwrap()).await;
        assert!(browser.cookie.is_some());
        site.lab.advance(10 * MINUTE);
        if revokes {
            site.manager.revoke_all(&user()).await.unwrap();
        }
        site.lab.advance(10 * MINUTE);
        browser
            .visit(async |session| {
                // The earliest note stands.
                session.begin_login().await.unwrap();
                session.renew().await.unwrap();
            })
            .await;
        let (_, session) = browser.start().await;
        let answer = session.login(USER).await;
        assert_eq!(matches!(answer, Err(Error::LoginRevoked)), revokes, "{answer:?}");
        site.lab.advance(2 * HOUR);
    }
}

#[tokio::test(start_paused = true)]
async fn begin_login_dates_the_login_from_the_opening_of_its_exchange() {
    for with_session in [false, true] {
        let site = Site::new();
        let mut browser = if with_session { site.visitor().await } else { site.browser() };
        let (exchange, session) = browser.start().await;
        site.manager.revoke_all(&user()).await.unwrap();
        site.lab.advance(10 * SECOND);
        tokio::time::advance(20 * SECOND).await;
        session.begin_login().await.unwrap();
        exchange.commit().await.unwrap();
        browser.receive(&exchange.headers());
        let answer = browser.start().await.1.login(USER).await;
        assert!(matches!(answer, Err(Error::LoginRevoked)), "{with_session}: {answer:?}");
    }
}

#[tokio::test]
async fn a_login_clears_the_note() {
    let policy = Policy::builder().logged_in(lifetime(8 * HOUR, 8 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.browser();
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    site.lab.advance(61 * MINUTE);
    // With the note this would be another owner's login that took too long.
    browser.visit(async |session| session.login(7).await.unwrap()).await;
}

#[tokio::test]
async fn a_note_older_than_an_hour_ends_an_anonymous_session() {
    let policy = Policy::builder().before_login(lifetime(4 * HOUR, 4 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.browser();
    browser
        .visit(async |session| {
            session.insert("proven", "password").unwrap();
            session.begin_login().await.unwrap();
        })
        .await;
    site.lab.advance(61 * MINUTE);
    let again = browser.clone();
    let (exchange, session) = browser.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginExpired)));
    assert_eq!(session.get::<String>("proven").unwrap(), None);
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    assert_eq!((browser.cookie.as_ref(), again.get::<String>("proven").await), (None, None));

    let mut browser = site.browser();
    browser
        .visit(async |session| {
            session.insert("proven", "password").unwrap();
            session.begin_login().await.unwrap();
        })
        .await;
    let id = browser.open().request_cookie();
    site.lab.advance(61 * MINUTE);
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    assert_ne!(browser.open().request_cookie(), id);
    assert_eq!(browser.get::<String>("proven").await, None, "it must not be dated now");
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
}

#[tokio::test]
async fn in_an_owner_s_session_an_old_note_is_replaced_and_refuses_another_owner_once() {
    let policy = Policy::builder().logged_in(lifetime(8 * HOUR, 8 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(61 * MINUTE);
    let (_, session) = browser.start().await;
    assert!(matches!(session.login(7).await, Err(Error::LoginExpired)));
    assert_eq!(browser.owner().await, Some(user()));
    browser.visit(async |session| session.login(7).await.unwrap()).await;

    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(61 * MINUTE);
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

// Devices and the limit of sessions.

#[tokio::test]
async fn devices_show_label_age_and_last_use_and_mark_the_current_one() {
    let site = Site::new();
    let mut phone = site.logged_in(USER).await;
    phone.visit(async |session| session.insert("label", "phone").unwrap()).await;
    site.lab.advance(10 * MINUTE);
    let laptop = site.logged_in(USER).await;
    site.logged_in(7).await;
    let (_, session) = laptop.start().await;
    let devices = session.devices().await.unwrap();
    let seen: Vec<_> = devices
        .iter()
        .map(|device| (device.is_current, device.age.as_secs() / 60, device.last_seen.as_secs() / 60))
        .collect();
    assert_eq!(seen, [(true, 0, 0), (false, 10, 10)]);
    assert_eq!(devices[1].get::<String>("label").unwrap().as_deref(), Some("phone"));
    assert!(session.end(&devices[1].id).await.unwrap());
    assert_eq!(phone.owner().await, None);
    let stranger = site.logged_in(7).await;
    assert!(!stranger.start().await.1.end(&devices[0].id).await.unwrap(), "an id from a form names its owner");
    assert_eq!(laptop.owner().await, Some(user()));
}

#[tokio::test]
async fn an_unreadable_session_is_left_out_of_the_devices_with_an_event() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let owner = user();
    let revision = session_core::Revision::from_bytes([1; 8]);
    let entry = session_core::Entry::new(revision, b"garbage").with_owner(Some(&owner));
    let id = session_core::SessionId::from_bytes([1; 16]);
    site.lab.memory.create(&id, entry, HOUR, HOUR).await.unwrap();
    assert_eq!(browser.start().await.1.devices().await.unwrap().len(), 1);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Unreadable)), 1);
    assert!(!site.manager.end(&owner, &id).await.unwrap());
}

#[tokio::test]
async fn a_further_login_evicts_the_oldest_session_and_an_unreadable_one_first() {
    let policy = Policy::builder().sessions_per_owner(2).build().unwrap();
    let site = Site::with_policy(policy);
    let oldest = site.logged_in(USER).await;
    site.lab.advance(MINUTE);
    let owner = user();
    let entry = session_core::Entry::new(session_core::Revision::from_bytes([1; 8]), b"garbage");
    let garbage = session_core::SessionId::from_bytes([1; 16]);
    site.lab.memory.create(&garbage, entry.with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    let newer = site.logged_in(USER).await;
    assert_eq!(site.lab.memory.load(&garbage).await.unwrap(), None);
    assert!(oldest.owner().await.is_some());
    site.lab.advance(MINUTE);
    let newest = site.logged_in(USER).await;
    assert_eq!(
        (oldest.owner().await, newer.owner().await.is_some(), newest.owner().await.is_some()),
        (None, true, true)
    );
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_after_parallel_logins_and_they_never_evict_one_another_down_to_none() {
    for limit in [1, 3] {
        let policy = Policy::builder().sessions_per_owner(limit).build().unwrap();
        let site = Site::with_policy(policy);
        let tasks = (0..10).map(|_| {
            let browser = site.browser();
            tokio::spawn(async move { browser.start().await.1.login(USER).await })
        });
        let mut admitted = 0;
        for task in tasks.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(()) => admitted += 1,
                Err(Error::LoginRevoked) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let left = site.manager.devices(&user()).await.unwrap().len();
        assert!((1..=limit as usize).contains(&left) && admitted >= left, "{left} left, {admitted} admitted");
    }
}

#[tokio::test]
async fn a_login_that_evicts_itself_is_refused() {
    let policy = Policy::builder().sessions_per_owner(1).build().unwrap();
    let site = Site::with_policy(policy);
    let login = |browser: Browser| tokio::spawn(async move { browser.start().await.1.login(USER).await });
    let first_list = site.lab.hold(Call::List);
    let first = login(site.browser());
    first_list.reached().await;
    site.lab.advance(SECOND);
    let second_list = site.lab.hold(Call::List);
    let second = login(site.browser());
    second_list.reached().await;
    first_list.open();
    assert!(matches!(first.await.unwrap(), Err(Error::LoginRevoked)), "it was the oldest of two");
    second_list.open();
    second.await.unwrap().unwrap();
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_eviction_that_fails_refuses_the_login() {
    let policy = Policy::builder().sessions_per_owner(1).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.logged_in(USER).await;
    let (_, session) = site.browser().start().await;
    site.lab.next(Call::List, Fault::Fails);
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    browser.visit(async |session| assert_eq!(session.devices().await.unwrap().len(), 1)).await;
}

#[tokio::test]
async fn an_eviction_lists_again_when_a_session_moved() {
    let policy = Policy::builder().sessions_per_owner(1).build().unwrap();
    let site = Site::with_policy(policy);
    let first = site.logged_in(USER).await;
    site.lab.advance(MINUTE);
    let moved = first.clone();
    site.lab.before_next(Call::Delete, move || {
        let mut moved = moved.clone();
        async move {
            moved
                .visit(async |session| {
                    add_one(session);
                })
                .await;
        }
    });
    let second = site.logged_in(USER).await;
    assert_eq!((first.owner().await, second.owner().await), (None, Some(user())));
}

// A stolen database.

#[tokio::test]
async fn a_dump_of_the_store_holds_no_secret_and_nothing_that_is_accepted() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.due().await;
    browser.visit(async |_| ()).await;
    let id = browser.open().request_cookie().unwrap();
    let payload = site.lab.payload(&id).await.unwrap();
    let cookie = browser.cookie.clone().unwrap();
    let token = Base64UrlUnpadded::decode_vec(cookie.split('.').next().unwrap()).unwrap();
    let secret = &token[20..];
    assert!(!payload.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
    // Every 32 bytes of the dump in the secret's place, signed with a key that the thief has not.
    let thief = SessionManager::new(site.lab.clone(), Keyring::new(Key::from_bytes(&[9; 32]).unwrap()));
    let forged = Browser { manager: thief, cookie: None };
    assert!(forged.open().request_cookie().is_none());
    for at in 0..payload.len() - 32 {
        let mut stolen = token.clone();
        stolen[20..].copy_from_slice(&payload[at..at + 32]);
        let mac = cookie.split('.').nth(1).unwrap();
        let cookie = format!("{}.{mac}", Base64UrlUnpadded::encode_string(&stolen));
        let browser = Browser { manager: site.manager.clone(), cookie: Some(cookie) };
        assert!(browser.open().request_cookie().is_none());
    }
}
