//! Counters and durations, by the `metrics` facade. The table of them is on the front page.

use std::time::Instant;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::{EventKind, SessionEvent};

const CALLS: &str = "session.store.calls";
const DURATION: &str = "session.store.duration";
const MERGES: &str = "session.merges";
const EVENTS: &str = "session.events";
const PURGED: &str = "session.purged";

/// Tells the recorder what the numbers are.
pub(crate) fn describe() {
    describe_counter!(CALLS, Unit::Count, "calls of the session store");
    describe_histogram!(DURATION, Unit::Seconds, "how long calls of the session store took");
    describe_counter!(MERGES, Unit::Count, "changes of a session that were worked out again on what another had saved");
    describe_counter!(EVENTS, Unit::Count, "what has happened to sessions");
    describe_counter!(PURGED, Unit::Count, "expired sessions that were deleted");
}

/// A call of the store, until its answer is there.
pub(crate) struct Call {
    backend: &'static str,
    method: &'static str,
    begun: Instant,
    /// What it comes to if its future is dropped.
    outcome: &'static str,
}

impl Call {
    pub(crate) fn begin(backend: &'static str, method: &'static str) -> Self {
        Self { backend, method, begun: Instant::now(), outcome: "dropped" }
    }

    pub(crate) fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Self { backend, method, begun, outcome } = *self;
        let labels = [("backend", backend), ("method", method), ("outcome", outcome)];
        counter!(CALLS, &labels).increment(1);
        histogram!(DURATION, &labels).record(begun.elapsed());
    }
}

/// Others were quicker, and the changes are worked out again.
pub(crate) fn merge() {
    counter!(MERGES).increment(1);
}

pub(crate) fn event(event: &SessionEvent) {
    let name = event.kind.name();
    match event.kind.fixed_reason() {
        Some(reason) => counter!(EVENTS, "event" => name, "reason" => reason).increment(1),
        None => counter!(EVENTS, "event" => name).increment(1),
    }
    if let EventKind::Purged { count } = event.kind {
        counter!(PURGED).increment(count);
    }
}
