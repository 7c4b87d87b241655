//! What several tests of this store need.

use std::time::Duration;

use session_core::{Entry, Revision, SessionId};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const ID: SessionId = SessionId::from_bytes([42; 16]);
pub(crate) const OLD: Revision = Revision::from_bytes([1; 8]);
pub(crate) const NEW: Revision = Revision::from_bytes([2; 8]);

pub(crate) fn entry(revision: Revision) -> Entry<'static> {
    Entry::new(revision, b"payload")
}
