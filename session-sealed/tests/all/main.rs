//! The tests of sealed payloads, by theme. The contract over each store is in that store's own tests, over memory here.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changing_keys;
mod contract;
mod place;
mod site;

use std::time::Duration;

use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use session_memory::MemoryStore;
use session_sealed::{OpenError, SealKey, SealKeys, SealedStore};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);
const FIRST: Revision = Revision::from_bytes([1; 8]);
const SECOND: Revision = Revision::from_bytes([2; 8]);

fn key(id: &str, byte: u8) -> SealKey {
    SealKey::from_bytes(id, &[byte; 32]).unwrap()
}

fn sealed(database: &MemoryStore, context: &str, keys: SealKeys) -> SealedStore<MemoryStore> {
    SealedStore::new(database.clone(), context, keys).unwrap()
}

/// A session of user 42's with this payload.
async fn create(store: &impl Store, id: SessionId, payload: &[u8]) {
    let owner = Owner::from(42);
    store.create(&id, Entry::new(FIRST, payload).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
}

async fn raw(database: &MemoryStore, id: SessionId) -> Loaded {
    database.load(&id).await.unwrap().unwrap()
}

/// Writes this payload past the seal, under this revision.
async fn overwrite(database: &MemoryStore, id: SessionId, revision: Revision, payload: &[u8]) {
    let expected = raw(database, id).await.revision;
    let entry = Entry::new(revision, payload);
    assert!(database.replace(&id, expected, entry, Expiry::Keep).await.unwrap());
}

/// Why the session does not open. It stays in its owner's list, without a payload, and can be deleted.
async fn refusal(store: &impl Store, id: SessionId) -> OpenError {
    let error = store.load(&id).await.unwrap_err();
    let StoreError::Corrupt { backend, source } = &error else { panic!("{error:?}") };
    assert_eq!(*backend, "the sealed store");
    let listed = store.list(&Owner::from(42)).await.unwrap();
    assert!(listed.iter().any(|(listed, loaded)| *listed == id && loaded.payload.is_empty()), "{listed:?}");
    source.downcast_ref::<OpenError>().unwrap().clone()
}
