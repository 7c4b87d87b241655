//! The contract of a session store, on the memory store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Mutex, time::Duration};

use session_conformance::{Subject, async_trait, store_tests};
use session_memory::MemoryStore;

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

store_tests!(Memory::default());
