//! A store that counts the calls of the store inside, and can be cut off from it.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};

pub(crate) type Calls = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug)]
pub(crate) struct Counting {
    store: Arc<dyn Store>,
    calls: Arc<Mutex<Calls>>,
    is_cut: Arc<AtomicBool>,
}

/// Why each call of a store fails that is cut off.
#[derive(Clone, Copy, Debug)]
struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off to show what an outage does")
    }
}

impl Error for CutOff {}

impl Counting {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let methods = ["create", "load", "replace", "touch", "delete", "list", "revoke", "purge", "create_then_load"];
        Self { store, calls: Arc::new(Mutex::new(methods.map(|method| (method, 0)).into())), is_cut: Arc::default() }
    }

    /// The calls so far, by method.
    pub(crate) fn calls(&self) -> Calls {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on each call fails, or none does any more.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    fn count(&self, method: &'static str) -> Result<&dyn Store, StoreError> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(method).or_default() += 1;
        if self.is_cut() { Err(StoreError::unavailable(self.store.backend(), CutOff)) } else { Ok(&*self.store) }
    }
}

#[async_trait]
impl Store for Counting {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.count("create")?.create(id, entry, expires_in, ends_in).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.count("load")?.load(id).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.count("replace")?.replace(id, expected, entry, expiry).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.count("touch")?.touch(id, expected, expires_in).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.count("delete")?.delete(id, expected).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.count("list")?.list(owner).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.count("revoke")?.revoke(owner, keep).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.count("purge")?.purge(limit).await
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        self.count("create_then_load")?.create_then_load(id, entry, expires_in, ends_in, then).await
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}
