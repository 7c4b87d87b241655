//! What a store is given to write, and what it answers.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Owner, Purpose, Revision};

/// What is written: the payload under the revision that the writer chose, and the owner.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The revision that this write gives the session.
    pub revision: Revision,
    /// The encoded session, opaque to the store.
    pub payload: &'a [u8],
    /// The user that the session belongs to, if somebody is logged in.
    pub owner: Option<&'a Owner>,
    /// Whether a new session is for a visitor or for a login.
    pub purpose: Purpose,
}

impl<'a> Entry<'a> {
    /// An entry without an owner.
    #[must_use]
    pub fn new(revision: Revision, payload: &'a [u8]) -> Self {
        Self { revision, payload, owner: None, purpose: Purpose::Visit }
    }

    /// The same entry with this owner.
    #[must_use]
    pub fn with_owner(self, owner: Option<&'a Owner>) -> Self {
        Self { owner, ..self }
    }

    /// The same entry with this purpose.
    #[must_use]
    pub fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    /// The same entry with this payload: what a wrapper that encrypts needs.
    #[must_use]
    pub fn with_payload<'b>(self, payload: &'b [u8]) -> Entry<'b>
    where
        'a: 'b,
    {
        Entry { payload, ..self }
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, payload, owner, purpose } = self;
        write!(f, "Entry({revision:?}, {} bytes, owner {owner:?}, {purpose:?})", payload.len())
    }
}

/// What a [`Store::replace`](crate::Store::replace) does to the expiry and the end.
///
/// No 0.1 version adds a variant: see [how the contract may grow](crate::Store#how-the-contract-may-grow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Leaves both as they are in the store, also if another request has just moved one. For writes that do not count as use
    /// of the session, such as a rotation.
    Keep,
    /// Moves the expiry to this time from now, never past the end.
    Extend(Duration),
    /// Begins a new lifetime: a login.
    Restart {
        /// The new expiry, from now.
        expires_in: Duration,
        /// The new end, from now.
        ends_in: Duration,
    },
}

/// A live session as the store holds it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The revision of the last write.
    pub revision: Revision,
    /// The payload of the last write.
    pub payload: Bytes,
    /// How long until the session expires, unless it is touched. Never longer than `ends_in`.
    pub expires_in: Duration,
    /// How long until the session ends, whatever happens.
    pub ends_in: Duration,
}

impl Loaded {
    /// A live session: what [`Store::load`](crate::Store::load) answers. `expires_in` and `ends_in` count from now.
    #[must_use]
    pub fn new(revision: Revision, payload: Bytes, expires_in: Duration, ends_in: Duration) -> Self {
        Self { revision, payload, expires_in, ends_in }
    }

    /// The same session with this payload: what a wrapper that decrypts needs.
    #[must_use]
    pub fn with_payload(self, payload: Bytes) -> Self {
        Self { payload, ..self }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, payload, expires_in, ends_in } = self;
        write!(f, "Loaded({revision:?}, {} bytes, expires in {expires_in:?}, ends in {ends_in:?})", payload.len())
    }
}
