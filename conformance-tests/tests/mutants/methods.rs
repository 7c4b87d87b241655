//! The methods of the small store, each in one critical section.

use std::time::Duration;

use session_conformance::async_trait;
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};

use super::{
    fault::Fault::*,
    removal::Writing,
    store::{Row, Small, failure},
};

#[async_trait]
impl Store for Small {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.asked(id).await?;
        if let Some(answer) = self.create_where_full(id, entry, [expires_in, ends_in]) {
            return answer;
        }
        let created = self.create_in_steps(id, entry, [expires_in, ends_in]).await;
        match self.loses_the_answer(id) {
            true if self.is(CreateIsSentAgain) => self.create_in_steps(id, entry, [expires_in, ends_in]).await,
            true if self.is(CreateTidiesTheIndexAfterAnError) => Err(self.tidy_the_index(id)),
            true => Err(failure()),
            false => created,
        }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.answered().await?;
        self.load_in_steps(id).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.asked(id).await?;
        if self.is(AFullDatabaseSaysNo) && self.is_full() {
            return Ok(false);
        }
        let replaced = self.replace_in_steps(id, expected, entry, expiry).await;
        match self.loses_the_answer(id) {
            true if self.is(ReplaceIsSentAgain) => Ok(self.replace_in_steps(id, expected, entry, expiry).await),
            true if self.is(ReplaceTidiesTheIndexAfterAnError) => Err(self.tidy_the_index(id)),
            true => Err(failure()),
            false => Ok(replaced),
        }
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.asked(id).await?;
        let touched = self.touch_in_steps(id, expected, expires_in).await;
        match self.loses_the_answer(id) {
            true if self.is(TouchTakesSilenceForNo) => Ok(false),
            true => Err(failure()),
            false => Ok(touched),
        }
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.asked(id).await?;
        let deleted = self.delete_in_steps(id, expected).await;
        match self.loses_the_answer(id) {
            true if self.is(DeleteIsSentAgain) => Ok(self.delete_in_steps(id, expected).await),
            true => Err(failure()),
            false => Ok(deleted),
        }
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.answered().await?;
        Ok(self.list_in_steps(owner).await)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.answered().await?;
        Ok(self.revoke_in_steps(owner, keep).await)
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.answered().await?;
        Ok(self.purge_in_steps(limit).await)
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        self.create_then_load_in_steps(id, entry, [expires_in, ends_in], then).await
    }
}

impl Small {
    /// Reads before a write, where the fault is that the proxy loses the answer to the read.
    async fn asked(&self, id: &SessionId) -> Result<(), StoreError> {
        self.answered().await?;
        if self.is(TheAnswerOfAReadIsLost) && self.loses_the_answer(id) { Err(failure()) } else { Ok(()) }
    }

    /// As a store that takes a lost answer for a write that was not done.
    fn tidy_the_index(&self, id: &SessionId) -> StoreError {
        if let Some(row) = self.lock().0.live.get_mut(&self.key(id)) {
            row.listed = None;
        }
        failure()
    }

    pub(crate) fn create_now(&self, id: &SessionId, entry: Entry<'_>, times: [Duration; 2]) -> Result<(), StoreError> {
        let (mut rows, now) = self.lock();
        if self.is(EveryCreateFails) {
            return Err(failure());
        }
        let key = self.key(id);
        let mut row = self.row(id, entry, times, now)?;
        if self.is(DeletedIdsStayTaken) && rows.graves.contains_key(&key) {
            return Err(StoreError::AlreadyExists);
        }
        match (self.fault, rows.graves.get(&key)) {
            (AnEndedSessionLeavesItsListEntry, Some(old)) => row.listed = old.listed.clone(),
            (AnEndedSessionLeavesItsExpiry, Some(old)) => row.first = old.expires_at,
            _ => {}
        }
        if let Some(old) = rows.live.get_mut(&key) {
            let live = self.is_live(old, now) || self.is(CreateRefusedOverExpired);
            match self.fault {
                CreateOverwrites => {}
                CreateAcceptsItsOwnRevisionAgain if old.revision == entry.revision => {}
                CreateOfALiveSessionSaysOk if live => return Ok(()),
                RefusedCreateMovesTheExpiry if live => old.expire(row.expires_at),
                ARefusedCreateLeavesItsLargePayload if live && is_large(entry) => old.payload = row.payload.clone(),
                ARefusedCreateTidiesByItsRevision if is_large(entry) && old.revision == entry.revision => {
                    old.payload.clear();
                }
                RefusedCreateChangesTheOwner if live => old.listed = row.listed.clone(),
                CreateOverExpiredKeepsTheOwner => row.listed = old.listed.clone(),
                _ => {}
            }
            let overwrites = match self.fault {
                CreateOverwrites => true,
                CreateAcceptsItsOwnRevisionAgain => old.revision == entry.revision || !live,
                _ => !live,
            };
            if !overwrites {
                return Err(StoreError::AlreadyExists);
            }
        }
        self.set_ttl_of_the_index(&mut rows, &row, Writing::Create, now);
        rows.live.insert(key, row);
        Ok(())
    }

    pub(crate) fn load_now(&self, id: &SessionId) -> Option<Loaded> {
        let (rows, now) = self.lock();
        rows.live.get(&self.key(id)).filter(|row| self.is_live(row, now)).map(|row| self.loaded(row, now))
    }

    pub(crate) fn replace_now(&self, id: &SessionId, expected: Revision, entry: Entry<'_>, expiry: Expiry) -> bool {
        let (mut rows, now) = self.lock();
        let key = self.key(id);
        let grave = match self.fault {
            ReplaceRevivesDeleted | ReplaceRevivesRevoked => rows.graves.remove(&key),
            ReplaceUpserts if !rows.live.contains_key(&key) => {
                self.row(id, entry, [Duration::from_secs(60); 2], now).ok()
            }
            _ => None,
        };
        if let Some(row) = grave {
            rows.live.insert(key, row);
            return true;
        }
        let Some(row) = rows.live.get_mut(&key) else { return false };
        if self.is(ReplaceAcceptsItsOwnRevision) && row.revision == entry.revision {
            return true;
        }
        let found = self.is_at(row, expected, now, ReplaceIgnoresTheRevision, ReplaceRevivesExpired);
        match self.fault {
            ARefusedReplaceLeavesItsLargePayload if is_large(entry) => row.payload = entry.payload.to_vec(),
            ARefusedReplaceTidiesByItsRevision if is_large(entry) && row.revision == entry.revision => {
                row.payload.clear();
            }
            _ => {}
        }
        if found {
            self.rewrite(row, entry, expiry, now);
            let row = row.clone();
            self.set_ttl_of_the_index(&mut rows, &row, expiry.into(), now);
        }
        found
    }

    pub(crate) fn touch_now(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> bool {
        let (mut rows, now) = self.lock();
        let key = self.key(id);
        if self.is(TouchRevivesDeleted)
            && let Some(row) = rows.graves.remove(&key)
        {
            rows.live.insert(key.clone(), row);
        }
        let at = self.fault.after(now, expires_in);
        if self.is(TheShorterVersionEndsFirst)
            && let Some(row) = rows.live.get(&key).cloned()
        {
            rows.cover(&key, &row, at);
        }
        let Some(row) = rows.live.get_mut(&key) else { return self.is(TouchOfNothingSaysYes) };
        if !self.is_at(row, expected, now, TouchIgnoresTheRevision, TouchRevivesExpired)
            || self.is(TouchBeyondTheEndIsRefused) && at > row.ends_at
        {
            return false;
        }
        if self.is(TouchLeavesOutSmallMoves) && at.abs_diff(row.expires_at) < 60_000 {
            return true;
        }
        match self.fault {
            TouchMovesTheEnd => row.ends_at = row.ends_at.max(at),
            TouchOnlyLengthens => row.expire(at.max(row.expires_at)),
            TouchDropsTheOwner => row.listed = None,
            TouchChangesTheRevision => row.revision = Revision::from_bytes([0x77; 8]),
            _ => {}
        }
        if !self.is(TouchOnlyLengthens) {
            row.expire(self.fault.capped(at, row.ends_at, TouchPastTheEnd));
        }
        row.version += 1;
        self.set_ttl(row, Writing::Touch, now);
        true
    }

    pub(crate) fn delete_now(&self, id: &SessionId, expected: Revision) -> bool {
        let (mut rows, now) = self.lock();
        let key = self.key(id);
        let at = |row: &Row| self.is_at(row, expected, now, DeleteIgnoresTheRevision, DeleteCountsExpired);
        if !rows.live.get(&key).is_some_and(at) {
            return false;
        }
        if let Some(mut row) = rows.live.remove(&key) {
            if self.is(TheMarkerEndsFirst) {
                rows.cover(&key, &row, now);
            }
            if self.is(DeleteLeavesTheListEntry) {
                // Found by `list` alone, which goes by the owner.
                row.id = *id;
                rows.live.insert([&key[..], b"left"].concat(), row.clone());
            }
            if !self.is(ReplaceRevivesRevoked) {
                rows.graves.insert(key, row);
            }
        }
        true
    }

    pub(crate) fn list_now(&self, owner: &Owner) -> Vec<(SessionId, Loaded)> {
        let (rows, now) = self.lock();
        let owner = self.owner(Some(owner)).filter(|owner| rows.has_index(owner, now));
        if owner.is_none() {
            return Vec::new();
        }
        let shown = rows.live.values().filter(|row| {
            let theirs = row.listed == owner || self.is(ListShowsStrangers) && row.listed.is_some();
            theirs && (self.is_live(row, now) || self.is(ListShowsExpired))
        });
        let loaded = |row: &Row| {
            let mut loaded = self.loaded(row, now);
            if self.is(ListShowsNoPayload) {
                loaded.payload.clear();
            }
            (row.id, loaded)
        };
        let most = match self.fault {
            ListStopsAtEight => 8,
            ListStopsAtAThousand => 1000,
            _ => usize::MAX,
        };
        shown.map(loaded).take(most).collect()
    }

    pub(crate) fn revoke_now(&self, owner: &Owner, keep: Option<&SessionId>) -> u64 {
        let (mut rows, now) = self.lock();
        let owner = self.owner(Some(owner)).filter(|owner| rows.has_index(owner, now));
        if owner.is_none() {
            return 0;
        }
        let mut revoked = 0;
        let mut gone = Vec::new();
        rows.live.retain(|key, row| {
            let theirs = match self.fault {
                RevokeTakesAnonymousSessions => row.owner == owner || row.owner.is_none(),
                RevokeMatchesBeginnings => {
                    owner.as_ref().zip(row.owner.as_ref()).is_some_and(|(owner, row)| owner.starts_with(row))
                }
                RevokeKeepsWhateverIsNamed if keep.is_some() => false,
                _ => row.owner == owner,
            };
            let is_too_many = self.is(RevokeStopsAtAThousand) && revoked == 1000;
            let ends = theirs && !is_too_many && (keep != Some(&row.id) || self.is(RevokeTakesTheKept));
            if ends {
                revoked += u64::from(self.is_live(row, now) || self.is(RevokeCountsExpired));
                gone.push((key.clone(), row.clone()));
            }
            !ends
        });
        if !self.is(ReplaceRevivesDeleted) {
            rows.graves.extend(gone);
        }
        revoked
    }

    pub(crate) fn purge_now(&self, limit: u32) -> u64 {
        let (mut rows, now) = self.lock();
        let limit = match self.fault {
            PurgeIgnoresTheLimit => u64::MAX,
            PurgeTakesTheLimitForSigned => u64::try_from(limit.cast_signed()).unwrap_or(0),
            _ => limit.into(),
        };
        let mut purged = 0;
        rows.live.retain(|_, row| {
            let expired = match self.fault {
                PurgeTakesLive => true,
                PurgeGoesByTheFirstExpiry | AnEndedSessionLeavesItsExpiry => row.first <= now,
                PurgeComesAMinuteEarly => row.expires_at <= now + 60_000,
                _ => !self.is_live(row, now),
            };
            let ends = expired && purged < limit;
            purged += u64::from(ends);
            !ends || self.is(PurgeCountsWhatItLeaves)
        });
        purged
    }
}

/// Whether a store might keep the payload apart from its row.
fn is_large(entry: Entry<'_>) -> bool {
    entry.payload.len() > 512 * 1024
}
