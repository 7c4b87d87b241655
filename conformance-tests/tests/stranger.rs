//! A stranger's store: one sorted map behind one lock. It is shown in the crate's documentation, and proven here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use session_conformance::{Subject, async_trait, store_tests};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};

#[derive(Debug)]
struct MapStore {
    rows: Mutex<BTreeMap<SessionId, Row>>,
    opened: Instant,
}

#[derive(Debug)]
struct Row {
    revision: Revision,
    payload: Bytes,
    owner: Option<Owner>,
    // Whole milliseconds since the store was opened.
    expires_at: u64,
    ends_at: u64,
}

impl MapStore {
    fn open() -> Self {
        Self { rows: Mutex::default(), opened: Instant::now() }
    }

    /// The locked rows, and the time. The clock is read under the lock, so a write that waited too long does nothing.
    fn enter(&self) -> (MutexGuard<'_, BTreeMap<SessionId, Row>>, u64) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        (rows, milliseconds(self.opened.elapsed()))
    }
}

fn milliseconds(time: Duration) -> u64 {
    // At most 279 years, so that adding them to now does not overflow.
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(1 << 43)
}

impl Row {
    fn new(entry: Entry<'_>, expires_at: u64, ends_at: u64) -> Self {
        let payload = entry.to_bytes();
        Self { revision: entry.revision, payload, owner: entry.owner.cloned(), expires_at, ends_at }
    }

    fn is_live(&self, now: u64) -> bool {
        self.expires_at.min(self.ends_at) > now
    }

    fn is_at(&self, expected: Revision, now: u64) -> bool {
        self.is_live(now) && self.revision == expected
    }

    fn loaded(&self, now: u64) -> Loaded {
        let ends_in = Duration::from_millis(self.ends_at - now);
        let expires_in = Duration::from_millis(self.expires_at - now).min(ends_in);
        Loaded::new(self.revision, self.payload.clone(), expires_in, ends_in)
    }
}

#[async_trait]
impl Store for MapStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let (mut rows, now) = self.enter();
        if rows.get(id).is_some_and(|row| row.is_live(now)) {
            return Err(StoreError::AlreadyExists);
        }
        rows.insert(*id, Row::new(entry, now + milliseconds(expires_in), now + milliseconds(ends_in)));
        Ok(())
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let (rows, now) = self.enter();
        Ok(rows.get(id).filter(|row| row.is_live(now)).map(|row| row.loaded(now)))
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let (mut rows, now) = self.enter();
        let Some(row) = rows.get_mut(id).filter(|row| row.is_at(expected, now)) else { return Ok(false) };
        let old = (row.owner.take(), row.expires_at, row.ends_at);
        *row = match expiry {
            Expiry::Keep => Row { owner: old.0, ..Row::new(entry, old.1, old.2) },
            Expiry::Extend(time) => Row { owner: old.0, ..Row::new(entry, now + milliseconds(time), old.2) },
            Expiry::Restart { expires_in, ends_in } => {
                Row::new(entry, now + milliseconds(expires_in), now + milliseconds(ends_in))
            }
        };
        Ok(true)
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let (mut rows, now) = self.enter();
        let Some(row) = rows.get_mut(id).filter(|row| row.is_at(expected, now)) else { return Ok(false) };
        row.expires_at = now + milliseconds(expires_in);
        Ok(true)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let (mut rows, now) = self.enter();
        let found = rows.get(id).is_some_and(|row| row.is_at(expected, now));
        Ok(found && rows.remove(id).is_some())
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let (rows, now) = self.enter();
        let theirs = rows.iter().filter(|(_, row)| row.is_live(now) && row.owner.as_ref() == Some(owner));
        Ok(theirs.map(|(id, row)| (*id, row.loaded(now))).collect())
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let (mut rows, now) = self.enter();
        let mut live = 0;
        rows.retain(|id, row| {
            let ends = row.owner.as_ref() == Some(owner) && keep != Some(id);
            live += u64::from(ends && row.is_live(now));
            !ends
        });
        Ok(live)
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        let (mut rows, now) = self.enter();
        let mut left = limit;
        rows.retain(|_, row| {
            let goes = left > 0 && !row.is_live(now);
            left -= u32::from(goes);
            !goes
        });
        Ok(u64::from(limit - left))
    }
}

// Its sessions are in this process alone. So who opens a namespace again gets the same store.
#[derive(Default)]
struct Mine(Mutex<BTreeMap<String, Arc<MapStore>>>);

#[async_trait]
impl Subject for Mine {
    type Store = Arc<MapStore>;

    async fn open(&self, namespace: &str) -> Arc<MapStore> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(opened.entry(namespace.to_owned()).or_insert_with(|| Arc::new(MapStore::open())))
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

store_tests!(Mine::default());
