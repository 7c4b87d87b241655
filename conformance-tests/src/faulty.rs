//! A store that counts its calls and fails on demand.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};
use session_memory::MemoryStore;

use crate::adapter::gate::Gate;

/// A store that counts its calls and fails on demand. It is for the tests of an adapter or of an application.
///
/// Cloning it gives the same store.
///
/// # Examples
///
/// ```
/// use session_conformance::FaultyStore;
/// use session_core::{Error, SessionManager};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultyStore::default();
/// let manager = SessionManager::development(store.clone());
/// manager.login_for_tests(42).await.unwrap();
/// assert_eq!(store.calls(), 1); // a write, and a look at revocations
/// store.fail_writes(true);
/// assert!(matches!(manager.login_for_tests(42).await, Err(Error::Store(_))));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Box<dyn Store>,
    calls: AtomicU64,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    /// The gate at which a write waits.
    held: Mutex<Option<(Arc<Gate>, HeldAt)>>,
}

/// When a write waits: on the way to the store, or on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldAt {
    Call,
    Answer,
}

#[derive(Debug)]
struct Unplugged;

impl fmt::Display for Unplugged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unplugged by the test")
    }
}

impl std::error::Error for Unplugged {}

impl FaultyStore {
    /// Passes the calls on to this store.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(Inner {
            store: Box::new(store),
            calls: AtomicU64::new(0),
            reads_fail: AtomicBool::new(false),
            writes_fail: AtomicBool::new(false),
            held: Mutex::new(None),
        }))
    }

    /// How many calls there were since this was last asked. A call that failed counts, too.
    #[allow(clippy::must_use_candidate, reason = "asking begins the count again")]
    pub fn calls(&self) -> u64 {
        self.0.calls.swap(0, Ordering::Relaxed)
    }

    /// Whether `load` and `list` fail from now on, as they do when the store cannot be reached. A `create_then_load` then
    /// creates, and its load fails.
    pub fn fail_reads(&self, fail: bool) {
        self.0.reads_fail.store(fail, Ordering::Relaxed);
    }

    /// Whether all other calls fail from now on, as they do when the store cannot be reached. Nothing is written then.
    pub fn fail_writes(&self, fail: bool) {
        self.0.writes_fail.store(fail, Ordering::Relaxed);
    }

    /// Lets each write wait at this gate from now on, or none.
    pub(crate) fn hold_writes(&self, at: Option<(Arc<Gate>, HeldAt)>) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn reading(&self) -> Result<&dyn Store, StoreError> {
        self.count();
        self.judge(&self.0.reads_fail)
    }

    /// The store for a write, once the write may go there.
    async fn writing(&self) -> Result<&dyn Store, StoreError> {
        self.count();
        let store = self.judge(&self.0.writes_fail)?;
        self.wait(HeldAt::Call).await;
        Ok(store)
    }

    /// The answer to a write, once it may come back.
    async fn written<T>(&self, answer: T) -> T {
        self.wait(HeldAt::Answer).await;
        answer
    }

    async fn wait(&self, at: HeldAt) {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((gate, _)) = held.filter(|(_, held_at)| *held_at == at) {
            gate.pass().await;
        }
    }

    fn count(&self) {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn judge(&self, fails: &AtomicBool) -> Result<&dyn Store, StoreError> {
        if fails.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("faulty", Unplugged));
        }
        Ok(&*self.0.store)
    }
}

impl Default for FaultyStore {
    /// Over a [`MemoryStore`].
    fn default() -> Self {
        Self::new(MemoryStore::new())
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.written(self.writing().await?.create(id, entry, expires_in, ends_in).await).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.reading()?.load(id).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.written(self.writing().await?.replace(id, expected, entry, expiry).await).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.written(self.writing().await?.touch(id, expected, expires_in).await).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.written(self.writing().await?.delete(id, expected).await).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.reading()?.list(owner).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.written(self.writing().await?.revoke(owner, keep).await).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.written(self.writing().await?.purge(limit).await).await
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        let store = self.writing().await?;
        let made = match self.judge(&self.0.reads_fail) {
            Ok(_) => store.create_then_load(id, entry, expires_in, ends_in, then).await,
            Err(unplugged) => store.create(id, entry, expires_in, ends_in).await.map(|()| Err(unplugged)),
        };
        self.written(made).await
    }

    fn backend(&self) -> &'static str {
        self.0.store.backend()
    }
}
