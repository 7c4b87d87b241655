//! A store that counts its calls and fails on demand.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use session_memory::MemoryStore;

#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    store: MemoryStore,
    calls: AtomicU64,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
}

#[derive(Debug)]
struct Unplugged;

impl fmt::Display for Unplugged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unplugged by the test")
    }
}

impl std::error::Error for Unplugged {}

impl Faulty {
    /// How many calls there were since this was last asked.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn fail_reads(&self, fail: bool) {
        self.0.reads_fail.store(fail, Ordering::Relaxed);
    }

    pub(crate) fn fail_writes(&self, fail: bool) {
        self.0.writes_fail.store(fail, Ordering::Relaxed);
    }

    fn reading(&self) -> Result<&MemoryStore, StoreError> {
        self.judge(&self.0.reads_fail)
    }

    fn writing(&self) -> Result<&MemoryStore, StoreError> {
        self.judge(&self.0.writes_fail)
    }

    fn judge(&self, fails: &AtomicBool) -> Result<&MemoryStore, StoreError> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        if fails.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("faulty", Unplugged));
        }
        Ok(&self.0.store)
    }
}

#[async_trait]
impl Store for Faulty {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.writing()?.create(id, entry, expires_in, ends_in).await
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
        self.writing()?.replace(id, expected, entry, expiry).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.writing()?.touch(id, expected, expires_in).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.writing()?.delete(id, expected).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.reading()?.list(owner).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.writing()?.revoke(owner, keep).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.writing()?.purge(limit).await
    }
}
