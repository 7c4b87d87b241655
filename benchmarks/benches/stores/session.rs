//! The sessions that are measured.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store};

use crate::table::{Plain, Table};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The size of a session of a few values, in bytes.
pub(crate) const PAYLOAD: usize = 300;

/// The owner of all measured sessions.
pub(crate) static OWNER: LazyLock<Owner> = LazyLock::new(|| Owner::from(42));

/// A session, and what the store knows of it.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    writes: u64,
    /// The size of its payload.
    size: usize,
}

impl Session {
    pub(crate) fn new(number: usize) -> Self {
        Self::sized(number, PAYLOAD)
    }

    /// A session with a payload of this size.
    pub(crate) fn sized(number: usize, size: usize) -> Self {
        let number = number as u64;
        // The ids are spread like random ones.
        let half = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).to_be_bytes();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&half(number));
        id[8..].copy_from_slice(&half(!number));
        Self { id: SessionId::from_bytes(id), writes: 0, size }
    }

    /// The same session for the driver, under another revision, so that the two never write the same payload.
    pub(crate) fn beside(self) -> Self {
        Self { writes: 1 << 63, ..self }
    }

    fn revision(self) -> Revision {
        Revision::from_bytes(self.writes.to_be_bytes())
    }

    /// A payload that is never the same twice, because a server that sees no change writes nothing.
    fn payload(self) -> Vec<u8> {
        let mut payload = vec![b'x'; self.size];
        payload[..8].copy_from_slice(&self.writes.to_be_bytes());
        payload
    }

    fn written(self) -> Self {
        Self { writes: self.writes + 1, ..self }
    }

    /// Creates it in the store.
    pub(crate) async fn create(self, store: &impl Store) {
        self.create_for(HOUR, store).await;
    }

    /// The same for this long, unless it is used.
    pub(crate) async fn create_for(self, life: Duration, store: &impl Store) {
        let payload = self.payload();
        let entry = Entry::new(self.revision(), &payload).with_owner(Some(&OWNER));
        store.create(&self.id, entry, life, HOUR).await.unwrap();
    }

    pub(crate) async fn load<T: Table>(self, table: T) -> Self {
        let loaded = table.reading().load(&self.id).await.unwrap().unwrap();
        assert_eq!(loaded.payload.len(), self.size);
        self
    }

    pub(crate) async fn read<T: Plain>(self, table: T) -> Self {
        assert_eq!(table.read(&self.id).await.len(), self.size);
        self
    }

    pub(crate) async fn replace<T: Table>(self, table: T) -> Self {
        let next = self.written();
        let payload = next.payload();
        let entry = Entry::new(next.revision(), &payload).with_owner(Some(&OWNER));
        let expected = self.revision();
        assert!(table.store().replace(&self.id, expected, entry, Expiry::Extend(HOUR)).await.unwrap());
        next
    }

    pub(crate) async fn write<T: Plain>(self, table: T) -> Self {
        let next = self.written();
        table.write(&self.id, &next.payload()).await;
        next
    }
}

/// Times a few calls, one after the other.
pub(crate) async fn time(times: u32, mut call: impl AsyncFnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        call().await;
    }
    start.elapsed()
}
