//! The store under test, and when it last answered.

use std::{
    sync::Arc,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};

/// When the store last answered.
#[derive(Debug)]
pub(crate) struct Pulse(Mutex<Instant>);

/// A store that passes each call on, and notes when it is answered.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    store: S,
    pulse: Arc<Pulse>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    pub(crate) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago the store answered.
    pub(crate) fn silence(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl<S> Watched<S> {
    pub(crate) fn new(store: S, pulse: Arc<Pulse>) -> Self {
        Self { store, pulse }
    }

    async fn noting<T>(&self, call: impl Future<Output = T>) -> T {
        let answer = call.await;
        self.pulse.beat();
        answer
    }
}

#[async_trait]
impl<S: Store> Store for Watched<S> {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.noting(self.store.create(id, entry, expires_in, ends_in)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.noting(self.store.load(id)).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.noting(self.store.replace(id, expected, entry, expiry)).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.noting(self.store.touch(id, expected, expires_in)).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.noting(self.store.delete(id, expected)).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.noting(self.store.list(owner)).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.noting(self.store.revoke(owner, keep)).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.noting(self.store.purge(limit)).await
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        self.noting(self.store.create_then_load(id, entry, expires_in, ends_in, then)).await
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}
