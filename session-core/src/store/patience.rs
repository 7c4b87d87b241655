//! How often and how long something is tried again, and what it is answered with when that is over.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use crate::{Entry, Error, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, request::random};

/// How often something is worked out again because another was quicker. On a store in memory, writers without a pause
/// win sixty times in a row.
pub(crate) const MERGES: u32 = 512;

/// How often one write is sent while its outcome stays unknown.
pub(crate) const SENDINGS: u32 = FAILURES;

/// How often a new session is sent, each time under a fresh id.
pub(crate) const CREATIONS: u32 = 2;

/// At this error of the store it is over.
const FAILURES: u32 = 3;

/// This many attempts are made however long they take.
const AT_LEAST: u32 = 8;

/// This many attempts are made at what only rides along: the next request can do it, too.
const RIDES: u32 = AT_LEAST - 1;

/// This long after the first lost race it is over, if there were enough attempts.
const LONGEST: Duration = Duration::from_secs(5);

/// What one operation has for others who are quicker, and for a store that fails.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    /// When the second attempt began. Most operations make one, and need no clock.
    begun: Option<Instant>,
    attempts: u32,
    failures: u32,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { begun: None, attempts: 0, failures: 0 }
    }

    /// Begins the next attempt. [`Error::Contended`] where patience is over: others were quicker each time.
    pub(crate) fn attempt(&mut self) -> Result<(), Error> {
        let is_late = self.attempts > 0 && self.begun.get_or_insert_with(Instant::now).elapsed() >= LONGEST;
        let is_left = self.attempts < AT_LEAST || self.attempts < MERGES && !is_late;
        self.attempts += 1;
        if is_left { Ok(()) } else { Err(Error::Contended) }
    }

    /// Takes an attempt back that has sent nothing.
    pub(crate) fn take_back(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
    }

    /// Whether this attempt is one too many for what only rides along.
    pub(crate) fn is_over_for_rides(&self) -> bool {
        self.attempts > RIDES
    }

    /// [`Error::Contended`], if it is.
    pub(crate) fn judge_ride(&self) -> Result<(), Error> {
        if self.is_over_for_rides() { Err(Error::Contended) } else { Ok(()) }
    }

    /// Bears an error of the store; the third one is the answer.
    pub(crate) fn bear(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.failures += 1;
        if self.failures < FAILURES { Ok(()) } else { Err(error) }
    }

    /// Whether an error was borne: then the outcome of what was sent is not known.
    pub(crate) fn has_borne(&self) -> bool {
        self.failures > 0
    }

    /// Waits after this attempt. Every other time it does not wait: who has just slept is slower than who has not, and
    /// would be beaten again.
    pub(crate) async fn pause(&self) {
        let attempt = self.attempts.saturating_sub(1);
        if attempt.is_multiple_of(2) {
            wait(attempt).await;
        }
    }
}

/// Waits before a write is sent again.
pub(crate) async fn pause_between_sendings(sending: u32) {
    wait(2 * sending).await;
}

/// A random time: up to 1, 4, 16, and then 32 ms.
async fn wait(attempt: u32) {
    let most = 1000 << attempt.min(5);
    let part = random::<1>().map_or(255, |[byte]| u64::from(byte));
    // Boxed: a timer is large, and most operations never wait.
    Box::pin(tokio::time::sleep(Duration::from_micros(most * part / 255))).await;
}

/// How long a request goes on after the first error of its store. From the next answer on there is no such limit.
const AFTER_AN_ERROR: Duration = Duration::from_secs(3);

/// When the three seconds are over, each further call within this time is refused at once. Example: a login has failed,
/// and its commit follows.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);

/// The store as one request asks it: from the first error on, all its calls together have three seconds.
///
/// Each call has a timeout of its own in the driver. An operation of several calls would wait for each of them.
///
/// The calls go to the store within the `Arc`. An `Arc` of a store is a store, too, and its methods would box each future
/// once more.
#[derive(Debug)]
pub(crate) struct PatientStore {
    store: Arc<dyn Store>,
    /// Whether there is such a moment. Most requests see no error, and need no lock.
    is_failing: AtomicBool,
    /// When it failed first, since the last answer.
    failing_since: Mutex<Option<Instant>>,
}

impl PatientStore {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, is_failing: AtomicBool::new(false), failing_since: Mutex::new(None) }
    }

    /// The same store for a task that asks it for several requests. None of them is failing.
    pub(crate) fn for_several(&self) -> Self {
        Self::new(Arc::clone(&self.store))
    }

    /// Whether it has less than three seconds left.
    pub(crate) fn is_failing(&self) -> bool {
        self.deadline().is_some()
    }

    /// When it failed first, if it has not answered since.
    pub(crate) fn failing_since(&self) -> Option<Instant> {
        *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.ask((*self.store).create(id, entry, expires_in, ends_in)).await
    }

    /// One call of the store. An error of the load counts, too.
    pub(crate) async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        [expires_in, ends_in]: [Duration; 2],
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        let call = (*self.store).create_then_load(id, entry, expires_in, ends_in, then);
        let answer = self.in_time(call).await;
        self.note(answer.as_ref().err());
        // The database has made the session by then. So an error of the load is the first after an answer.
        if let Ok(Err(error)) = &answer {
            self.note(Some(error));
        }
        answer
    }

    pub(crate) async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.ask((*self.store).load(id)).await
    }

    pub(crate) async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.ask((*self.store).replace(id, expected, entry, expiry)).await
    }

    pub(crate) async fn touch(
        &self,
        id: &SessionId,
        expected: Revision,
        expires_in: Duration,
    ) -> Result<bool, StoreError> {
        self.ask((*self.store).touch(id, expected, expires_in)).await
    }

    pub(crate) async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.ask((*self.store).delete(id, expected)).await
    }

    pub(crate) async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.ask((*self.store).list(owner)).await
    }

    pub(crate) async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.ask((*self.store).revoke(owner, keep)).await
    }

    async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = self.in_time(call).await;
        self.note(answer.as_ref().err());
        answer
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.deadline() {
            None => call.await,
            // What a dropped call has done is as unknown as after any other error. Boxed: most calls need no timer.
            Some(deadline) => Box::pin(timeout_at(deadline, call))
                .await
                .unwrap_or_else(|_| Err(StoreError::timed_out("the session store", OutOfPatience))),
        }
    }

    /// Notes what a call has answered with. An error that is an answer of the database is no failure.
    fn note(&self, error: Option<&StoreError>) {
        self.note_since(error, Instant::now);
    }

    /// The same of what a task was answered that has asked for this request. The store may have failed for longer.
    pub(crate) fn note_at(&self, error: &StoreError, since: Instant) {
        self.note_since(Some(error), || since);
    }

    fn note_since(&self, error: Option<&StoreError>, since: impl FnOnce() -> Instant) {
        let is_answer = matches!(error, None | Some(StoreError::AlreadyExists | StoreError::Corrupt { .. }));
        if is_answer && !self.is_failing.load(Ordering::Acquire) {
            return;
        }
        self.change(|failing| if is_answer { None } else { Some(failing.unwrap_or_else(since)) });
    }

    /// Changes since when it is failing.
    fn change(&self, change: impl FnOnce(Option<Instant>) -> Option<Instant>) -> Option<Instant> {
        let mut failing_since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        *failing_since = change(*failing_since);
        self.is_failing.store(failing_since.is_some(), Ordering::Release);
        *failing_since
    }

    /// Until when a call may take. An error that is past is forgotten: a handler may ask again after a while.
    fn deadline(&self) -> Option<Instant> {
        if !self.is_failing.load(Ordering::Acquire) {
            return None;
        }
        let is_remembered = |since: &Instant| since.elapsed() < AFTER_AN_ERROR + FORGOTTEN_AFTER;
        self.change(|failing| failing.filter(is_remembered)).map(|since| since + AFTER_AN_ERROR)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("three seconds have passed since its first error in this request")]
struct OutOfPatience;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn however_long_they_take_eight_attempts_are_made_and_after_five_seconds_no_more() {
        let mut patience = Patience::new();
        for attempt in 1..=AT_LEAST {
            assert!(patience.attempt().is_ok());
            tokio::time::advance(LONGEST).await;
            assert_eq!(patience.is_over_for_rides(), attempt == AT_LEAST, "attempt {attempt}");
        }
        assert!(matches!(patience.attempt(), Err(Error::Contended)));
    }

    #[tokio::test(start_paused = true)]
    async fn however_quick_they_are_the_attempts_end() {
        let mut patience = Patience::new();
        let made = std::iter::from_fn(|| patience.attempt().ok()).count();
        assert_eq!(u32::try_from(made), Ok(MERGES));
    }

    #[tokio::test(start_paused = true)]
    async fn every_other_pause_is_left_out() {
        let mut patience = Patience::new();
        for attempt in 1..=8 {
            assert!(patience.attempt().is_ok());
            let before = Instant::now();
            patience.pause().await;
            assert!(attempt % 2 == 1 || before.elapsed() == Duration::ZERO, "attempt {attempt}");
        }
    }

    #[test]
    fn the_third_error_of_the_store_is_the_answer() {
        let mut patience = Patience::new();
        assert!(!patience.has_borne());
        assert!(patience.bear(StoreError::AlreadyExists).is_ok() && patience.has_borne());
        assert!(patience.bear(StoreError::AlreadyExists).is_ok());
        assert!(patience.bear(StoreError::AlreadyExists).is_err());
    }
}
