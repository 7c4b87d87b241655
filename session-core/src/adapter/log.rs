//! The lines in the log for requests that the server has failed. They are limited, because strangers can cause any
//! number of them.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    fmt::Write,
    iter::successors,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::fit_for_log;

/// How many lines of one kind are written within a second.
const LINES: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// How many bytes of an error's text the log has.
const LONGEST: usize = 1024;

/// There is one for the whole program, because the answer to an error is made where neither layer nor manager is known.
static FAILURES: Failures = Failures::new();

/// Tells `tracing` of an error that was answered, unless there were too many of its kind.
pub(super) fn tell(kind: Kind, error: &(dyn StdError + 'static)) {
    tell_suppressed();
    let error_type = kind.error_type;
    if !FAILURES.admits(kind, Instant::now()) {
        return;
    }
    tracing::event!(
        name: "session.request_failed",
        target: "session",
        tracing::Level::ERROR,
        event.name = "session.request_failed",
        error.type = error_type,
        exception.message = with_sources(error),
        "a request was answered with an error of its session"
    );
}

/// Tells `tracing` how many lines were left out in the seconds that are over.
pub(super) fn tell_suppressed() {
    if !FAILURES.has_suppressed.load(Ordering::Relaxed) {
        return;
    }
    for (error_type, count) in FAILURES.take_suppressed(Instant::now()) {
        tracing::event!(
            name: "session.suppressed",
            target: "session",
            tracing::Level::ERROR,
            event.name = "session.suppressed",
            session.suppressed.event = "session.request_failed",
            error.type = error_type,
            session.count = count,
            "there were more failures of this kind than are written"
        );
    }
}

/// The failures that are counted together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) error_type: &'static str,
    /// The mistake in the program, if it is one. A request has no influence on this text.
    pub(super) mistake: Option<String>,
}

/// Counts failures by their kind, and those that were not written.
struct Failures {
    windows: Mutex<BTreeMap<Kind, Window>>,
    /// Whether anything was left out. A request looks here first, so it takes the lock only if there is something to
    /// tell.
    has_suppressed: AtomicBool,
}

struct Window {
    ends: Instant,
    lines_left: u32,
    suppressed: u64,
}

impl Failures {
    const fn new() -> Self {
        Self { windows: Mutex::new(BTreeMap::new()), has_suppressed: AtomicBool::new(false) }
    }

    /// Whether a line of this kind may be written now. A line that may not be written is counted.
    fn admits(&self, kind: Kind, now: Instant) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(kind).or_insert(Window { ends: now, lines_left: 0, suppressed: 0 });
        if window.ends <= now {
            window.ends = now + SECOND;
            window.lines_left = LINES;
        }
        let is_admitted = window.lines_left > 0;
        if is_admitted {
            window.lines_left -= 1;
        } else {
            window.suppressed += 1;
            self.has_suppressed.store(true, Ordering::Relaxed);
        }
        is_admitted
    }

    /// How many lines were not written in the seconds that are over, for each kind. Each is returned once.
    fn take_suppressed(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let over = windows.iter_mut().filter(|(_, window)| window.ends <= now && window.suppressed > 0);
        let taken = over.map(|(kind, window)| (kind.error_type, std::mem::take(&mut window.suppressed))).collect();
        self.has_suppressed.store(windows.values().any(|window| window.suppressed > 0), Ordering::Relaxed);
        taken
    }
}

/// The error and its sources, with at most 1024 bytes in one line.
fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    for source in successors(error.source(), |&source| source.source()) {
        if text.len() > LONGEST {
            break;
        }
        // Writing to a `String` cannot fail.
        let _ = write!(text, ": {source}");
    }
    fit_for_log(&text, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contended() -> Kind {
        Kind { error_type: "contended", mistake: None }
    }

    #[test]
    fn what_is_too_much_is_counted_by_kind_and_told_once_when_the_second_is_over() {
        let (failures, begin) = (Failures::new(), Instant::now());
        let admitted = |now| (0..30).filter(|_| failures.admits(contended(), now)).count();
        assert_eq!(admitted(begin), 10);
        for mistake in ["no layer", "no other layer"] {
            let kind = Kind { error_type: "no_layer", mistake: Some(mistake.to_owned()) };
            assert!(failures.admits(kind, begin), "each has its own");
        }
        let almost = begin + Duration::from_millis(999);
        assert_eq!((admitted(almost), failures.take_suppressed(almost)), (0, Vec::new()));
        let over = begin + SECOND;
        assert_eq!(failures.take_suppressed(over), [("contended", 50)]);
        assert_eq!(failures.take_suppressed(over), []);
        assert_eq!(admitted(over), 10);
        assert_eq!(failures.take_suppressed(over + SECOND), [("contended", 20)]);
    }
}
