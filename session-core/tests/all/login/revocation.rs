//! Revocations of logins, also of those over several requests.

use session_core::{Error, EventKind, Login, Outcome, Owner, Policy};

use crate::support::*;

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
    // This holds whatever the wire does to the move of the epoch by the revocation.
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
async fn a_revocation_beats_a_login_that_comes_between_any_two_of_its_calls() {
    // It reads the epoch, moves it, and deletes.
    for call in [Call::Load, Call::Create, Call::Revoke] {
        let site = Site::new();
        let browser = site.visitor().await;
        let (_exchange, session) = browser.start().await;
        site.lab.before_next(call, move || {
            let session = session.clone();
            async move { drop(session.login(USER).await) }
        });
        site.manager.revoke_all(&user()).await.unwrap();
        site.lab.assert_all_met();
        assert_eq!(site.manager.session_count(&user()).await.unwrap(), 0, "before {call:?}");
    }
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
}

#[tokio::test]
async fn revoke_others_spares_no_login_that_replaces_a_later_generation_of_the_kept_session() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(SECOND);
    browser.visit(async |session| assert!(session.revoke_others().await.is_ok())).await;
    site.lab.advance(SECOND);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    let (_, session) = browser.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
}

#[tokio::test]
async fn revoke_others_spares_no_login_in_flight_of_another_session() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let (_, elsewhere) = site.browser().start().await;
    browser.visit(async |session| assert!(session.revoke_others().await.is_ok())).await;
    assert!(matches!(elsewhere.login(USER).await, Err(Error::LoginRevoked)));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_whose_epoch_cannot_be_moved_ends_what_it_can_and_says_so() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    for _ in 0..3 {
        site.lab.next(Call::Create, Fault::Fails);
    }
    site.manager.revoke_all(&user()).await.unwrap_err();
    site.lab.assert_all_met();
    assert_eq!(browser.owner().await, None);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Revoked { count: 1 })), 1);
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
async fn an_epoch_is_moved_by_one_of_many_revocations_and_made_again_when_it_has_expired() {
    let site = Site::new();
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(24 * HOUR - SECOND);
    // The epoch expires between the look and the move.
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
    // If the machine was too busy to be quick enough, this tries again.
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
    // If the note still counted, this would be a login of another owner that took too long.
    browser.visit(async |session| session.login(7).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_while_begin_login_creates_its_session_beats_the_login() {
    let site = Site::new();
    let mut browser = site.browser();
    let pass = async |time| {
        site.lab.advance(time);
        tokio::time::advance(time).await;
    };
    let (exchange, session) = browser.start().await;
    let gate = site.lab.hold(Call::Create);
    let beginning = tokio::spawn(async move { session.begin_login().await });
    gate.reached().await;
    pass(SECOND).await;
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    pass(4 * SECOND).await;
    gate.open();
    beginning.await.unwrap().unwrap();
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    pass(MINUTE).await;
    let (_, session) = browser.start().await;
    let answer = session.login(42).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_while_begin_login_s_exchange_loads_beats_the_login() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let pass = async |time| {
        site.lab.advance(time);
        tokio::time::advance(time).await;
    };
    let exchange = browser.open();
    let gate = site.lab.hold(Call::Load);
    let loading = tokio::spawn({
        let exchange = exchange.clone();
        async move { exchange.session().await.unwrap() }
    });
    gate.reached().await;
    pass(SECOND).await;
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    pass(4 * SECOND).await;
    gate.open();
    loading.await.unwrap().begin_login().await.unwrap();
    exchange.commit().await.unwrap();
    pass(MINUTE).await;
    browser.receive(&exchange.headers());
    let (_, session) = browser.start().await;
    let answer = session.login(42).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
}
