//! How long a request goes on asking a store that fails.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use crate::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};

/// How long a request goes on after the first error of its store. An answer ends that.
const AFTER_AN_ERROR: Duration = Duration::from_secs(3);

/// When the three seconds are over, what follows at once is refused at once: the commit after a login that failed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);

/// The store as one request asks it: from the first error on, all its calls together have three seconds.
///
/// Each call has a timeout of its own in the driver. An operation of several calls would wait for each of them.
#[derive(Debug)]
pub(crate) struct PatientStore {
    store: Arc<dyn Store>,
    /// When it failed first, since the last answer.
    failing_since: Mutex<Option<Instant>>,
}

impl PatientStore {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, failing_since: Mutex::new(None) }
    }

    pub(crate) async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.ask(self.store.create(id, entry, expires_in, ends_in)).await
    }

    pub(crate) async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.ask(self.store.load(id)).await
    }

    pub(crate) async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.ask(self.store.replace(id, expected, entry, expiry)).await
    }

    pub(crate) async fn touch(
        &self,
        id: &SessionId,
        expected: Revision,
        expires_in: Duration,
    ) -> Result<bool, StoreError> {
        self.ask(self.store.touch(id, expected, expires_in)).await
    }

    pub(crate) async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.ask(self.store.delete(id, expected)).await
    }

    pub(crate) async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.ask(self.store.list(owner)).await
    }

    pub(crate) async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.ask(self.store.revoke(owner, keep)).await
    }

    async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = match self.deadline() {
            None => call.await,
            // What a dropped call has done is as unknown as after any other error.
            Some(deadline) => timeout_at(deadline, call)
                .await
                .unwrap_or_else(|_| Err(StoreError::timed_out("the session store", OutOfPatience))),
        };
        let mut failing_since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        *failing_since = match &answer {
            Ok(_) | Err(StoreError::AlreadyExists | StoreError::Corrupt { .. }) => None,
            Err(_) => Some(failing_since.unwrap_or_else(Instant::now)),
        };
        drop(failing_since);
        answer
    }

    /// Until when a call may take. An error that is past is forgotten: a handler may ask again after a while.
    fn deadline(&self) -> Option<Instant> {
        let mut failing_since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        *failing_since = failing_since.filter(|since| since.elapsed() < AFTER_AN_ERROR + FORGOTTEN_AFTER);
        failing_since.map(|since| since + AFTER_AN_ERROR)
    }
}

/// How often something is worked out anew because another was quicker: on a store in memory, others that write without a
/// pause win sixty times in a row.
pub(crate) const MERGES: u32 = 512;

/// How often what only rides along is tried: the next request can do it, too.
pub(crate) const RIDES: u32 = AT_LEAST - 1;

/// So often it is tried however long that takes.
const AT_LEAST: u32 = 8;

/// So long it is tried again, where that is more often.
const PATIENCE: Duration = Duration::from_secs(5);

/// The numbers of the attempts at what others may be quicker at.
pub(crate) fn attempts() -> impl Iterator<Item = u32> {
    let begun = Instant::now();
    (0..MERGES).take_while(move |&attempt| attempt < AT_LEAST || begun.elapsed() < PATIENCE)
}

/// Waits a random while between contended writes: up to 1, 4, 16, and then 32 ms. Every other time it goes on at once: who
/// has just slept is slower than who has not, and would be beaten again.
pub(crate) async fn pause(attempt: u32) {
    if attempt % 2 == 1 {
        return;
    }
    let most = 1000 << attempt.min(5);
    let part = crate::request::token::random::<1>().map_or(255, |[byte]| u64::from(byte));
    tokio::time::sleep(Duration::from_micros(most * part / 255)).await;
}

#[derive(Debug, thiserror::Error)]
#[error("three seconds have passed since its first error in this request")]
struct OutOfPatience;
