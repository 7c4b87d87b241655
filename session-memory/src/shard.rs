//! One part of the sessions: its rows, and the order in which they may expire.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use session_core::{Loaded, Owner, Revision, SessionId};

/// All instants are milliseconds since the store was made.
#[derive(Default)]
pub(crate) struct Shard {
    rows: HashMap<SessionId, Row>,
    sweeps: Sweeps,
}

/// When to look at a row again: at its expiry, or before. A touch moves only the row's expiry and leaves this order
/// alone, which is cheap for a busy session. A sweep that finds such a row still live moves it to its new place.
pub(crate) type Sweeps = BTreeSet<(u64, SessionId)>;

pub(crate) struct Row {
    pub(crate) revision: Revision,
    pub(crate) payload: Bytes,
    pub(crate) owner: Option<Owner>,
    pub(crate) ends_at: u64,
    expires_at: u64,
    sweep_at: u64,
}

impl Shard {
    pub(crate) fn live(&self, id: &SessionId, now: u64) -> Option<&Row> {
        self.rows.get(id).filter(|row| row.expires_at > now)
    }

    /// The live row, if it has this revision, and the order of sweeps that [`Row::expire`] needs.
    pub(crate) fn at_revision(
        &mut self,
        id: &SessionId,
        expected: Revision,
        now: u64,
    ) -> Option<(&mut Row, &mut Sweeps)> {
        let row = self.rows.get_mut(id).filter(|row| row.expires_at > now && row.revision == expected)?;
        Some((row, &mut self.sweeps))
    }

    pub(crate) fn insert(&mut self, id: SessionId, row: Row) {
        self.sweeps.insert((row.sweep_at, id));
        self.rows.insert(id, row);
    }

    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<Row> {
        let row = self.rows.remove(id)?;
        self.sweeps.remove(&(row.sweep_at, *id));
        Some(row)
    }

    /// The next row that may have expired.
    pub(crate) fn due(&self, now: u64) -> Option<SessionId> {
        self.sweeps.first().filter(|(sweep_at, _)| *sweep_at <= now).map(|(_, id)| *id)
    }

    /// Moves the row in the order of sweeps to where it expires.
    pub(crate) fn postpone(&mut self, id: &SessionId) {
        if let Some(row) = self.rows.get_mut(id) {
            self.sweeps.remove(&(row.sweep_at, *id));
            row.sweep_at = row.expires_at;
            self.sweeps.insert((row.sweep_at, *id));
        }
    }
}

impl Row {
    /// A row whose expiry is not past its end.
    pub(crate) fn new(revision: Revision, payload: Bytes, owner: Option<Owner>, expires_at: u64, ends_at: u64) -> Self {
        Self { revision, payload, owner, ends_at, expires_at, sweep_at: expires_at }
    }

    /// The content of a live row.
    pub(crate) fn loaded(&self, now: u64) -> Loaded {
        Loaded::new(
            self.revision,
            self.payload.clone(),
            Duration::from_millis(self.expires_at.saturating_sub(now)),
            Duration::from_millis(self.ends_at.saturating_sub(now)),
        )
    }

    /// Moves the expiry, never past the end.
    pub(crate) fn expire(&mut self, id: &SessionId, at: u64, sweeps: &mut Sweeps) {
        self.expires_at = at.min(self.ends_at);
        if self.expires_at < self.sweep_at {
            sweeps.remove(&(self.sweep_at, *id));
            self.sweep_at = self.expires_at;
            sweeps.insert((self.sweep_at, *id));
        }
    }
}
