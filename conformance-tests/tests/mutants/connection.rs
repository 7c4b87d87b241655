//! The faults of a client that reads a long answer from one connection, and is dropped in the middle of it.

use session_core::Loaded;
use tokio::task::yield_now;

use super::{fault::Fault, store::Small};

/// From how many bytes on an answer does not arrive as a whole, and when its first part does.
const LONG: usize = 64 * 1024;
const READS: usize = 8;

/// Whose caller is gone before the rest was read.
struct Unread<'a> {
    store: &'a Small,
    rest: Option<Loaded>,
}

impl Small {
    /// Waits for a long answer, if the store has this fault. A caller that is gone before the first part of it closes the
    /// connection. One that is gone after that leaves the rest to the next load.
    pub(crate) async fn wait_for(&self, fault: Fault, answer: Option<&Loaded>) {
        let Some(long) = answer.filter(|answer| self.is(fault) && answer.payload.len() > LONG) else { return };
        for _ in 0..READS {
            yield_now().await;
        }
        let mut unread = Unread { store: self, rest: Some(long.clone()) };
        yield_now().await;
        unread.rest = None;
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.store.lock().0.unread = Some(rest);
        }
    }
}
