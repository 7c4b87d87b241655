//! Schedules that broke a promise once.

use session_core::{Error, EventKind, Incoming, Outcome, Owner};

use crate::support::*;

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

#[tokio::test]
async fn debug_of_incoming_shows_no_token() {
    let site = Site::new();
    let cookie = site.logged_in(42).await.cookie.unwrap();
    let header = format!("__Host-session={cookie}");
    let by_cookie = format!("{:?}", Incoming::new([header.as_bytes()]));
    let by_token = format!("{:?}", Incoming::new([]).with_token(&cookie));
    assert!(!by_token.contains(&cookie), "{by_token}");
    assert!(!by_cookie.contains(&cookie), "{by_cookie}");
}

#[tokio::test]
async fn forget_does_not_bring_a_late_request_a_cookie() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let late = browser.clone();
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    let (exchange, session) = late.start().await;
    exchange.forget();
    session.insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "it would overwrite the login's");
}

#[tokio::test]
async fn forget_makes_no_empty_session_of_an_outage() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    site.lab.next(Call::Load, Fault::Fails);
    let exchange = browser.open();
    exchange.session().await.unwrap_err();
    exchange.forget();
    if let Ok(session) = exchange.session().await {
        session.insert("n", &1).unwrap();
    }
    let _ = exchange.commit().await;
    browser.receive(&exchange.headers());
    assert_eq!(browser.owner().await, Some(Owner::from(42)));
}

#[tokio::test]
async fn forget_brings_nothing_after_gone() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (exchange, session) = browser.start().await;
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    add_one(&session);
    session.save().await.unwrap_err();
    exchange.forget();
    session.insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn a_value_that_comes_while_another_is_taken_is_not_lost() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    session.insert("code", "1").unwrap();
    let (runs, other) = (AtomicU32::new(0), session.clone());
    session
        .update("n", move |n: &mut i64| {
            *n += 1;
            // Another task of the same request, just then: once when the take runs this again.
            if runs.fetch_add(1, Ordering::SeqCst) == 1 {
                other.insert("code", "2").unwrap();
            }
        })
        .unwrap();
    let taken = session.take::<String>("code").await.unwrap();
    let left = session.get::<String>("code").unwrap();
    assert!(
        matches!((taken.as_deref(), left.as_deref()), (Some("1"), Some("2")) | (Some("2"), None)),
        "taken {taken:?}, left {left:?}"
    );
}

/// Runs to its end, between two lines of a closure, what another task of the same request does just then.
fn finish(task: impl Future<Output = Result<(), Error>>) {
    let mut task = std::pin::pin!(task);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while task.as_mut().poll(&mut context).map(Result::unwrap).is_pending() {}
}

#[tokio::test]
async fn a_change_that_meets_a_logout_or_a_login_of_its_own_request_is_one_of_the_session_after_it() {
    use std::sync::atomic::{AtomicBool, Ordering};
    for logs_in in [false, true] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        browser.visit(async |session| session.insert("n", &5).unwrap()).await;
        let (_exchange, session) = browser.start().await;
        let (other, is_first) = (session.clone(), AtomicBool::new(true));
        let change = move |n: &mut i64| {
            *n += 1;
            match is_first.swap(false, Ordering::SeqCst) {
                true if logs_in => finish(other.login(7)),
                true => finish(other.logout()),
                false => {}
            }
        };
        assert_eq!(session.update("n", change).unwrap(), 1, "the 5 was another user's: {logs_in}");
        assert_eq!(session.get::<i64>("n").unwrap(), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_promotion_whose_answer_was_lost_is_told() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    site.due().await;
    browser.visit(async |_| ()).await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    assert!(browser.owner().await.is_some());
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 1);
}

#[tokio::test]
async fn two_logouts_of_one_session_are_one_event() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (_, one) = browser.start().await;
    let (_, two) = browser.start().await;
    one.logout().await.unwrap();
    two.logout().await.unwrap();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Ended(_))), 1);
}

#[tokio::test]
async fn many_keys_cost_no_square() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    // Of each hundred. The quickest one counts, for the machine may have interrupted the others.
    let insert = |from: u32, to: u32| {
        let hundreds = (from..to).step_by(100).map(|first| {
            let began = std::time::Instant::now();
            for n in first..first + 100 {
                session.insert(&format!("key {n}"), &n).unwrap();
            }
            began.elapsed()
        });
        hundreds.min().unwrap()
    };
    let first = insert(0, 1000);
    let _ = insert(1000, 7000);
    let last = insert(7000, 8000);
    assert!(last < 10 * first, "of the first 1000 the quickest hundred took {first:?}, of the last {last:?}");
}

#[test]
fn what_a_closure_holds_is_not_dropped_under_the_lock() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            struct Looks(session_core::Session);
            impl Drop for Looks {
                fn drop(&mut self) {
                    let _ = self.0.id();
                }
            }
            let site = Site::new();
            let (_, session) = site.browser().start().await;
            let looks = Looks(session.clone());
            session
                .update("n", move |n: &mut i64| {
                    let _ = &looks;
                    *n += 1;
                })
                .unwrap();
            session.insert("n", &1).unwrap();
        });
        done.send(()).unwrap();
    });
    assert!(finished.recv_timeout(5 * SECOND).is_ok(), "deadlock");
}

#[test]
fn a_closure_that_changes_the_session_ends_in_an_error_not_in_a_loop() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use std::sync::atomic::{AtomicU32, Ordering};
            let site = Site::new();
            let (_, session) = site.browser().start().await;
            let (runs, other) = (AtomicU32::new(0), session.clone());
            let _ = session.update("n", move |_: &mut i64| {
                other.insert("runs", &runs.fetch_add(1, Ordering::SeqCst)).unwrap();
            });
        });
        done.send(()).unwrap();
    });
    assert!(finished.recv_timeout(5 * SECOND).is_ok(), "an endless loop");
}

#[tokio::test]
async fn a_login_that_waits_for_the_commit_is_told_that_the_response_was_sent() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    let gate = site.lab.hold(Call::Replace);
    let committing = tokio::spawn(async move { exchange.commit().await });
    gate.reached().await;
    let login = tokio::spawn(async move { session.login(42).await });
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(committing.await.unwrap().unwrap(), Outcome::Saved);
    assert!(matches!(login.await.unwrap(), Err(Error::ResponseSent)));
}

#[tokio::test]
async fn headers_applied_twice_are_one_cookie() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    let mut headers = http::HeaderMap::new();
    exchange.apply(&mut headers);
    exchange.apply(&mut headers);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 1);
}

#[tokio::test]
async fn a_websocket_of_a_revoked_session_cannot_end_the_owner_s_others() {
    let site = Site::new();
    let stolen = site.logged_in(42).await;
    let (exchange, socket) = stolen.start().await;
    exchange.commit().await.unwrap();
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    site.lab.advance(MINUTE);
    let mut browser = site.logged_in(42).await;
    let id = browser.open().presented_id().unwrap();
    let answers = (socket.end(&id).await, socket.revoke_others().await);
    assert_eq!(browser.owner().await, Some(Owner::from(42)), "{answers:?}");
    browser.visit(async |_| ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_logout_neither_extends_the_session_nor_says_that_a_successor_leaves() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    site.due().await;
    let (exchange, session) = browser.start().await;
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    session.logout().await.unwrap_err();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_slow_to_answer_stores_no_successor_that_it_does_not_send() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (exchange, _) = browser.start().await;
    site.due().await;
    tokio::time::advance(16 * MINUTE).await;
    exchange.commit().await.unwrap();
    assert_eq!(sets_cookie(&exchange), site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued)) == 1);
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
