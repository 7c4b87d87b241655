//! How long an operation keeps asking a store that fails.

use std::time::Duration;

use session_core::{Error, Owner, Session, Store, StoreError};
use tokio::time::Instant;

use crate::support::*;

/// What one request does. Each of them asks the store.
const OPERATIONS: [&str; 11] = [
    "commit",
    "save",
    "take",
    "reload",
    "login",
    "login of another user",
    "begin_login",
    "renew",
    "logout",
    "revoke_others",
    "end",
];

async fn operate(operation: &str, session: &Session) -> Result<(), Error> {
    match operation {
        "save" => session.save().await,
        "take" => session.take::<i64>("n").await.map(|_| ()),
        "reload" => session.reload().await,
        "login" => session.login(USER).await,
        "login of another user" => session.login(7).await,
        "begin_login" => session.begin_login().await,
        "renew" => session.renew().await,
        "logout" => session.logout().await,
        "revoke_others" => session.revoke_others().await.map(|_| ()),
        "end" => session.end(&session_core::SessionId::from_bytes([1; 16])).await.map(|_| ()),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_store_silent_a_request_is_answered_within_its_first_timeout_and_three_seconds() {
    for logged_in in [false, true] {
        for operation in OPERATIONS {
            let site = Site::new();
            let browser = if logged_in { site.logged_in(USER).await } else { site.visitor().await };
            let (exchange, session) = browser.start().await;
            add_one(&session);
            let timeout = Duration::from_secs(2);
            site.lab.set_silent(Some(timeout));
            let begun = Instant::now();
            let first = operate(operation, &session).await;
            let then = exchange.commit().await;
            let took = begun.elapsed();
            assert!(first.is_err() || then.is_err() || operation == "logout", "{operation}: {first:?} {then:?}");
            assert!(took <= timeout + Duration::from_millis(3100), "{operation} took {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_visitor_s_login_is_refused_in_time_too_however_slow_the_store_fails() {
    for timeout in [Duration::from_secs(2), Duration::from_secs(20)] {
        let site = Site::new();
        let (exchange, session) = site.browser().start().await;
        session.insert("n", &1).unwrap();
        site.lab.set_silent(Some(timeout));
        let begun = Instant::now();
        assert!(matches!(session.login(USER).await, Err(Error::Store(StoreError::TimedOut { .. }))));
        exchange.commit().await.unwrap_err();
        assert!(begun.elapsed() <= timeout + Duration::from_millis(3100), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_written_and_whose_epoch_cannot_be_read_is_refused_in_time_too() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    site.lab.next(Call::Load, Fault::Fails);
    // What takes the login back is never answered.
    let _gate = site.lab.hold(Call::Delete);
    let begun = Instant::now();
    let login = tokio::time::timeout(MINUTE, session.login(USER)).await;
    assert!(matches!(login, Ok(Err(Error::LoginRevoked))), "{login:?}");
    assert!(begun.elapsed() <= Duration::from_millis(3100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_the_three_seconds() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_, session) = browser.start().await;
    for _ in 0..4 {
        // Each save meets an error and then an answer. So the next error has three seconds of its own, also the third one,
        // which comes three seconds after the first.
        add_one(&session);
        site.lab.next(Call::Replace, Fault::Fails);
        session.save().await.unwrap();
        tokio::time::advance(3 * SECOND / 2).await;
    }
    assert_eq!(browser.get::<i64>("n").await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_websocket_can_save_again_when_the_store_is_back() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    session.insert("n", &1).unwrap();
    site.lab.set_silent(Some(2 * SECOND));
    session.save().await.unwrap_err();
    tokio::time::advance(10 * SECOND).await;
    site.lab.set_silent(None);
    session.save().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_that_answers_is_waited_for() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    site.lab.next(Call::Replace, Fault::Fails);
    let gate = site.lab.hold(Call::Load);
    let commit = tokio::spawn(async move { exchange.commit().await });
    gate.reached().await;
    tokio::time::advance(2 * SECOND).await;
    gate.open();
    commit.await.unwrap().unwrap();
    let slow = site.lab.hold(Call::Load);
    let load = tokio::spawn(async move { browser.get::<i64>("n").await });
    slow.reached().await;
    tokio::time::advance(MINUTE).await;
    slow.open();
    assert_eq!(load.await.unwrap(), Some(1), "without an error there is no limit but the store's own");
}

#[test]
fn what_may_work_later_says_when_to_try_again() {
    let cause = || std::io::Error::other("down");
    for error in [Error::Store(StoreError::unavailable("lab", cause())), Error::Contended, Error::OutcomeUnknown] {
        assert_eq!(error.status(), http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(error.retry_after().is_some_and(|after| after >= SECOND), "{error}");
    }
    for error in [Error::Store(StoreError::corrupt("lab", cause())), Error::Gone, Error::LoginExpired] {
        assert_eq!(error.retry_after(), None, "{error}");
    }
}

/// A store that answers gets only a few calls, whatever a request does with its session.
#[tokio::test]
async fn no_request_costs_an_unbounded_number_of_calls() {
    const MOST: usize = 12;
    for before in ["none", "visitor", "login", "note", "old note", "login with old note"] {
        for one in OPERATIONS {
            for two in OPERATIONS {
                let site = Site::with_policy(
                    session_core::Policy::builder()
                        .before_login(lifetime(4 * HOUR, 4 * HOUR))
                        .logged_in(lifetime(4 * HOUR, 8 * HOUR))
                        .build()
                        .unwrap(),
                );
                let mut browser = match before {
                    "none" => site.browser(),
                    "login" | "login with old note" => site.logged_in(USER).await,
                    _ => site.visitor().await,
                };
                if before.contains("note") {
                    browser.visit(async |session| session.begin_login().await.unwrap()).await;
                }
                if before.contains("old note") {
                    site.lab.advance(61 * MINUTE);
                }
                site.lab.calls();
                let (exchange, session) = browser.start().await;
                add_one(&session);
                for operation in [one, two] {
                    let _ = operate(operation, &session).await;
                    let calls = site.lab.calls();
                    assert!(calls.len() <= MOST, "{before}, {one}, {two}: {operation} made {calls:?}");
                }
                let _ = exchange.commit().await;
                let calls = site.lab.calls();
                assert!(calls.len() <= 4, "{before}, {one}, {two}: the commit made {calls:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_made_is_an_answer_also_if_the_read_after_it_failed() {
    let site = Site::new();
    let (_exchange, session) = site.browser().start().await;
    // The session of the first try cannot be removed, either.
    for call in [Call::Create, Call::Delete, Call::Load] {
        site.lab.next(call, Fault::Fails);
    }
    let (lab, second) = (site.lab.clone(), site.lab.hold(Call::Create));
    tokio::spawn(async move {
        second.reached().await;
        let delete = lab.hold(Call::Delete);
        tokio::time::sleep(Duration::from_millis(2900)).await;
        second.open();
        delete.reached().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        delete.open();
    });
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    // The three seconds of the first error were over. Those of the read's error have just begun.
    assert_eq!(site.lab.memory.list(&Owner::from(USER)).await.unwrap().len(), 0);
}
