//! Connections that have been idle: each is asked whether it still works before it is used.
//!
//! A server, a router or a restart may have cut an idle connection, and nobody is told. A statement that meets one fails, or
//! waits for its whole timeout. So a connection that was idle for long is asked first, and has little time to answer. If it
//! is broken, so are the others that were idle for as long, and they are closed unasked.
//!
//! session-mysql has the same file for its driver's connections. The stores share no crate but core, and core knows of no
//! pools. These lines are too few for a crate of their own, so `cargo xtask check` holds the two files together.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, Error, PgConnection, pool::PoolConnectionMetadata};
use tokio::time::timeout;

/// Connections that were last used before this instant are not used again, because one of their age was broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condemned(Arc<Mutex<Option<Instant>>>);

impl Condemned {
    /// Condemns the idle connections that were last used before this instant.
    pub(crate) fn before(&self, instant: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(instant));
    }

    fn has(&self, last_used: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|before| last_used < before)
    }
}

/// When an idle connection is asked, and how long it may take to answer.
#[derive(Clone, Debug)]
pub(crate) struct IdleCheck {
    pub(crate) after: Duration,
    pub(crate) limit: Duration,
    pub(crate) condemned: Condemned,
}

/// What a pool's `before_acquire` answers: whether the connection may be used.
pub(crate) type Usable<'c> = Pin<Box<dyn Future<Output = Result<bool, Error>> + Send + 'c>>;

impl IdleCheck {
    /// The hook for a pool.
    pub(crate) fn hook(self) -> impl for<'c> Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Usable<'c> {
        move |connection, metadata| {
            let check = self.clone();
            Box::pin(async move { Ok(check.is_usable(connection, metadata.idle_for).await) })
        }
    }

    async fn is_usable(&self, connection: &mut PgConnection, idle_for: Duration) -> bool {
        let asked = Instant::now();
        // The clock may not reach back as far. Such a connection is old enough to be given up.
        if asked.checked_sub(idle_for).is_none_or(|last_used| self.condemned.has(last_used)) {
            return false;
        }
        if idle_for <= self.after {
            return true;
        }
        match timeout(self.limit, connection.ping()).await {
            Ok(Ok(())) => return true,
            // The server has gone, and with it every connection that was idle until now.
            Ok(Err(_)) => self.condemned.before(Instant::now()),
            // A connection that was used since the question works.
            Err(_) => self.condemned.before(asked),
        }
        false
    }
}
