//! How many lines failed requests write into the log, and how long these are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "all/log.rs"]
mod log;

use std::{
    convert::Infallible,
    io,
    time::{Duration, Instant},
};

use http::{Extensions, Request, Response};
use session_memory::MemoryStore;
use session_tower::{Error, Session, SessionError, SessionLayer, SessionManager, StoreError};
use tower::{Layer, ServiceExt, service_fn};

use crate::log::Log;

const PATIENCE: Duration = Duration::from_secs(20);

/// The lines of these failures only. Other tests of the program write others.
fn failed(log: &Log, event: &str) -> Vec<String> {
    let is_meant =
        |line: &String| line.contains(&format!("event.name=\"{event}\"")) && line.contains("error.type=\"contended\"");
    log.lines().into_iter().filter(is_meant).collect()
}

fn fail() {
    drop(SessionError::from(Error::Contended).answer::<String>());
}

fn flood() {
    for _ in 0..1000 {
        fail();
    }
}

/// Goes on until the log has this many lines that say how many were left out.
async fn until_suppressed_are(count: usize, log: &Log, go_on: impl AsyncFn()) {
    let began = Instant::now();
    while failed(log, "session.suppressed").len() < count {
        assert!(began.elapsed() < PATIENCE, "{:?}", log.lines());
        go_on().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_failures_that_a_stranger_causes_bring_ten_lines_a_second_and_then_their_number() {
    let (log, began) = (Log::start(), Instant::now());
    flood();
    // The second in which it began counts, and so does the one that still runs.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    let lines = failed(&log, "session.request_failed");
    assert!(!lines.is_empty() && lines.len() <= 10 * seconds, "{} lines in {seconds} seconds", lines.len());
    assert!(lines[0].contains("ERROR session: "), "{}", lines[0]);

    let sessions = SessionLayer::new(SessionManager::development(MemoryStore::new()));
    let app = sessions.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
    let told = failed(&log, "session.suppressed").len();
    until_suppressed_are(told + 1, &log, async || drop(app.clone().oneshot(Request::new(())).await.unwrap())).await;
    let suppressed = failed(&log, "session.suppressed").remove(0);
    for words in ["ERROR session: ", "session.suppressed.event=\"session.request_failed\"", "session.count="] {
        assert!(suppressed.contains(words), "{words}: {suppressed}");
    }
    flood();
    let told = failed(&log, "session.suppressed").len();
    until_suppressed_are(told + 1, &log, async || fail()).await;
}

#[test]
fn the_line_of_a_failure_is_bounded_and_what_the_server_said_forges_none() {
    let log = Log::start();
    let said = format!("no\nroute \u{1b}[31m\u{202e}{}", "a".repeat(5000));
    let error = Error::from(StoreError::backend("Redis", io::Error::other(said)));
    drop(SessionError::from(error).answer::<String>());
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    let told = "exception.message=\"the session store failed: Redis answered with an error: no\\\\nroute ";
    assert!(line.contains("error.type=\"store_backend\"") && line.contains(told), "{line}");
    assert!(line.len() < 1500 && !line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line}");
}

#[tokio::test]
async fn a_place_without_a_layer_is_told_though_another_one_has_brought_too_many_lines() {
    struct One;
    struct Other;
    let log = Log::start();
    let fails = async |is_other: bool| {
        let extensions = Extensions::new();
        let error = match is_other {
            false => Session::<One>::named(&extensions).await.err(),
            true => Session::<Other>::named(&extensions).await.err(),
        };
        drop(error.unwrap().answer::<String>());
    };
    for _ in 0..100 {
        fails(false).await;
    }
    fails(true).await;
    assert!(log.lines().iter().any(|line| line.contains("Other>")), "{:?}", log.lines());
}
