//! The decoded session, and the envelope that a store keeps of it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{Lifetime, Loaded, Owner, Revision, SessionId, StoreError, moment::TimeLeft, request::SecretHash};

mod delta;
mod envelope;
pub(crate) mod format;
mod key_map;
mod revisions;
pub(crate) mod rotation;
mod values;

pub use self::format::Format;
pub(crate) use self::{
    delta::{Delta, Overlay, Updating},
    key_map::{KeyMap, ValueKey},
    revisions::Revisions,
    rotation::Verdict,
    values::Values,
};

pub(crate) use envelope::{length, length_if_any, value_length};

/// How many of its own revisions a record remembers.
pub(crate) const REVISIONS: usize = 8;

/// An age in milliseconds. Negative: before the current lifetime began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(i64);

impl Age {
    pub(crate) const START: Self = Self(0);

    pub(crate) fn of(duration: Duration) -> Self {
        Self(duration.as_millis().try_into().unwrap_or(i64::MAX))
    }

    /// How much older this is.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn after(self, elapsed: Duration) -> Self {
        Self(self.0.saturating_add(Self::of(elapsed).0))
    }

    /// Zero for what was before the beginning.
    pub(crate) fn duration(self) -> Duration {
        Duration::from_millis(self.0.max(0).unsigned_abs())
    }
}

/// The part of a record that is the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Values(Values),
    /// Of a later version, or damaged. It is carried along as it is.
    Unread(Bytes),
}

impl Data {
    pub(crate) fn new() -> Self {
        Self::Values(Values::new())
    }

    /// The values, to be changed.
    pub(crate) fn values(&self) -> Result<&Values, StoreError> {
        match self {
            Self::Values(values) => Ok(values),
            Self::Unread(_) => Err(StoreError::corrupt("the store", UnreadData)),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.values().ok()?.get(key)
    }

    pub(crate) fn remove(&mut self, key: &ValueKey) -> Option<Bytes> {
        match self {
            Self::Values(values) => values.remove(key),
            Self::Unread(_) => None,
        }
    }

    /// In no order. None of what was not read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values().into_iter().flat_map(Values::iter)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values().is_ok_and(Values::is_empty)
    }

    /// How many bytes the value under this key takes. 0: there is none.
    pub(crate) fn length_of(&self, key: &[u8]) -> usize {
        self.values().map_or(0, |values| values.length_of(key))
    }

    /// How many bytes an envelope with this takes at most, but for what was not read.
    pub(crate) fn length(&self) -> usize {
        length(self.values().map_or(0, Values::encoded_length))
    }
}

/// A session as its payload tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) header: Header,
    pub(crate) data: Data,
}

/// The part that the security decisions are taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Counts logins and renewals.
    pub(crate) generation: u32,
    /// When this generation began.
    pub(crate) generation_began: Age,
    /// The last promotion or change of generation.
    pub(crate) rotated: Age,
    pub(crate) secret: SecretHash,
    /// The successor that was derived and not yet seen.
    pub(crate) pending: Option<Pending>,
    /// The secret that the last promotion replaced.
    pub(crate) retired: Option<SecretHash>,
    pub(crate) owner: Option<Owner>,
    pub(crate) lifetime: Lifetime,
    /// When a login over several requests began.
    pub(crate) login_note: Option<Age>,
    /// The last revisions of the record, its own first.
    pub(crate) revisions: Revisions,
    /// `None`: since the login the user has not proven again who they are.
    pub(crate) proof: Option<Proof>,
    /// `None`: the owner acts as nobody else.
    pub(crate) acting: Option<Acting>,
    pub(crate) later: LaterFields,
}

/// What a later version has added to the header. It is kept as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaterFields {
    pub(crate) flags: u8,
    pub(crate) fields: Bytes,
}

/// When the user has proven who they are, after their login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The generation that it is of. In another one it counts for nothing.
    pub(crate) generation: u32,
    pub(crate) age: Age,
}

/// As whom the owner acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acting {
    /// The generation that it is of. In another one it counts for nothing.
    pub(crate) generation: u32,
    pub(crate) as_owner: Owner,
}

/// A derived successor: the salt that makes it, and what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) salt: [u8; 16],
    pub(crate) secret: SecretHash,
}

impl Header {
    /// A new session's first header.
    pub(crate) fn new(secret: SecretHash, lifetime: Lifetime) -> Self {
        Self {
            generation: 0,
            generation_began: Age::START,
            rotated: Age::START,
            secret,
            pending: None,
            retired: None,
            owner: None,
            lifetime,
            login_note: None,
            revisions: Revisions::default(),
            proof: None,
            acting: None,
            later: LaterFields::default(),
        }
    }

    /// The next generation: a fresh secret, no predecessor, nothing pending. The user's last proof goes on, and so does
    /// acting as another user.
    pub(crate) fn next_generation(&self, secret: SecretHash, age: Age) -> Self {
        let generation = self.generation.saturating_add(1);
        Self {
            generation,
            proof: self.valid_proof().map(|age| Proof { generation, age }),
            acting: self.acting_as().map(|owner| Acting { generation, as_owner: owner.clone() }),
            generation_began: age,
            rotated: age,
            secret,
            pending: None,
            retired: None,
            ..self.clone()
        }
    }

    /// The same with this as the user's last proof.
    pub(crate) fn proved(self, age: Age) -> Self {
        Self { proof: Some(Proof { generation: self.generation, age }), ..self }
    }

    /// When the user has proven who they are since their login, if this generation knows of it.
    fn valid_proof(&self) -> Option<Age> {
        self.proof.filter(|proof| proof.generation == self.generation).map(|proof| proof.age)
    }

    /// When the user has last proven who they are. The lifetime of a login begins with one.
    pub(crate) fn last_proof(&self) -> Age {
        self.valid_proof().unwrap_or(Age::START)
    }

    /// The same with its owner acting as this one, or as nobody else.
    pub(crate) fn with_acting_as(self, owner: Option<&Owner>) -> Self {
        let generation = self.generation;
        Self { acting: owner.map(|owner| Acting { generation, as_owner: owner.clone() }), ..self }
    }

    /// As whom the owner acts, if this generation knows of it.
    pub(crate) fn acting_as(&self) -> Option<&Owner> {
        let acting = self.acting.as_ref().filter(|acting| acting.generation == self.generation)?;
        self.owner.is_some().then_some(&acting.as_owner)
    }

    /// The same, written under this revision.
    pub(crate) fn under(mut self, revision: Revision) -> Self {
        self.revisions.put_first(revision);
        self
    }

    /// Whether the write of this revision is among the last that were applied.
    pub(crate) fn remembers(&self, revision: Revision) -> bool {
        self.revisions.contains(&revision)
    }
}

/// A record with what the store said of it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: SessionId,
    pub(crate) record: Record,
    pub(crate) revision: Revision,
    pub(crate) left: TimeLeft,
}

impl Found {
    /// Reads what the store answered when it was asked.
    #[inline]
    pub(crate) fn decode(id: SessionId, loaded: Loaded, asked: Instant) -> Result<Self, StoreError> {
        let Loaded { revision, payload, expires_in, ends_in } = loaded;
        let left = TimeLeft { asked, expires_in, ends_in };
        match Record::decode(payload) {
            Some(record) => Ok(Self { id, record, revision, left }),
            None => Err(StoreError::corrupt("the store", Unreadable)),
        }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.record.header
    }

    /// What another request of this process has just written over it. How much time is left is as this one was told by the
    /// store: the other one has only worked it out.
    pub(crate) fn overtaken_by(&self, written: &Self) -> Self {
        Self { left: self.left, ..written.clone() }
    }

    /// How old the current lifetime was when the store answered, on the store's clock.
    pub(crate) fn age_when_asked(&self) -> Age {
        Age::of(self.header().lifetime.absolute).since(Age::of(self.left.ends_in))
    }

    /// How old the note of `begin_login` was then, if there is one.
    pub(crate) fn note_age_when_asked(&self) -> Option<Age> {
        Some(self.age_when_asked().since(self.header().login_note?))
    }

    /// The age to the nanosecond: so that two readers agree which of two sessions is older, whenever each of them asked.
    pub(crate) fn exact_age_when_asked(&self) -> i128 {
        let nanoseconds = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        nanoseconds(self.header().lifetime.absolute) - nanoseconds(self.left.ends_in)
    }

    /// The same, now.
    pub(crate) fn exact_age(&self) -> i128 {
        self.exact_age_when_asked() + i128::try_from(self.left.asked.elapsed().as_nanos()).unwrap_or(i128::MAX)
    }

    /// How old the current lifetime is.
    pub(crate) fn age(&self) -> Age {
        self.age_when_asked().after(self.left.asked.elapsed())
    }
}

/// The payload is not an envelope that this version reads.
#[derive(Debug, thiserror::Error)]
#[error("the payload is not a session that this version reads")]
pub(crate) struct Unreadable;

/// The header of the session could be read, its values could not.
#[derive(Debug, thiserror::Error)]
#[error("the session's values are of a later version, or damaged")]
struct UnreadData;

#[cfg(test)]
mod tests;
