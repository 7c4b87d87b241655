//! The contract between the session logic and a database.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{Owner, RandomnessError, SessionId};

mod entry;
mod error;
mod namespace;
mod observed;
mod patience;
mod purge;
mod purpose;
mod schema;
mod shared;
mod write;
mod writers;

pub use self::{
    entry::{Entry, Expiry, Loaded},
    error::{StoreError, StoreErrorSource},
    namespace::{InvalidNamespace, Namespace},
    purge::PurgeTask,
    purpose::Purpose,
    schema::SchemaError,
    shared::SharedTrips,
};
pub(crate) use self::{
    observed::Observed,
    patience::{CREATIONS, MERGES, Patience, PatientStore, SENDINGS},
    write::{Settled, Write, read},
    writers::{Joins, Next, Told, Unsent, Way, Writer, Writers},
};

/// A register per session: the contract that every database crate keeps.
///
/// A store keeps, for each [`SessionId`], an opaque payload with its [`Revision`], an expiry, an end and perhaps an
/// [`Owner`]. It never sees a secret and never decodes a payload. Merging, rotation, login and theft detection are
/// written once, in this crate, over these eight methods.
///
/// # Contract
///
/// - Only [`create`](Store::create) makes a session appear.
/// - Each method on one id is **one atomic step** in the database, and one round trip.
/// - A load sees each write that was answered before it began, in whatever process. It never reads from a replica that lags.
/// - A write that was answered outlives its process, unless the store is the memory of that process. Several processes may
///   start at once, and while others write.
/// - Times are passed and returned as durations from now. The database's clock turns them into instants and decides
///   what has expired; the application's clock decides nothing. The database keeps instants no more exactly than the
///   durations that it answers, so that two readers agree which of two sessions is older.
/// - A session is *live* until its expiry, exactly. A load never returns an expired one, also if it is not deleted yet. A
///   write that waited on a lock until after the expiry does nothing. The expiry is always the earlier of the given
///   `expires_in` and the end.
/// - The store keeps the end itself. Only [`Expiry::Restart`] moves it.
/// - The owner changes only with [`Expiry::Restart`].
/// - A method ends in its own time, with [`StoreError::TimedOut`]. The core waits for it until it has failed once.
/// - A method sends its write once. Neither the store nor its driver repeats it, unless the server itself recognises
///   the repetition or says that nothing was applied (a deadlock's victim, a serialization failure).
/// - Durations run from zero to [`Duration::MAX`]. A zero duration expires the session at once: the write succeeds, and the
///   session is over. A duration of more than 400 days may be cut to 400, and must not overflow.
/// - A store never makes room by losing a live session, its entry in an index, or a row without an owner. Such a row is the
///   epoch of a user, by which "log out everywhere" reaches a login that is under way. If the database may evict rows, and
///   tells, the store refuses it when it connects, or warns. A full database refuses the write.
/// - Payloads are binary safe, from 0 bytes to 1 MiB. Two ids or owners that differ in one bit differ.
///
/// # How the contract may grow
///
/// A store that is written today compiles and passes the kit with every later 0.1 version.
///
/// - No method is added without a default body, and a default body never breaks a clause of this contract. It answers by
///   the eight methods, or says that the store cannot do it. So a ninth method leaves your store as it is, at most
///   slower. A method that can have no such body needs a breaking version.
/// - [`Entry`], [`Loaded`], [`Purpose`] and [`StoreError`] may get fields and variants. Read the fields that you know, and
///   make a [`Loaded`] with [`Loaded::new`].
/// - [`Expiry`] gets none: a store that does not know what to do to an expiry must not compile.
/// - [`backend`](Store::backend) and [`create_then_load`](Store::create_then_load) are such methods.
/// - A wrapper hands each [`Entry`] on as it got it, or by [`Entry::with_payload`]. So fields that it does not know arrive.
///   It has to implement a new method, too: the default body would not call the method of the store that it wraps.
///
/// # Cancellation
///
/// Dropping a method's future means that it happened wholly or not at all, and the next call works. A `revoke` or `purge` may
/// have deleted some sessions and not others, each wholly.
///
/// # Examples
///
/// A store is written with plain `async fn`s under [`#[async_trait]`](crate::async_trait); without the attribute the
/// compiler refuses each method with E0195.
///
/// ```
/// use std::time::Duration;
///
/// use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};
///
/// #[derive(Debug)]
/// struct Mine;
///
/// #[async_trait]
/// impl Store for Mine {
///     async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
///         # let _ = id;
///         Ok(None) // here what the database has under this id, if it is live
///     }
///     // … and seven more
///     # async fn create(&self, _: &SessionId, _: Entry<'_>, _: Duration, _: Duration) -> Result<(), StoreError> { Ok(()) }
///     # async fn replace(&self, _: &SessionId, _: Revision, _: Entry<'_>, _: Expiry) -> Result<bool, StoreError> { Ok(false) }
///     # async fn touch(&self, _: &SessionId, _: Revision, _: Duration) -> Result<bool, StoreError> { Ok(false) }
///     # async fn delete(&self, _: &SessionId, _: Revision) -> Result<bool, StoreError> { Ok(false) }
///     # async fn list(&self, _: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> { Ok(Vec::new()) }
///     # async fn revoke(&self, _: &Owner, _: Option<&SessionId>) -> Result<u64, StoreError> { Ok(0) }
///     # async fn purge(&self, _: u32) -> Result<u64, StoreError> { Ok(0) }
/// }
/// ```
///
/// A whole one in one file is `tests/stranger.rs` of `session-conformance`, the kit that proves yours.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Makes the session, unless a live one has this id.
    ///
    /// A row that has expired is overwritten as if it were not there. A store that has little room left may refuse a session
    /// of a visitor: the entry's [`purpose`](Entry::purpose) tells which those are.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] if a live session has this id, which is then untouched. After any other error the
    /// outcome is unknown.
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError>;

    /// Returns the live session, never an expired one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row cannot be read as one of this store's; any other if the database fails.
    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError>;

    /// Replaces the entry if the session is live and its revision is `expected`; `false` if not.
    ///
    /// # Errors
    ///
    /// After any error the outcome is unknown.
    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError>;

    /// Moves the expiry, never past the end, if the session is live and its revision is `expected`; `false` if not.
    ///
    /// The revision, payload and owner stay as they are.
    ///
    /// # Errors
    ///
    /// After any error the outcome is unknown.
    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError>;

    /// Deletes the session if it is live and its revision is `expected`; `false` if not.
    ///
    /// # Errors
    ///
    /// After any error the outcome is unknown.
    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError>;

    /// Returns the owner's live sessions. All durations are of one instant.
    ///
    /// It covers every session that was the owner's when it was called and still is. One that is created during the
    /// call may be missed.
    ///
    /// # Errors
    ///
    /// Any but [`StoreError::AlreadyExists`], if the database fails. [`StoreError::Corrupt`] if one of the sessions cannot be
    /// read.
    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError>;

    /// Deletes the owner's sessions but `keep`, and returns how many live ones it deleted.
    ///
    /// It covers every session that was the owner's when it was called and still is. One that is created during the
    /// call may be missed. What has expired may stay until the [`purge`](Store::purge).
    ///
    /// # Errors
    ///
    /// After any error some sessions may be gone, others not. One that cannot be read or deleted must not keep the others.
    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError>;

    /// Deletes at most `limit` expired sessions and returns how many: `0` when none is left, or where the database
    /// expires them by itself.
    ///
    /// # Errors
    ///
    /// Any but [`StoreError::AlreadyExists`], if the database fails; the next call goes on.
    async fn purge(&self, limit: u32) -> Result<u64, StoreError>;

    /// Makes the session as [`create`](Store::create) does, and then loads the one under `then`, which may be the same.
    ///
    /// The load begins after the session was made, so it sees all that was stored before that. Each of the two is an atomic
    /// step of its own.
    ///
    /// A login needs this: it makes its session and then looks whether the owner has logged out everywhere since it began. In
    /// the other order it would miss a "log out everywhere" in between. Leave this method as it is, unless your database
    /// can do both in one round trip and never loads first.
    ///
    /// # Errors
    ///
    /// The outer error is that of the `create`, and then nothing is loaded. The inner one is that of the load: the
    /// session was made all the same.
    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        self.create(id, entry, expires_in, ends_in).await?;
        Ok(self.load(then).await)
    }

    /// The name of the database, such as `redis`: the one that the store's errors have. It is a label of metrics and a field
    /// of spans, so it is one of few. A store around a store hands on that of the store within.
    fn backend(&self) -> &'static str {
        "other"
    }
}

/// The name of one write: 8 random bytes that the writer chose. Two different writes never share one. The same write, sent
/// twice, has the same revision both times.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; 8]);

impl Revision {
    /// The revision with these bytes: for stores, which read it back, and for tests.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    pub(crate) fn random() -> Result<Self, RandomnessError> {
        crate::request::random().map(Self)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({:016x})", u64::from_be_bytes(self.0))
    }
}

macro_rules! store_behind {
    ($pointer:ident) => {
        #[async_trait]
        impl<S: Store + ?Sized> Store for $pointer<S> {
            async fn create(
                &self,
                id: &SessionId,
                entry: Entry<'_>,
                expires_in: Duration,
                ends_in: Duration,
            ) -> Result<(), StoreError> {
                (**self).create(id, entry, expires_in, ends_in).await
            }

            async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
                (**self).load(id).await
            }

            async fn replace(
                &self,
                id: &SessionId,
                expected: Revision,
                entry: Entry<'_>,
                expiry: Expiry,
            ) -> Result<bool, StoreError> {
                (**self).replace(id, expected, entry, expiry).await
            }

            async fn touch(
                &self,
                id: &SessionId,
                expected: Revision,
                expires_in: Duration,
            ) -> Result<bool, StoreError> {
                (**self).touch(id, expected, expires_in).await
            }

            async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
                (**self).delete(id, expected).await
            }

            async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
                (**self).list(owner).await
            }

            async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
                (**self).revoke(owner, keep).await
            }

            async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
                (**self).purge(limit).await
            }

            async fn create_then_load(
                &self,
                id: &SessionId,
                entry: Entry<'_>,
                expires_in: Duration,
                ends_in: Duration,
                then: &SessionId,
            ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
                (**self).create_then_load(id, entry, expires_in, ends_in, then).await
            }

            fn backend(&self) -> &'static str {
                (**self).backend()
            }
        }
    };
}

store_behind!(Arc);
store_behind!(Box);
