//! Somebody looks whether callers wait long. The trip before them has usually lost its connection then, or nobody polls it. It
//! must not hold up those that come after it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{runtime::Id, time::sleep};

use super::{Hurry, Inner, Number};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// The watch over the callers of one runtime. One task looks for all of them: a timer for each would cost more. It is not the
/// task of a trip, because that may have to wait for its thread.
pub(super) struct Watch<Q: Send + 'static, A: Send + 'static> {
    trips: Weak<Inner<Q, A>>,
    runtime: Id,
    /// What was under way at the last look. `None` before the first.
    seen: Option<Option<Number>>,
}

impl<Q: Send + 'static, A: Send + 'static> Watch<Q, A> {
    pub(super) fn new(trips: &Arc<Inner<Q, A>>, runtime: Id) -> Self {
        Self { trips: Arc::downgrade(trips), runtime, seen: None }
    }

    /// Ends when nobody is under way.
    pub(super) async fn keep(mut self) {
        while self.look() {
            sleep(INTERVAL).await;
        }
        // The next line has a watch of its own.
        self.trips = Weak::new();
    }

    /// Sends out those who wait long. Returns whether there is something to look at.
    fn look(&mut self) -> bool {
        let Some(trips) = self.trips.upgrade() else { return false };
        let mut lines = trips.lines();
        // A watch may have to wait for its thread. Until one has looked, each caller who comes sends another.
        let is_first = self.seen.is_none();
        let Some(line) = lines.of(self.runtime).filter(|line| !(is_first && line.is_watched)) else { return false };
        (line.is_watched, line.looks) = (true, line.looks + 1);
        let under_way = line.under_way;
        let takes_long = match line.callers.front() {
            // Who was sent out at the last look may still wait for their thread.
            Some(first) => line.looks >= 2 + first.since.max(line.sent_out_at),
            None if under_way.is_none() => {
                let idle = lines.remove(self.runtime);
                drop(lines);
                drop(idle);
                return false;
            }
            None => self.seen == Some(under_way),
        };
        if takes_long {
            line.sent_out_at = line.looks;
        }
        drop(lines);
        if takes_long {
            trips.set_out_after(under_way, self.runtime, Hurry::Yes);
        }
        self.seen = Some(under_way);
        true
    }
}

/// The runtime shuts down. Those who wait learn that there is no answer.
impl<Q: Send + 'static, A: Send + 'static> Drop for Watch<Q, A> {
    fn drop(&mut self) {
        let line = self.trips.upgrade().map(|trips| trips.lines().remove(self.runtime));
        // Without the lock: this wakes them.
        drop(line);
    }
}
