//! What a process has by itself, and should not: sessions, a lock, an index, a clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use session_core::{Entry, Expiry, Loaded, Revision, SessionId};
use tokio::{sync, task::yield_now};

use super::{
    clock::Clock,
    fault::Fault::{self, *},
    store::Small,
};

#[derive(Debug, Default)]
pub(crate) struct Process {
    /// What its clock takes for the beginning.
    pub(crate) started: u64,
    turns: sync::Mutex<()>,
    /// What it has loaded of each session.
    copies: Mutex<BTreeMap<SessionId, Option<Loaded>>>,
    /// The sessions that it has made.
    index: Mutex<BTreeSet<SessionId>>,
}

impl Process {
    pub(crate) fn starting(fault: Fault, clock: &Clock) -> Self {
        let started = if fault == TheClockBeginsWithTheProcess { clock.since_the_first() } else { 0 };
        Self { started, ..Self::default() }
    }

    fn copies(&self) -> MutexGuard<'_, BTreeMap<SessionId, Option<Loaded>>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Small {
    /// Lets the writes of one process take turns, where that is all that keeps them apart.
    pub(crate) async fn turn(&self) -> Option<sync::MutexGuard<'_, ()>> {
        if self.is(TheLockIsInTheProcess) { Some(self.process.turns.lock().await) } else { None }
    }

    /// Reads a row, and later writes the whole of it. Only the turns keep others from changing it between.
    pub(crate) async fn replace_in_a_turn(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> bool {
        let read = {
            let (rows, now) = self.lock();
            let row = rows.live.get(&self.key(id));
            row.filter(|row| self.is_live(row, now) && row.revision == expected).cloned()
        };
        yield_now().await;
        let Some(mut row) = read else { return false };
        let (mut rows, now) = self.lock();
        self.rewrite(&mut row, entry, expiry, now);
        rows.live.insert(self.key(id), row);
        true
    }

    pub(crate) fn copy_of(&self, id: &SessionId) -> Option<Option<Loaded>> {
        self.process.copies().get(id).cloned()
    }

    pub(crate) fn keep_a_copy(&self, id: &SessionId, found: Option<&Loaded>) {
        let is_kept = match self.fault {
            AProcessKeepsWhatItHasLoaded => found.is_some(),
            AProcessKeepsThatThereIsNone => found.is_none(),
            _ => false,
        };
        if is_kept {
            self.process.copies().insert(*id, found.cloned());
        }
    }

    /// A process knows what it has written itself.
    pub(crate) fn note_a_write(&self, id: Option<&SessionId>) {
        self.process.copies().retain(|copy, _| id.is_some_and(|id| id != copy));
    }

    pub(crate) fn note_a_create(&self, id: &SessionId) {
        self.note_a_write(Some(id));
        self.process.index().insert(*id);
    }

    pub(crate) fn is_in_the_index(&self, id: &SessionId) -> bool {
        self.process.index().contains(id)
    }
}
