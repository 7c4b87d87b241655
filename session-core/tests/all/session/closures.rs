//! The closure of a change may hold a session, change it, and log it out.

use session_core::Error;

use crate::support::*;

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
            // Another task of the same request acts just then, when the take runs this closure again.
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

/// Runs a future to its end between two lines of a closure, as another task of the same request would.
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
