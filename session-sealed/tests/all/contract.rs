//! The contract of a session store, on sealed payloads in memory.

use std::{sync::Mutex, time::Duration};

use session_conformance::{Subject, Wrapped, async_trait, store_tests};
use session_memory::MemoryStore;
use session_sealed::{SealKeys, SealedStore};

use crate::key;

#[derive(Default)]
struct Memory(Mutex<Vec<MemoryStore>>);

#[async_trait]
impl Subject for Memory {
    type Store = MemoryStore;

    async fn open(&self, _namespace: &str) -> MemoryStore {
        let store = MemoryStore::new();
        self.0.lock().unwrap().push(store.clone());
        store
    }

    async fn pass(&self, time: Duration) {
        for store in &*self.0.lock().unwrap() {
            store.advance(time);
        }
    }
}

store_tests!(Wrapped::new(Memory::default(), |store, namespace| {
    SealedStore::new(store, namespace, SealKeys::new(key("2026-11", 1))).unwrap()
}));
