//! The task that purges now and then.

use std::time::Duration;

use session_core::{Store, StoreError};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{MissedTickBehavior, interval},
};

use crate::MysqlStore;

/// So many are deleted at once: few enough that no other write waits long.
const AT_ONCE: u32 = 500;

/// A task that deletes expired sessions now and then: see [`MysqlStore::purge_every`].
///
/// Dropping this handle lets the task run on.
///
/// # Examples
///
/// ```
/// # async fn example(store: session_mysql::MysqlStore) {
/// let purge = store.purge_every(std::time::Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # }
/// ```
#[derive(Debug)]
pub struct PurgeTask(JoinHandle<()>);

impl PurgeTask {
    /// Stops the task and waits until it has stopped.
    pub async fn stop(self) {
        // Wherever it is: each of its statements is done wholly or not at all, and may be the last.
        self.0.abort();
        let _cancelled = self.0.await;
    }
}

pub(crate) fn start(store: MysqlStore, every: Duration) -> PurgeTask {
    PurgeTask(tokio::spawn(async move {
        // An interval of nothing at all would panic.
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = purge_all(&store).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "expired sessions could not be purged");
            }
        }
    }))
}

async fn purge_all(store: &MysqlStore) -> Result<(), StoreError> {
    while store.purge(AT_ONCE).await? > 0 {
        yield_now().await;
    }
    Ok(())
}
