//! A gate at which a handler waits until a test opens it.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;

/// A gate. A handler waits at it until a case opens it.
#[derive(Debug)]
pub(crate) struct Gate {
    passes: Semaphore,
    visitors: Mutex<Visitors>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Visitors {
    came: u32,
    left: u32,
}

/// A handler that waits. It leaves when it goes on, or when it is dropped.
struct Visitor<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new() -> Self {
        Self { passes: Semaphore::new(0), visitors: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for one call of [`open`](Self::open).
    pub(crate) async fn pass(&self) {
        self.note(|visitors| visitors.came += 1);
        let _visitor = Visitor(self);
        // The semaphore is never closed.
        if let Ok(pass) = self.passes.acquire().await {
            pass.forget();
        }
    }

    /// Lets one handler through.
    pub(crate) fn open(&self) {
        self.passes.add_permits(1);
    }

    /// Waits until a handler has come; `false` if none comes within this time.
    pub(crate) fn is_reached_within(&self, patience: Duration) -> bool {
        self.holds_within(patience, |visitors| visitors.came > 0)
    }

    /// Waits until all handlers that have come have left; `false` if they do not within this time.
    pub(crate) fn is_left_within(&self, patience: Duration) -> bool {
        self.holds_within(patience, |visitors| visitors.came == visitors.left)
    }

    fn holds_within(&self, patience: Duration, condition: impl Fn(&Visitors) -> bool) -> bool {
        let visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(visitors, patience, |visitors| !condition(visitors));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn note(&self, change: impl FnOnce(&mut Visitors)) {
        change(&mut self.visitors.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.0.note(|visitors| visitors.left += 1);
    }
}
