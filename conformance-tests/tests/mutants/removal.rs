//! The faults of a server that removes by itself what has expired. Each row has a time to live, and so has the index of an
//! owner.

use std::{mem, ops::RangeInclusive};

use session_core::Expiry;

use super::{
    fault::Fault::{self, *},
    store::{Row, Rows, Small},
};

/// How long the server keeps what has expired, in milliseconds.
const LATE: u64 = 2000;
const CAP: u64 = 5000;
/// What is taken for a date. A store may have got its longest time right by another way.
const A_MONTH_TO_A_YEAR: RangeInclusive<u64> = 30 * DAY + 1..=365 * DAY;
const DAY: u64 = 24 * 3_600_000;

const OF_TTLS: [Fault; 11] = [
    CreateRoundsTheTtlDown,
    TouchRoundsTheTtlDown,
    TheServerCapsItsTtl,
    TouchLeavesTheTtl,
    ExtendLeavesTheTtl,
    RestartLeavesTheTtl,
    KeepPutsTheFirstTtlBack,
    CreateTakesAMonthForADate,
    TouchTakesAMonthForADate,
    ExtendTakesAMonthForADate,
    RestartTakesAMonthForADate,
];

/// What writes a row.
#[derive(Clone, Copy)]
pub(crate) enum Writing {
    Create,
    Touch,
    Keep,
    Extend,
    Restart,
}

impl From<Expiry> for Writing {
    fn from(expiry: Expiry) -> Self {
        match expiry {
            Expiry::Keep => Self::Keep,
            Expiry::Extend(_) => Self::Extend,
            Expiry::Restart { .. } => Self::Restart,
        }
    }
}

impl Small {
    /// Moves the time to live along with the expiry of a row that was just written.
    pub(crate) fn set_ttl(&self, row: &mut Row, write: Writing, now: u64) {
        if !OF_TTLS.contains(&self.fault) {
            return;
        }
        let left = row.expires_at.saturating_sub(now);
        row.removed_at = match (self.fault, write) {
            (CreateRoundsTheTtlDown, Writing::Create) | (TouchRoundsTheTtlDown, Writing::Touch) => {
                now + (left / 1000 * 1000).max(1000)
            }
            (TheServerCapsItsTtl, _) => now + left.min(CAP),
            (TouchLeavesTheTtl, Writing::Touch)
            | (ExtendLeavesTheTtl, Writing::Extend)
            | (RestartLeavesTheTtl, Writing::Restart) => row.removed_at,
            (KeepPutsTheFirstTtlBack, Writing::Keep) => row.first + LATE,
            (CreateTakesAMonthForADate, Writing::Create)
            | (TouchTakesAMonthForADate, Writing::Touch)
            | (ExtendTakesAMonthForADate, Writing::Extend)
            | (RestartTakesAMonthForADate, Writing::Restart)
                if A_MONTH_TO_A_YEAR.contains(&left) =>
            {
                now
            }
            _ => row.expires_at + LATE,
        };
    }

    /// The same for the index of the row's owner.
    pub(crate) fn set_ttl_of_the_index(&self, rows: &mut Rows, row: &Row, write: Writing, now: u64) {
        let Some(owner) = row.owner.clone() else { return };
        let removed_at = row.ends_at + LATE;
        match self.fault {
            TheIndexLivesAsLongAsAtFirst => {
                rows.indexes.entry(owner).or_insert(removed_at);
            }
            TheIndexLivesAsTheLastWriteSaid if matches!(write, Writing::Create | Writing::Restart) => {
                rows.indexes.insert(owner, removed_at);
            }
            TheIndexTakesAMonthForADate if A_MONTH_TO_A_YEAR.contains(&row.ends_at.saturating_sub(now)) => {
                rows.indexes.insert(owner, now);
            }
            _ => {}
        }
    }
}

impl Rows {
    /// Keeps the version that is covered now, until the server removes what covers it.
    pub(crate) fn cover(&mut self, key: &[u8], version: &Row, until: u64) {
        self.covered.insert(key.to_vec(), Row { removed_at: until + LATE, ..version.clone() });
    }

    /// Shows the versions again whose cover is removed.
    pub(crate) fn uncover(&mut self, now: u64) {
        for (key, version) in mem::take(&mut self.covered) {
            if version.removed_at <= now {
                self.live.insert(key, Row { removed_at: u64::MAX, ..version });
            } else {
                self.covered.insert(key, version);
            }
        }
    }

    pub(crate) fn has_index(&self, owner: &[u8], now: u64) -> bool {
        self.indexes.get(owner).is_none_or(|removed_at| now < *removed_at)
    }
}
