//! The task that purges now and then.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, yield_now},
    time::{MissedTickBehavior, interval},
};

use crate::{
    EventKind, SessionEvent, Store, StoreError,
    event::{Log, Observers},
};

/// How many are deleted at once: few enough that no other write waits long for one of them.
const AT_ONCE: u32 = 500;

/// A year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A task that deletes expired sessions now and then, for a store that does not expire them by itself.
///
/// Dropping this handle lets the task run on. Any number of them may run beside one another, on one node or many.
///
/// # Examples
///
/// ```
/// # async fn example(store: impl session_core::Store + Clone) {
/// use std::time::Duration;
///
/// use session_core::PurgeTask;
///
/// let purge = PurgeTask::start(store.clone(), Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # }
/// ```
#[derive(Debug)]
pub struct PurgeTask(JoinHandle<()>);

impl PurgeTask {
    /// Purges the store now, and then again each time `every` has passed. The task tells `tracing` how many were expired, and
    /// of an error ([`EventKind`]), and goes on; it ends if the store panics. Observers are told by
    /// [`SessionManager::purge_every`](crate::SessionManager::purge_every).
    ///
    /// # Panics
    ///
    /// If it is not called within a tokio runtime.
    #[allow(clippy::must_use_candidate, reason = "dropping the handle lets the task run on")]
    pub fn start(store: impl Store, every: Duration) -> Self {
        Self::run(store, every, Observers::new(Log::default()))
    }

    pub(crate) fn run(store: impl Store, every: Duration, observers: Observers) -> Self {
        Self(tokio::spawn(async move {
            // `interval` panics at zero, and at what ends beyond the clock.
            let mut ticks = interval(every.clamp(Duration::from_millis(1), LONGEST));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let (count, purged) = purge_all(&store).await;
                if count > 0 {
                    observers.tell(&SessionEvent::new(EventKind::Purged { count }));
                }
                if let Err(error) = purged {
                    observers.tell(&SessionEvent::new(EventKind::PurgeFailed(error.into())));
                }
            }
        }))
    }

    /// Stops the task and waits until it has stopped.
    pub async fn stop(self) {
        // Wherever it is: each purge happens wholly or not at all when its future is dropped.
        self.0.abort();
        let _cancelled = self.0.await;
    }
}

/// Deletes what has expired, and returns how many were deleted before the first error.
async fn purge_all(store: &dyn Store) -> (u64, Result<(), StoreError>) {
    let mut count = 0;
    loop {
        match store.purge(AT_ONCE).await {
            Ok(0) => return (count, Ok(())),
            Ok(deleted) => count += deleted,
            Err(error) => return (count, Err(error)),
        }
        yield_now().await;
    }
}
