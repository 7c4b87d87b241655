//! Encryption at rest: a `Store` around a `Store`. It seals each payload and binds it to its session.
//!
//! ```text
//! cargo run -p session-core --example encrypting_store
//! ```

use std::{error::Error, fmt, io, time::Duration};

use bytes::Bytes;
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rand::{TryRng, rngs::SysRng};
use session_core::{
    Entry, Expiry, Incoming, Loaded, Owner, Revision, SessionId, SessionManager, Store, StoreError, async_trait,
};
use session_memory::MemoryStore;

const NONCE: usize = 24;

/// A store that seals the payloads of the inner store.
struct Sealed<S> {
    inner: S,
    cipher: XChaCha20Poly1305,
}

impl<S> Sealed<S> {
    fn new(inner: S, key: &[u8; 32]) -> Self {
        Self { inner, cipher: XChaCha20Poly1305::new(&Key::from(*key)) }
    }

    fn seal(&self, id: &SessionId, payload: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        let failed = |text| StoreError::backend("sealed", io::Error::other(text));
        SysRng.try_fill_bytes(&mut nonce).map_err(|_| failed("no randomness"))?;
        let bound = Payload { msg: payload, aad: id.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), bound).map_err(|_| failed("too long"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, id: &SessionId, mut loaded: Loaded) -> Result<Loaded, StoreError> {
        let opened = loaded.payload.split_first_chunk::<NONCE>().and_then(|(nonce, sealed)| {
            let bound = Payload { msg: sealed, aad: id.as_bytes() };
            self.cipher.decrypt(&XNonce::from(*nonce), bound).ok()
        });
        // The seal is of another key, or of another session. This is an error, and the row is left as it is.
        let broken = || StoreError::corrupt("sealed", io::Error::other("the seal is broken"));
        loaded.payload = opened.ok_or_else(broken)?.into();
        Ok(loaded)
    }
}

impl<S: Store> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Store> Store for Sealed<S> {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let payload = self.seal(id, entry.payload)?;
        self.inner.create(id, entry.with_payload(&payload), expires_in, ends_in).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.inner.load(id).await?.map(|loaded| self.open(id, loaded)).transpose()
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let payload = self.seal(id, entry.payload)?;
        self.inner.replace(id, expected, entry.with_payload(&payload), expiry).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.inner.touch(id, expected, expires_in).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.inner.delete(id, expected).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let listed = self.inner.list(owner).await?;
        // A session whose seal is broken stays in the list, with a payload that cannot be read. It must not keep the
        // owner's other sessions from being listed. Nor may it keep the owner from logging in under a limit of
        // sessions.
        let open = |(id, loaded): (SessionId, Loaded)| {
            let sealed = loaded.clone().with_payload(Bytes::new());
            (id, self.open(&id, loaded).unwrap_or(sealed))
        };
        Ok(listed.into_iter().map(open).collect())
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.inner.revoke(owner, keep).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.inner.purge(limit).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::default();
    let manager = SessionManager::development(Sealed::new(store.clone(), &[7; 32]));
    let exchange = manager.open(Incoming::default());
    let session = exchange.session().await?;
    session.insert("secret", "a word that must not stand in the database")?;
    session.login(42).await?;
    exchange.commit().await?;

    let id = session.id().ok_or("it is stored")?;
    let stored = store.load(&id).await?.ok_or("it is stored")?;
    println!("{} bytes are stored, sealed", stored.payload.len());
    assert!(!stored.payload.windows(4).any(|window| window == b"word"));
    assert_eq!(session.devices().await?.len(), 1);

    let other_key = Sealed::new(store, &[8; 32]);
    assert!(matches!(other_key.load(&id).await, Err(StoreError::Corrupt { .. })));
    assert_eq!(other_key.list(&Owner::from(42)).await?.len(), 1);
    Ok(())
}
