//! The closure of a change may hold a session, change it, and log it out.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use serde::{Deserialize, Deserializer};
use session_core::{Error, Session};

use crate::support::*;

thread_local! {
    /// The session in which another task of the same request acts while a code is read.
    static OTHER: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// The application's reading of it runs between two steps of the take.
struct Code(String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if let Some(other) = OTHER.take() {
            other.insert("code", "2").unwrap();
        }
        String::deserialize(deserializer).map(Self)
    }
}

#[tokio::test]
async fn a_value_that_comes_while_another_is_taken_is_not_lost() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    session.insert("code", "1").unwrap();
    OTHER.set(Some(session.clone()));
    let taken = session.take::<Code>("code").await.unwrap().map(|Code(code)| code);
    assert!(OTHER.take().is_none(), "the other task has acted");
    let left = session.get::<String>("code").unwrap();
    assert!(
        matches!((taken.as_deref(), left.as_deref()), (Some("1"), Some("2")) | (Some("2"), None)),
        "taken {taken:?}, left {left:?}"
    );
}

#[tokio::test]
async fn the_closure_of_an_update_runs_again_on_another_value_alone() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let runs = Arc::new(AtomicU32::new(0));
    let count = runs.clone();
    let counting = move |n: &mut i64| {
        count.fetch_add(1, Ordering::SeqCst);
        *n += 1;
    };
    let (exchange, session) = browser.start().await;
    assert_eq!(session.update("n", counting.clone()).unwrap(), 1);
    exchange.commit().await.unwrap();
    assert_eq!(runs.swap(0, Ordering::SeqCst), 1);
    let (exchange, session) = browser.start().await;
    assert_eq!(session.update("n", counting).unwrap(), 2);
    browser.visit(async |session| _ = add_one(session)).await;
    exchange.commit().await.unwrap();
    assert!(runs.load(Ordering::SeqCst) > 1, "another request has saved first");
    assert_eq!(browser.get("n").await, Some(3));
}

/// Runs a future to its end between two lines of a closure, as another task of the same request would.
fn finish(task: impl Future<Output = Result<(), Error>>) {
    let mut task = std::pin::pin!(task);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while task.as_mut().poll(&mut context).map(Result::unwrap).is_pending() {}
}

#[tokio::test]
async fn a_change_that_meets_a_logout_or_a_login_of_its_own_request_is_one_of_the_session_after_it() {
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
