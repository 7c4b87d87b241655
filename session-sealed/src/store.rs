//! The store around a store.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};

use crate::{
    SealConfigError, SealKeys,
    key::SharedKeys,
    seal::{self, Place},
};

/// A store that seals each payload, and keeps it in another store.
///
/// A clone is another handle on the same store, with the same keys. See [the page of the crate](crate) for what a seal
/// covers and what it does not.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_core::{Entry, Revision, SessionId, Store};
/// use session_memory::MemoryStore;
/// use session_sealed::{SealKey, SealKeys, SealedStore};
///
/// let keys = SealKeys::new(SealKey::generate("2026-11")?);
/// let (database, hour) = (MemoryStore::new(), Duration::from_secs(3600));
/// let store = SealedStore::new(database.clone(), "shop.example, sessions", keys)?;
///
/// let id = SessionId::from_bytes([7; 16]);
/// store.create(&id, Entry::new(Revision::from_bytes([1; 8]), b"a secret"), hour, hour).await?;
/// assert_eq!(store.load(&id).await?.ok_or("gone")?.payload, "a secret");
/// assert!(!database.load(&id).await?.ok_or("gone")?.payload.windows(6).any(|word| word == b"secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SealedStore<S> {
    store: S,
    context: Arc<str>,
    keys: SharedKeys,
}

impl<S: Store> SealedStore<S> {
    /// How many bytes a seal adds to a payload at most.
    ///
    /// The stores of this project take a session of the largest size and this. If another store takes no payload above
    /// 1 MiB, lower the policy's [`size_limit`](session_core::PolicyBuilder::size_limit) by this much.
    pub const OVERHEAD: usize = seal::OVERHEAD;

    /// A store that seals what it keeps in `store`.
    ///
    /// The context is a name for what these sessions are: the site, the table, and the tenant if there are several. A payload
    /// of one context does not open in another, also under the same keys. All nodes of a site need the same one, and another
    /// one would make every session unreadable. It is no secret.
    ///
    /// # Errors
    ///
    /// [`SealConfigError::NoContext`] if the context is blank, [`SealConfigError::TwoKeysOfOneId`].
    pub fn new(store: S, context: impl Into<String>, keys: SealKeys) -> Result<Self, SealConfigError> {
        let context = context.into();
        if context.trim().is_empty() {
            return Err(SealConfigError::NoContext);
        }
        Ok(Self { store, context: context.into(), keys: SharedKeys::new(keys)? })
    }

    /// Takes other keys, in this store and in its clones. A call that has begun keeps those that it began with.
    ///
    /// # Errors
    ///
    /// [`SealConfigError::TwoKeysOfOneId`]; then the keys stay as they are.
    pub fn set_keys(&self, keys: SealKeys) -> Result<(), SealConfigError> {
        self.keys.set(keys)
    }

    fn seal(&self, id: &SessionId, entry: Entry<'_>) -> Result<Vec<u8>, StoreError> {
        Place { context: &self.context, id, revision: entry.revision }.seal(&self.keys.now(), entry.payload)
    }

    fn open(&self, id: &SessionId, loaded: Option<Loaded>) -> Result<Option<Loaded>, StoreError> {
        loaded.map(|loaded| seal::open(&self.keys.now(), &self.context, id, loaded)).transpose()
    }
}

impl<S: fmt::Debug> fmt::Debug for SealedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, context, keys } = self;
        f.debug_struct("SealedStore")
            .field("store", store)
            .field("context", context)
            .field("keys", &keys.now())
            .finish()
    }
}

#[async_trait]
impl<S: Store> Store for SealedStore<S> {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let payload = self.seal(id, entry)?;
        self.store.create(id, entry.with_payload(&payload), expires_in, ends_in).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.open(id, self.store.load(id).await?)
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let payload = self.seal(id, entry)?;
        self.store.replace(id, expected, entry.with_payload(&payload), expiry).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.store.touch(id, expected, expires_in).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.store.delete(id, expected).await
    }

    /// A session that does not open stays in the list, with an empty payload, which core takes for one that cannot be read.
    /// Left out, it would not count towards the limit of sessions. As an error, it would hide the owner's other sessions, and
    /// under a limit of sessions keep the owner from logging in.
    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let listed = self.store.list(owner).await?;
        let keys = self.keys.now();
        let opened = |(id, loaded): (SessionId, Loaded)| {
            let unreadable = loaded.clone().with_payload(Bytes::new());
            (id, seal::open(&keys, &self.context, &id, loaded).unwrap_or(unreadable))
        };
        Ok(listed.into_iter().map(opened).collect())
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.store.revoke(owner, keep).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.store.purge(limit).await
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        let payload = self.seal(id, entry)?;
        let entry = entry.with_payload(&payload);
        let loaded = self.store.create_then_load(id, entry, expires_in, ends_in, then).await?;
        Ok(loaded.and_then(|loaded| self.open(then, loaded)))
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}
