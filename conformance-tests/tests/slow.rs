//! The kit does not fail a correct store that is slow, such as one on a busy machine or at the end of a long line.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use session_conformance::{Subject, async_trait, cases};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use session_memory::MemoryStore;

/// How long the calls take, in turn. Half of it passes before the store works, half after.
const MILLISECONDS: [u64; 4] = [300, 50, 120, 50];

/// Each namespace, which all who open it share.
#[derive(Default)]
struct Slow(Mutex<BTreeMap<String, MemoryStore>>);

#[derive(Debug)]
struct SlowStore {
    store: MemoryStore,
    calls: AtomicUsize,
}

#[async_trait]
impl Subject for Slow {
    type Store = SlowStore;

    async fn open(&self, namespace: &str) -> SlowStore {
        let store =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(namespace.to_owned()).or_default().clone();
        SlowStore { store, calls: AtomicUsize::new(0) }
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl SlowStore {
    async fn after_a_while<T>(&self, call: impl Future<Output = T>) -> T {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let way = Duration::from_millis(MILLISECONDS[number % MILLISECONDS.len()]) / 2;
        tokio::time::sleep(way).await;
        let answer = call.await;
        tokio::time::sleep(way).await;
        answer
    }
}

#[async_trait]
impl Store for SlowStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.after_a_while(self.store.create(id, entry, expires_in, ends_in)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.after_a_while(self.store.load(id)).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.after_a_while(self.store.replace(id, expected, entry, expiry)).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.after_a_while(self.store.touch(id, expected, expires_in)).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.after_a_while(self.store.delete(id, expected)).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.after_a_while(self.store.list(owner)).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.after_a_while(self.store.revoke(owner, keep)).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.after_a_while(self.store.purge(limit)).await
    }
}

#[test]
fn a_slow_store_passes_every_case() {
    // All cases run at once, because they wait most of the time.
    let run = |case: session_conformance::Case<Slow>| {
        thread::spawn(move || {
            let passed = catch_unwind(AssertUnwindSafe(|| case.run(Slow::default()))).is_ok();
            (!passed).then(|| case.name())
        })
    };
    let running: Vec<_> = cases::<Slow>().into_iter().map(run).collect();
    let failed: Vec<_> = running.into_iter().filter_map(|case| case.join().unwrap_or(Some("a thread"))).collect();
    assert!(failed.is_empty(), "a correct store fails because it is slow: {failed:#?}");
}
