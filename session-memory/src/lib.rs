//! Sessions in the memory of one process. They serve tests, development, and a service of one process that may forget
//! its sessions when it restarts.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use session_core::{Keyring, SessionManager};
//! use session_memory::MemoryStore;
//!
//! # async fn sessions(keys: Keyring) -> SessionManager {
//! let store = MemoryStore::with_capacity(50_000);
//! let manager = SessionManager::new(store, keys);
//! manager.purge_every(Duration::from_secs(60)); // a task
//! # manager
//! # }
//! ```
//!
//! The manager goes into the layer of your framework: for axum, `session_tower::SessionLayer::new(manager)`. The keys sign the
//! cookies: `openssl rand -base64 32` makes one, and [`Key::from_base64`](session_core::Key::from_base64) reads it. On your own
//! machine [`SessionManager::development`](session_core::SessionManager::development) needs none.
//!
//! [`MemoryStore`] is the only type to know; [`CapacityReached`] is its error when it is full. It is also the reference
//! for how a store behaves. It does **not** write to disk, and two processes never share one.
//!
//! # Testing your application
//!
//! A test of a timeout of an hour does not take an hour. Keep a clone of the store, which is another handle on the same
//! sessions, and move its clock:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use session_core::{Error, Incoming, SessionManager};
//! use session_memory::MemoryStore;
//!
//! /// What a page of your application does. In your test, send it a request.
//! async fn is_logged_in(manager: &SessionManager, cookie: &str) -> Result<bool, Error> {
//!     let exchange = manager.open(Incoming::new([cookie.as_bytes()]));
//!     let is_logged_in = exchange.session().await?.owner().is_some();
//!     exchange.commit().await?;
//!     Ok(is_logged_in)
//! }
//!
//! let clock = MemoryStore::new();
//! let manager = SessionManager::development(clock.clone());
//! let cookie = manager.login_for_tests(42).await?;
//!
//! clock.advance(Duration::from_secs(59 * 60));
//! assert!(is_logged_in(&manager, &cookie).await?); // a use: another hour begins
//! clock.advance(Duration::from_secs(59 * 60));
//! assert!(is_logged_in(&manager, &cookie).await?);
//! clock.advance(Duration::from_secs(61 * 60));
//! assert!(!is_logged_in(&manager, &cookie).await?, "idle for an hour");
//! # Ok(())
//! # }
//! ```
//!
//! - Nothing sleeps, and no runtime needs to be paused. Time passes as usual, and [`advance`](MemoryStore::advance)
//!   adds to it.
//! - The clock is the store's alone, as a database's would be. Every decision about a session is taken on it, so
//!   timeouts, rotation and revocation all follow it.
//! - Each test makes its own store; they never meet.
//!
//! # Errors, and what is lost
//!
//! The only error is [`StoreError::Unavailable`] with [`CapacityReached`], when all sessions in a
//! full store are live. The last quarter of the room is kept for logins. When the process ends, every session is lost. There is
//! no clustering: `session-sqlite` shares a file between the processes of a machine, and the other stores are for several
//! machines.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod owners;
mod purge;
mod shard;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{Entry, Expiry, Loaded, Owner, Purpose, Revision, SessionId, Store, StoreError, async_trait};

use crate::{
    owners::Owners,
    shard::{Row, Shard},
};

const BACKEND: &str = "memory";
const SHARDS: usize = 64;

/// The sessions of one process.
///
/// Cloning makes another handle on the same sessions. Expiry is exact to the millisecond, on a monotonic clock. Listing
/// and revoking look at the owner's own sessions only, purging at the expired ones only.
///
/// It is bounded. When it is full, expired sessions are deleted to make room. If all are live, a new session is refused
/// with [`StoreError::Unavailable`]; a live session is never dropped. The last quarter of the room is kept for logins.
/// So visitors who fill the rest cannot keep anybody from logging in, or from logging out everywhere.
///
/// # Examples
///
/// ```
/// use session_memory::MemoryStore;
///
/// let store = MemoryStore::with_capacity(50_000);
/// let same = store.clone();
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Sessions>);

/// Locks are always taken in this order: one shard, then one part of the index.
struct Sessions {
    shards: Box<[Mutex<Shard>]>,
    owners: Owners,
    /// How many rows there are, expired ones included.
    held: AtomicUsize,
    capacity: usize,
    started: Instant,
    /// Milliseconds that `advance` has added.
    advanced: AtomicU64,
}

impl MemoryStore {
    /// How many sessions [`new`](Self::new) has room for.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// An empty store with room for a million sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// An empty store with room for this many sessions. Nothing is allocated beforehand.
    ///
    /// It takes at most the capacity times the size of a session. The session policy bounds that size.
    #[must_use]
    pub fn with_capacity(sessions: usize) -> Self {
        Self(Arc::new(Sessions {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            owners: Owners::new(),
            held: AtomicUsize::new(0),
            capacity: sessions,
            started: Instant::now(),
            advanced: AtomicU64::new(0),
        }))
    }

    /// Moves the clock of this store and all its clones forward by whole milliseconds, in addition to the time that
    /// passes anyway. It is for tests.
    pub fn advance(&self, time: Duration) {
        self.0.advanced.fetch_add(milliseconds(time), Ordering::SeqCst);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.0.held.load(Ordering::Relaxed))
            .field("capacity", &self.0.capacity)
            .finish()
    }
}

/// Why a full store refuses a new session: every session it holds is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {room} live sessions or more, and no room for another one (room for {kept} is kept for logins)")]
pub struct CapacityReached {
    room: usize,
    kept: usize,
}

// No method awaits. Each is one critical section (`list`, `revoke` and `purge`: one for each session or shard), so a
// dropped future has happened wholly or not at all. The clock is read inside the section: a write that waited for the
// lock until after the expiry must do nothing.
#[async_trait]
impl Store for MemoryStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let payload = entry.to_bytes();
        let room = self.0.room(entry);
        loop {
            {
                let mut shard = self.0.shard(id);
                let now = self.0.now();
                if shard.live(id, now).is_some() {
                    return Err(StoreError::AlreadyExists);
                }
                self.0.remove(&mut shard, id);
                if self.0.take_place(room) {
                    let ends_at = after(now, ends_in);
                    let expires_at = after(now, expires_in).min(ends_at);
                    let owner = entry.owner.cloned();
                    shard.insert(*id, Row::new(entry.revision, payload, owner, expires_at, ends_at));
                    self.0.owners.change(id, None, entry.owner);
                    return Ok(());
                }
            }
            if !self.0.make_room() {
                let kept = self.0.capacity - room;
                return Err(StoreError::unavailable(BACKEND, CapacityReached { room, kept }));
            }
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let shard = self.0.shard(id);
        let now = self.0.now();
        Ok(shard.live(id, now).map(|row| row.loaded(now)))
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let payload = entry.to_bytes();
        let mut shard = self.0.shard(id);
        let now = self.0.now();
        let Some((row, sweeps)) = shard.at_revision(id, expected, now) else { return Ok(false) };
        row.revision = entry.revision;
        row.payload = payload;
        match expiry {
            Expiry::Keep => {}
            Expiry::Extend(expires_in) => row.expire(id, after(now, expires_in), sweeps),
            Expiry::Restart { expires_in, ends_in } => {
                row.ends_at = after(now, ends_in);
                row.expire(id, after(now, expires_in), sweeps);
                self.0.owners.change(id, row.owner.as_ref(), entry.owner);
                row.owner = entry.owner.cloned();
            }
        }
        Ok(true)
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let mut shard = self.0.shard(id);
        let now = self.0.now();
        let Some((row, sweeps)) = shard.at_revision(id, expected, now) else { return Ok(false) };
        row.expire(id, after(now, expires_in), sweeps);
        Ok(true)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let mut shard = self.0.shard(id);
        let now = self.0.now();
        if shard.at_revision(id, expected, now).is_none() {
            return Ok(false);
        }
        self.0.remove(&mut shard, id);
        Ok(true)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let ids = self.0.owners.sessions(owner);
        let now = self.0.now();
        let loaded = |id| {
            let shard = self.0.shard(&id);
            let row = shard.live(&id, now).filter(|row| row.owner.as_ref() == Some(owner))?;
            Some((id, row.loaded(now)))
        };
        Ok(ids.into_iter().filter_map(loaded).collect())
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let mut revoked = 0;
        for id in self.0.owners.sessions(owner).iter().filter(|id| keep != Some(id)) {
            let mut shard = self.0.shard(id);
            let now = self.0.now();
            if shard.live(id, now).is_some_and(|row| row.owner.as_ref() == Some(owner)) {
                self.0.remove(&mut shard, id);
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(self.0.delete_expired(limit))
    }

    fn backend(&self) -> &'static str {
        BACKEND
    }
}

impl Sessions {
    /// The time since the store was made, in whole milliseconds. It is no finer than the durations that a load answers,
    /// so two readers agree which of two sessions is older.
    fn now(&self) -> u64 {
        milliseconds(self.started.elapsed()).saturating_add(self.advanced.load(Ordering::SeqCst))
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, Shard> {
        enter(&self.shards[usize::from(id.as_bytes()[0]) % SHARDS])
    }

    /// Removes the row, if there is one, live or expired.
    fn remove(&self, shard: &mut Shard, id: &SessionId) {
        if let Some(row) = shard.remove(id) {
            self.owners.change(id, row.owner.as_ref(), None);
            self.held.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// How full the store may be for this session to be made: a session for a login may take the last quarter, too.
    fn room(&self, entry: Entry<'_>) -> usize {
        match (entry.purpose, entry.owner) {
            (Purpose::Visit, None) => self.capacity - self.capacity / 4,
            _ => self.capacity,
        }
    }

    fn take_place(&self, room: usize) -> bool {
        let one_more = |held| (held < room).then_some(held + 1);
        self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }
}

/// Enters a lock, even one that a panic has poisoned: no critical section here leaves anything half done.
fn enter<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn after(now: u64, time: Duration) -> u64 {
    now.saturating_add(milliseconds(time))
}

/// Whole milliseconds, at most 2^43 of them (279 years), so that adding a few never overflows.
fn milliseconds(time: Duration) -> u64 {
    const LONGEST: u64 = 1 << 43;
    u64::try_from(time.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}
