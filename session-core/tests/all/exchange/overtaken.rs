//! Requests that a login has overtaken, and what they may read. Login forms that are sent twice.

use session_core::{Error, EventKind, Login, Outcome, Owner, Policy};

use crate::support::*;

/// A browser that never got the answer of its login.
async fn login_lost(site: &Site) -> Browser {
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    browser
}

#[tokio::test]
async fn what_only_reads_finds_an_empty_session_after_the_answer_of_a_login_was_lost() {
    let site = Site::new();
    let browser = login_lost(&site).await;
    let (exchange, session) = browser.start().await;
    assert_eq!(session.take::<String>("flash").await.unwrap(), None);
    session.reload().await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), None);
    assert_eq!((session.id(), session.owner(), session.is_new()), (None, None, true));
    assert!(session.devices().await.unwrap().is_empty());
    session.save().await.unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn what_would_write_is_refused_after_the_answer_of_a_login_was_lost() {
    let site = Site::new();
    let browser = login_lost(&site).await;
    let (exchange, session) = browser.start().await;
    session.insert("flash", "hello").unwrap();
    assert!(matches!(session.save().await, Err(Error::Superseded)));
    assert!(matches!(session.begin_login().await, Err(Error::Superseded)));
    assert!(matches!(session.renew().await, Err(Error::Superseded)));
    assert_eq!(session.take::<String>("flash").await.unwrap().as_deref(), Some("hello"), "it was this request's own");
    session.save().await.unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert!(!sets_cookie(&exchange));
}

// The same login form, sent twice at once.

/// Two requests of one browser, both loaded before either logs in.
async fn both_loaded(browser: &Browser) -> [(session_core::Exchange, session_core::Session); 2] {
    [browser.start().await, browser.start().await]
}

#[tokio::test]
async fn a_login_form_sent_twice_at_once_logs_in_with_either_answer() {
    for last in [0, 1] {
        let site = Site::new();
        let mut browser = site.visitor().await;
        let requests = both_loaded(&browser).await;
        for (exchange, session) in &requests {
            session.login(USER).await.unwrap();
            exchange.commit().await.unwrap();
        }
        let [one, two] = [&requests[0], &requests[1]].map(|(_, session)| session.id().unwrap());
        assert_ne!(one, two, "the later one is a session of its own");
        browser.receive(&requests[1 - last].0.headers());
        browser.receive(&requests[last].0.headers());
        assert_eq!(browser.owner().await, Some(user()));
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 2, "neither ends the other");
        assert_eq!(site.events.count(|kind| matches!(kind, EventKind::LoggedIn)), 2);
    }
}

#[tokio::test]
async fn the_second_of_two_logins_carries_only_what_its_own_request_changed() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("code", "once").unwrap()).await;
    let [(_, one), (_, two)] = both_loaded(&browser).await;
    one.insert("first", &1).unwrap();
    two.insert("second", &2).unwrap();
    add_one(&two);
    one.login(USER).await.unwrap();
    two.login(USER).await.unwrap();
    assert_eq!(two.keys(), ["n", "second"]);
    assert_eq!(two.get::<i64>("n").unwrap(), Some(1));
    assert_eq!(one.take::<String>("code").await.unwrap().as_deref(), Some("once"));
    assert_eq!(two.take::<String>("code").await.unwrap(), None, "taken once");
}

#[tokio::test]
async fn of_two_logins_of_different_users_at_once_the_second_is_refused() {
    let site = Site::new();
    let browser = site.visitor().await;
    let [(_, one), (exchange, two)] = both_loaded(&browser).await;
    one.login(USER).await.unwrap();
    assert!(matches!(two.login(7).await, Err(Error::Superseded)));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange));
    assert!(site.manager.devices(&Owner::from(7)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_revocation_after_begin_login_beats_both_of_two_logins_at_once() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(MINUTE);
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(MINUTE);
    let [(_, one), (_, two)] = both_loaded(&browser).await;
    let gate = site.lab.hold(Call::Delete);
    let first = tokio::spawn(async move { one.login(USER).await });
    // The session of the first login is written, refused and not yet deleted. So the second finds a session without a
    // note.
    gate.reached().await;
    let answer = two.login(USER).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
    gate.open();
    assert!(matches!(first.await.unwrap(), Err(Error::LoginRevoked)));
    assert!(site.manager.devices(&user()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_revocation_between_two_logins_at_once_beats_the_second() {
    let site = Site::new();
    let browser = site.visitor().await;
    let [(_, one), (_, two)] = both_loaded(&browser).await;
    one.login(USER).await.unwrap();
    one.revoke_others().await.unwrap();
    let answer = two.login(USER).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_logins_at_once_that_end_others_the_one_that_moves_the_epoch_first_stands() {
    for have_both_read_the_epoch in [false, true] {
        let site = Site::new();
        let mut browser = site.visitor().await;
        let [(first, one), (second, two)] = both_loaded(&browser).await;
        let ending_others = || Login::new(USER).ending_others();
        let (one, two) = if have_both_read_the_epoch {
            let gate = site.lab.hold(Call::Create);
            let one = tokio::spawn(async move { one.login(ending_others()).await });
            gate.reached().await;
            let two = two.login(ending_others()).await;
            gate.open();
            (one.await.unwrap(), two)
        } else {
            (one.login(ending_others()).await, two.login(ending_others()).await)
        };
        let (stands, refused) = if have_both_read_the_epoch { (two, one) } else { (one, two) };
        assert!(stands.is_ok() && matches!(refused, Err(Error::LoginRevoked)), "{stands:?} {refused:?}");
        for exchange in [first, second] {
            exchange.commit().await.unwrap();
            browser.receive(&exchange.headers());
        }
        assert_eq!(browser.owner().await, Some(user()));
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_ends_others_knows_its_own_epoch_when_the_reply_is_lost() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        for has_epoch in [false, true] {
            let site = Site::new();
            let mut browser = site.logged_in(USER).await;
            if has_epoch {
                site.manager.revoke_all(&Owner::from(7)).await.unwrap();
                site.lab.advance(MINUTE);
            }
            site.lab.next(if has_epoch { Call::Replace } else { Call::Create }, fault.clone());
            let owner = if has_epoch { 7 } else { USER };
            if has_epoch {
                // The first replace is the login's own.
                browser = site.browser();
            }
            browser.visit(async |session| session.login(Login::new(owner).ending_others()).await.unwrap()).await;
            site.lab.assert_all_met();
            assert_eq!(browser.owner().await, Some(Owner::from(owner)));
        }
    }
}

#[tokio::test]
async fn of_two_logins_at_once_at_the_limit_of_one_session_the_later_stands() {
    let site = Site::with_policy(Policy::builder().sessions_per_owner(1).build().unwrap());
    let mut browser = site.visitor().await;
    let [(first, one), (second, two)] = both_loaded(&browser).await;
    one.login(USER).await.unwrap();
    two.login(USER).await.unwrap();
    for exchange in [first, second] {
        exchange.commit().await.unwrap();
        browser.receive(&exchange.headers());
    }
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_applied_before_a_login_overtook_it_counts_as_saved() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    site.lab.next(Call::Replace, Fault::LosesReply);
    let gate = site.lab.hold(Call::Load);
    let committing = tokio::spawn({
        let exchange = exchange.clone();
        async move { exchange.commit().await.unwrap() }
    });
    gate.reached().await;
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    gate.open();
    let outcome = committing.await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(1), "it is saved");
    assert_eq!(outcome, Outcome::Saved, "and said so");
    assert!(!sets_cookie(&exchange));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_was_taken_before_a_login_overtook_the_taker_is_handed_out() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("code", "1234").unwrap()).await;
    let (_, session) = browser.start().await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    let gate = site.lab.hold(Call::Load);
    let taking = tokio::spawn(async move { session.take::<String>("code").await });
    gate.reached().await;
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    gate.open();
    let taken = taking.await.unwrap();
    assert_eq!(browser.get::<String>("code").await, None, "it is taken out");
    assert!(matches!(&taken, Ok(Some(code)) if code == "1234"), "and nobody has it: {taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_another_request_has_overtaken_is_told() {
    for overtakes_by_logout in [false, true] {
        let site = Site::new();
        let browser = site.logged_in(7).await;
        let (exchange, session) = browser.start().await;
        let mut other = browser.clone();
        other
            .visit(async |session| match overtakes_by_logout {
                true => session.logout().await.unwrap(),
                false => session.login(8).await.unwrap(),
            })
            .await;
        let refused = session.login(USER).await.unwrap_err();
        assert!(matches!(refused, Error::Gone | Error::Superseded), "{refused:?}");
        let told = site.events.all().into_iter().filter(|event| matches!(event.kind, EventKind::LoginOvertaken));
        assert_eq!(told.map(|event| event.owner).collect::<Vec<_>>(), [Some(user())]);
        assert!(!sets_cookie(&exchange));
    }
}
