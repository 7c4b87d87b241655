//! The trials.

use futures_util::future::join_all;
use session_conformance::servers::Server;
use session_core::{Store, StoreError};
use tokio::time::timeout;

use crate::{
    After, Subject,
    calls::{DEADLINE, HOUR, ID, REVISION, everything_fails, everything_works, is_an_outage, open},
};

/// The server is killed, twice. All calls fail until it is back. If no call came during the outage, none fails after
/// it.
pub async fn killed<S: Subject>(subjects: &[S]) {
    let server = S::server();
    let stores = open(subjects, server.url()).await;
    for _ in 0..2 {
        server.kill();
        all_fail(subjects, &stores, |_| true).await;
        all_fail(subjects, &stores, |_| true).await;
        server.start();
        all_work(subjects, &stores, After::Failures).await;
        server.kill();
        server.start();
        all_work(subjects, &stores, After::Cut).await;
    }
}

/// The server is paused, twice. The connections stay open, but no answer comes, and no refusal.
pub async fn silent<S: Subject>(subjects: &[S]) {
    let server = S::server();
    let stores = open(subjects, server.url()).await;
    for _ in 0..2 {
        server.pause();
        all_fail(subjects, &stores, is_a_timeout).await;
        all_fail(subjects, &stores, is_a_timeout).await;
        server.resume();
        all_work(subjects, &stores, After::Silence).await;
    }
}

/// Connecting fails in time if nobody listens, and with another error if the URL is none.
pub async fn connecting<S: Subject>(subjects: &[S]) {
    let server = S::server();
    server.kill();
    for subject in subjects {
        let connecting = timeout(DEADLINE, subject.connect(server.url()));
        let Ok(connected) = connecting.await else { panic!("connecting still waits after {DEADLINE:?}") };
        let error = connected.err().unwrap();
        assert!(is_an_outage::<S>(&error), "{error:?}");
        let error = subject.connect("sessions").await.err().unwrap();
        assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    }
}

/// The server cuts the store's connections, again and again. `cut` waits until they have gone.
pub async fn cut<S: Subject>(server: &Server, subjects: &[S], cut: impl AsyncFn(&Server)) {
    let stores = open(subjects, server.url()).await;
    for _ in 0..5 {
        cut(server).await;
        all_work(subjects, &stores, After::Cut).await;
    }
}

/// The server cuts the connection of a store that has only one. Each load is sent again on another.
pub async fn cut_between_loads<S: Subject>(server: &Server, subject: S, cut: impl AsyncFn(&Server)) {
    let stores = open(&[subject], server.url()).await;
    for _ in 0..3 {
        cut(server).await;
        assert!(stores[0].load(&ID).await.unwrap().is_some());
    }
}

/// A write meets a connection that was cut. The store does not repeat it, because it may have been done.
pub async fn cut_under_a_write<S: Subject>(server: &Server, subjects: &[S], cut: impl AsyncFn(&Server)) {
    let stores = open(subjects, server.url()).await;
    for (subject, store) in subjects.iter().zip(&stores) {
        cut(server).await;
        let error = store.touch(&ID, REVISION, HOUR).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        everything_works(subject, store, After::Cut).await;
    }
}

async fn all_fail<S: Subject>(subjects: &[S], stores: &[S::Store], is_right: fn(&StoreError) -> bool) {
    join_all(subjects.iter().zip(stores).map(|(subject, store)| everything_fails(subject, store, is_right))).await;
}

fn is_a_timeout(error: &StoreError) -> bool {
    matches!(error, StoreError::TimedOut { .. })
}

async fn all_work<S: Subject>(subjects: &[S], stores: &[S::Store], after: After) {
    for (subject, store) in subjects.iter().zip(stores) {
        everything_works(subject, store, after).await;
    }
}
