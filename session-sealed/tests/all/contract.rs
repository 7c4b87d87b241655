//! The contract of a session store, on sealed payloads in memory.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use session_conformance::{Subject, Wrapped, async_trait, store_tests};
use session_core::SessionId;
use session_memory::MemoryStore;
use session_sealed::{SealKeys, SealedStore};

use crate::key;

/// Why no answer is lost.
const IN_THIS_PROCESS: &str = "it is a map of this process, and each call waits for its answer";

/// Each namespace. A clone of a store has the same sessions.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, MemoryStore>>);

#[async_trait]
impl Subject for Memory {
    type Store = MemoryStore;

    async fn open(&self, namespace: &str) -> MemoryStore {
        self.0.lock().unwrap().entry(namespace.to_owned()).or_default().clone()
    }

    async fn lose_the_answer(&self, _: &SessionId) -> Result<(), &'static str> {
        Err(IN_THIS_PROCESS)
    }

    async fn open_unanswered(&self, _: &str) -> Result<MemoryStore, &'static str> {
        Err(IN_THIS_PROCESS)
    }

    async fn open_with_little_room(&self, namespace: &str) -> Result<MemoryStore, &'static str> {
        let store = MemoryStore::with_capacity(100);
        self.0.lock().unwrap().insert(namespace.to_owned(), store.clone());
        Ok(store)
    }

    async fn pass(&self, time: Duration) {
        for store in self.0.lock().unwrap().values() {
            store.advance(time);
        }
    }
}

store_tests!(Wrapped::new(Memory::default(), |store, namespace| {
    SealedStore::new(store, namespace, SealKeys::new(key("2026-11", 1))).unwrap()
}));
