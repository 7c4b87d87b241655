//! The last revisions of a record.

use std::{fmt, ops::Deref};

use crate::{Revision, record::REVISIONS};

/// The last revisions of a record, the newest first. They lie in the record itself, because every write clones it.
#[derive(Clone, Copy)]
pub(crate) struct Revisions {
    all: [Revision; REVISIONS],
    count: usize,
}

impl Revisions {
    /// Puts this one before the others. Of more than eight the oldest is forgotten.
    pub(crate) fn put_first(&mut self, revision: Revision) {
        self.count = (self.count + 1).min(REVISIONS);
        self.all[..self.count].rotate_right(1);
        self.all[0] = revision;
    }
}

impl Default for Revisions {
    fn default() -> Self {
        Self { all: [Revision::from_bytes([0; 8]); REVISIONS], count: 0 }
    }
}

impl Deref for Revisions {
    type Target = [Revision];

    fn deref(&self) -> &[Revision] {
        &self.all[..self.count]
    }
}

impl PartialEq for Revisions {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Revisions {}

/// Of more than eight only the first are kept.
impl FromIterator<Revision> for Revisions {
    fn from_iter<I: IntoIterator<Item = Revision>>(revisions: I) -> Self {
        let mut kept = Self::default();
        for (place, revision) in kept.all.iter_mut().zip(revisions) {
            *place = revision;
            kept.count += 1;
        }
        kept
    }
}

impl fmt::Debug for Revisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
