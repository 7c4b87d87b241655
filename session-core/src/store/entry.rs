//! What a store is given to write, and what it answers.

use std::{fmt, ptr, time::Duration};

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
    /// The payload, if it is one that can be shared.
    shared: Option<&'a Bytes>,
}

impl<'a> Entry<'a> {
    /// An entry without an owner.
    #[must_use]
    pub fn new(revision: Revision, payload: &'a [u8]) -> Self {
        Self { revision, payload, owner: None, purpose: Purpose::Visit, shared: None }
    }

    /// The same as [`new`](Self::new), of a payload that the store can keep without a copy: see
    /// [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub fn shared(revision: Revision, payload: &'a Bytes) -> Self {
        Self { shared: Some(payload), ..Self::new(revision, payload) }
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
        Entry { payload, shared: None, ..self }
    }

    /// The payload for a store that keeps it, or that hands it to another task. Core shares what it has encoded, so this
    /// copies nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use session_core::{Entry, Revision};
    ///
    /// let payload = Bytes::from(vec![7; 500_000]);
    /// let entry = Entry::shared(Revision::from_bytes([1; 8]), &payload);
    /// assert_eq!(entry.to_bytes().as_ptr(), payload.as_ptr());
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        // The payload is a public field, so it may have been set since.
        let shared = self.shared.filter(|shared| ptr::eq(&***shared, self.payload));
        shared.map_or_else(|| Bytes::copy_from_slice(self.payload), Bytes::clone)
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, payload, owner, purpose, .. } = self;
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
    /// Moves the expiry to this time from now, never past the end. It may be nearer than before.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_whose_payload_was_changed_shares_no_other() {
        let revision = Revision::from_bytes([1; 8]);
        let shared = Bytes::from(vec![7; 100]);
        let entry = Entry::shared(revision, &shared);
        assert_eq!(entry.to_bytes().as_ptr(), shared.as_ptr());
        let sealed = entry.with_payload(b"sealed");
        assert_eq!(sealed.to_bytes(), "sealed");
        assert_eq!(Entry { payload: &shared[..50], ..entry }.to_bytes(), &shared[..50]);
        assert_eq!(Entry::new(revision, b"payload").to_bytes(), "payload");
    }
}
