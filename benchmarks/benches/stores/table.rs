//! The traits of a backend that is measured.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use session_core::{Entry, Owner, Revision, SessionId, Store};

use crate::session::{PAYLOAD, Session};

/// A database of one kind, with nothing in it.
pub(crate) trait Backend {
    /// The name of its benchmarks.
    const NAME: &'static str;

    /// Whether expired sessions are there until the store purges them.
    const PURGES: bool = true;

    type Table: Table;

    async fn start(disk: Disk) -> Self;

    /// The ids of the processes whose CPU time counts: those of its server, or this one if it has none.
    fn processes(&self) -> Vec<u32> {
        vec![std::process::id()]
    }

    /// A new table of this name, or what the backend has in place of tables.
    async fn table(&self, name: &str) -> Self::Table;
}

/// Whether a write is answered before it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Waits,
    DoesNotWait,
}

/// A store on a table of its own.
pub(crate) trait Table: Clone + Send + Sync + 'static {
    type Store: Store;

    fn store(&self) -> &Self::Store;

    /// The store for reads. It may have other connections than the one for writes.
    fn reading(&self) -> &Self::Store {
        self.store()
    }

    /// Puts this many more sessions into the table, ten for each owner, in the fastest way there is.
    async fn fill(&self, sessions: u32, life: Life);

    /// Does the work now that the server would do by itself a while after the table was filled.
    async fn settle(&self);
}

/// Whether sessions are to be live for an hour, or to have expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Live,
    Expired,
}

impl Life {
    /// How long they are to live, in milliseconds.
    pub(crate) fn milliseconds(self) -> i64 {
        match self {
            Self::Live => 3_600_000,
            Self::Expired => -60_000,
        }
    }
}

/// Puts sessions into a store by its own means, many at once. They live for the given time.
pub(crate) async fn create(store: &impl Store, sessions: u32, life: Duration) {
    let create = async |number: u32| {
        let owner = Owner::try_from(format!("owner {}", number / 10)).unwrap();
        let entry = Entry::new(Revision::from_bytes([0; 8]), &[0; PAYLOAD]).with_owner(Some(&owner));
        store.create(&id(), entry, life, life).await.unwrap();
    };
    stream::iter(0..sessions).map(create).buffer_unordered(64).collect::<Vec<_>>().await;
}

/// An id that no measured session has.
pub(crate) fn id() -> SessionId {
    static NUMBERS: AtomicUsize = AtomicUsize::new(1 << 20);
    Session::new(NUMBERS.fetch_add(1, Ordering::Relaxed)).id
}

/// A table that the driver alone can read and write, too.
pub(crate) trait Plain: Table {
    /// Reads a session's payload.
    fn read(&self, id: &SessionId) -> impl Future<Output = Vec<u8>> + Send;

    /// Writes a session's payload.
    fn write(&self, id: &SessionId, payload: &[u8]) -> impl Future<Output = ()> + Send;
}
