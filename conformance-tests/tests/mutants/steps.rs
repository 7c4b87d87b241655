//! The faults that need time. An operation has two steps, and between them others run, or the future is dropped.

use std::time::Duration;

use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use tokio::task::yield_now;

use super::{
    fault::Fault::*,
    store::{Small, failure},
};

impl Small {
    pub(crate) async fn create_in_steps(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        times: [Duration; 2],
    ) -> Result<(), StoreError> {
        let key = self.key(id);
        self.note_a_create(id);
        match self.fault {
            CreateChecksThenInserts | CreateOverExpiredChecksThenInserts => {
                let (taken, known) = (self.load_now(id).is_some(), self.lock().0.live.contains_key(&key));
                if taken || self.is(CreateOverExpiredChecksThenInserts) && !known {
                    return self.create_now(id, entry, times);
                }
                yield_now().await;
                let (mut rows, now) = self.lock();
                let row = self.row(id, entry, times, now)?;
                rows.live.insert(key, row);
                Ok(())
            }
            TheIndexLosesUpdates => {
                let index: Vec<_> = self.lock().0.live.keys().cloned().collect();
                yield_now().await;
                self.create_now(id, entry, times)?;
                for (other, row) in &mut self.lock().0.live {
                    if *other != key && !index.contains(other) {
                        row.listed = None;
                    }
                }
                Ok(())
            }
            CreateWritesTheListEntryLater => {
                self.create_now(id, entry.with_owner(None), times)?;
                yield_now().await;
                if let Some(row) = self.lock().0.live.get_mut(&key) {
                    row.owner = self.owner(entry.owner);
                    row.listed = self.owner(entry.owner);
                }
                Ok(())
            }
            _ => {
                let created = self.create_now(id, entry, times);
                self.copy_to_the_replica();
                self.wait_for(ADroppedCreateLeavesItsAnswer, self.load_now(id).as_ref()).await;
                created
            }
        }
    }

    pub(crate) async fn create_then_load_in_steps(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        [expires_in, ends_in]: [Duration; 2],
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        let loads_first = self.is(CreateThenLoadLoadsFirst) || self.is(CreateThenLoadLoadsAnotherFirst) && id != then;
        if loads_first {
            let loaded = self.load(then).await;
            yield_now().await;
            self.create(id, entry, expires_in, ends_in).await?;
            return Ok(loaded);
        }
        let created = self.create(id, entry, expires_in, ends_in).await;
        match self.fault {
            CreateThenLoadIsSentAgain if created.is_err() => self.create(id, entry, expires_in, ends_in).await?,
            CreateThenLoadOfALiveSessionSaysOk => {}
            _ => created?,
        }
        match self.fault {
            CreateThenLoadFindsNothing => Ok(Ok(None)),
            CreateThenLoadFailsAtTheLoad => Ok(Err(failure())),
            CreateThenLoadShowsExpired => {
                let (rows, now) = self.lock();
                Ok(Ok(rows.live.get(&self.key(then)).map(|row| self.loaded(row, now))))
            }
            _ => Ok(self.load(then).await),
        }
    }

    /// Loads the row first, and then the payload that the session has by then.
    async fn load_in_two_reads(&self, id: &SessionId) -> Option<Loaded> {
        let found = self.load_now(id)?;
        yield_now().await;
        let later = self.load_now(id).unwrap_or_else(|| found.clone());
        Some(found.with_payload(later.payload))
    }

    pub(crate) async fn load_in_steps(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        match self.fault {
            LoadsAreMixedUp => Ok(self.load_mixed_up(id).await),
            LoadJoinsOneThatWasSent => Ok(self.load_with_one_that_was_sent(id).await),
            ADroppedLoadTakesTheOthersAlong => self.load_behind_the_first(id).await,
            LoadReadsAReplica => {
                let (rows, now) = self.lock();
                Ok(rows.replica.get(&self.key(id)).map(|row| self.loaded(row, now)))
            }
            LoadLosesItsConnection => {
                {
                    let rows = &mut self.lock().0;
                    if rows.connections == 4 {
                        return Err(failure());
                    }
                    rows.connections += 1;
                }
                yield_now().await;
                self.lock().0.connections -= 1;
                Ok(self.load_now(id))
            }
            LoadDeletesWhatItFoundExpired => {
                let loaded = self.load_now(id);
                if loaded.is_none() {
                    yield_now().await;
                    self.lock().0.live.remove(&self.key(id));
                }
                Ok(loaded)
            }
            LoadReadsTheLargePayloadLater => Ok(self.load_in_two_reads(id).await),
            CutsAt400Days => {
                // A load over a network takes a while.
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(self.load_now(id))
            }
            ADroppedLoadLeavesItsAnswer | ADroppedListLeavesItsAnswer | ADroppedCreateLeavesItsAnswer => {
                let unread = self.lock().0.unread.take();
                if unread.is_some() {
                    return Ok(unread);
                }
                let found = self.load_now(id);
                self.wait_for(ADroppedLoadLeavesItsAnswer, found.as_ref()).await;
                Ok(found)
            }
            AProcessKeepsWhatItHasLoaded | AProcessKeepsThatThereIsNone => {
                let found = self.copy_of(id).unwrap_or_else(|| self.load_now(id));
                self.keep_a_copy(id, found.as_ref());
                Ok(found)
            }
            _ => Ok(self.load_now(id)),
        }
    }

    pub(crate) async fn replace_in_steps(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> bool {
        self.note_a_write(Some(id));
        let _turn = self.turn().await;
        if self.is(TheLockIsInTheProcess) {
            return self.replace_in_a_turn(id, expected, entry, expiry).await;
        }
        if self.is(ReplaceChecksThenWrites) {
            let found = self.load_now(id).is_some_and(|loaded| loaded.revision == expected);
            yield_now().await;
            let (mut rows, now) = self.lock();
            let row = rows.live.get_mut(&self.key(id)).filter(|_| found);
            return row.is_some_and(|row| {
                self.rewrite(row, entry, expiry, now);
                true
            });
        }
        if self.is(OneConflictFailsAll) {
            return self.replace_all_or_none(id, expected, entry, expiry).await;
        }
        if self.is(ReplaceTakesConflictsForNo) {
            return self.with_few_tries(id, || self.replace_now(id, expected, entry, expiry)).await;
        }
        if self.is(KeepRestoresTheExpiryThatItHasRead) {
            return self.replace_over_what_it_has_read(id, expected, entry, expiry).await;
        }
        let replaced = self.replace_now(id, expected, entry, expiry);
        match self.fault {
            LoadReadsAReplica => {
                yield_now().await;
                yield_now().await;
                self.copy_to_the_replica();
            }
            ReplaceWritesThePayloadLater | ReplaceMovesTheListEntryLater
                if replaced && matches!(expiry, Expiry::Restart { .. }) =>
            {
                yield_now().await;
                if let Some(row) = self.lock().0.live.get_mut(&self.key(id)) {
                    row.payload = self.payload(entry.payload);
                    row.listed = row.owner.clone();
                }
            }
            _ => {}
        }
        replaced
    }

    async fn replace_over_what_it_has_read(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> bool {
        let key = self.key(id);
        let read = self.lock().0.live.get(&key).map(|row| row.expires_at);
        yield_now().await;
        let replaced = self.replace_now(id, expected, entry, expiry);
        let mut rows = self.lock().0;
        if let (true, Expiry::Keep, Some(read), Some(row)) = (replaced, expiry, read, rows.live.get_mut(&key)) {
            row.expire(read);
        }
        replaced
    }

    pub(crate) async fn touch_in_steps(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> bool {
        let key = self.key(id);
        self.note_a_write(Some(id));
        let _turn = self.turn().await;
        match self.fault {
            TouchPutsTheRowBack => {
                let read = self.lock().0.live.get(&key).cloned();
                let touched = self.touch_now(id, expected, expires_in);
                yield_now().await;
                if let Some(row) = read.filter(|_| touched) {
                    self.lock().0.live.entry(key).or_insert(row);
                }
                touched
            }
            TouchChecksThenWrites => {
                let found = self.load_now(id).is_some_and(|loaded| loaded.revision == expected);
                yield_now().await;
                let (mut rows, now) = self.lock();
                let row = rows.live.get_mut(&key).filter(|row| found && self.is_live(row, now));
                row.is_some_and(|row| {
                    row.expire(self.fault.after(now, expires_in).min(row.ends_at));
                    true
                })
            }
            TouchTakesTheRowOut => {
                let touched = self.touch_now(id, expected, expires_in);
                let row = self.lock().0.live.remove(&key);
                yield_now().await;
                self.lock().0.live.extend(row.map(|row| (key, row)));
                touched
            }
            TouchTakesConflictsForNo => self.with_few_tries(id, || self.touch_now(id, expected, expires_in)).await,
            _ => self.touch_now(id, expected, expires_in),
        }
    }

    pub(crate) async fn delete_in_steps(&self, id: &SessionId, expected: Revision) -> bool {
        self.note_a_write(Some(id));
        let _turn = self.turn().await;
        match self.fault {
            DeleteChecksThenDeletes | TheLockIsInTheProcess => {
                let found = self.load_now(id).is_some_and(|loaded| loaded.revision == expected);
                yield_now().await;
                if found {
                    self.lock().0.live.remove(&self.key(id));
                }
                found
            }
            DeleteTakesTheListEntryLater => {
                let deleted = self.delete_now(id, expected);
                yield_now().await;
                if let Some(row) = self.lock().0.live.get_mut(&self.key(id)).filter(|_| deleted) {
                    row.listed = None;
                }
                deleted
            }
            DeleteTakesConflictsForNo => self.with_few_tries(id, || self.delete_now(id, expected)).await,
            DeleteEmptiesTheRowFirst => {
                if let Some(row) = self.lock().0.live.get_mut(&self.key(id)) {
                    row.payload.clear();
                }
                yield_now().await;
                self.delete_now(id, expected)
            }
            _ => {
                let deleted = self.delete_now(id, expected);
                self.copy_to_the_replica();
                deleted
            }
        }
    }

    pub(crate) async fn list_in_steps(&self, owner: &Owner) -> Vec<(SessionId, Loaded)> {
        match self.fault {
            ListReadsTheClockForEachSession => {
                let mut list = Vec::new();
                for (number, (id, _)) in self.list_now(owner).into_iter().enumerate() {
                    if number % 16 == 15 {
                        tokio::time::sleep(Duration::from_micros(700)).await;
                    }
                    list.extend(self.load_now(&id).map(|loaded| (id, loaded)));
                }
                list
            }
            ListForgetsWhatItFoundExpired => {
                let expired: Vec<_> = {
                    let (rows, now) = self.lock();
                    rows.live.iter().filter(|(_, row)| !self.is_live(row, now)).map(|(key, _)| key.clone()).collect()
                };
                let list = self.list_now(owner);
                yield_now().await;
                for key in expired {
                    if let Some(row) = self.lock().0.live.get_mut(&key) {
                        row.listed = None;
                    }
                }
                list
            }
            ListReadsTheRowsLater => {
                let ids = self.list_now(owner);
                yield_now().await;
                ids.into_iter().filter_map(|(id, _)| Some((id, self.load_now(&id)?))).collect()
            }
            ListReadsByOffset => {
                let mut list = Vec::new();
                loop {
                    let page: Vec<_> = self.list_now(owner).into_iter().skip(list.len()).take(2).collect();
                    if page.is_empty() {
                        return list;
                    }
                    list.extend(page);
                    yield_now().await;
                }
            }
            AProcessHasAnIndexOfItsOwn => {
                self.list_now(owner).into_iter().filter(|(id, _)| self.is_in_the_index(id)).collect()
            }
            _ => {
                let list = self.list_now(owner);
                self.wait_for(ADroppedListLeavesItsAnswer, list.first().map(|(_, loaded)| loaded)).await;
                list
            }
        }
    }

    pub(crate) async fn revoke_in_steps(&self, owner: &Owner, keep: Option<&SessionId>) -> u64 {
        self.note_a_write(None);
        let _turn = self.turn().await;
        match self.fault {
            RevokeMissesWhatIsReplacedWhileItRuns => {
                let found = self.list_now(owner);
                yield_now().await;
                let doomed = found.into_iter().filter(|(id, _)| keep != Some(id));
                doomed.map(|(id, loaded)| u64::from(self.delete_now(&id, loaded.revision))).sum()
            }
            RevokeTakesConflictsForNo => self.revoke_with_few_tries(owner, keep).await,
            RevokeSelectsThenDeletes | TheLockIsInTheProcess => {
                let found = self.list_now(owner);
                yield_now().await;
                let doomed = found.into_iter().filter(|(id, _)| keep != Some(id));
                doomed.map(|(id, _)| u64::from(self.lock().0.live.remove(&self.key(&id)).is_some())).sum()
            }
            _ => self.revoke_now(owner, keep),
        }
    }

    pub(crate) async fn purge_in_steps(&self, limit: u32) -> u64 {
        if !self.is(PurgeCountsWhatOthersTook) && !self.is(PurgeSelectsThenDeletes) {
            return self.purge_now(limit);
        }
        let selected: Vec<_> = {
            let (rows, now) = self.lock();
            let expired = rows.live.iter().filter(|(_, row)| !self.is_live(row, now)).take(limit as usize);
            expired.map(|(key, _)| key.clone()).collect()
        };
        yield_now().await;
        let mut deleted = 0;
        for key in &selected {
            let (mut rows, now) = self.lock();
            let live = rows.live.get(key).is_some_and(|row| self.is_live(row, now));
            if self.is(PurgeSelectsThenDeletes) || !live {
                deleted += u64::from(rows.live.remove(key).is_some());
            }
        }
        if self.is(PurgeCountsWhatOthersTook) { selected.len() as u64 } else { deleted }
    }

    fn copy_to_the_replica(&self) {
        if self.is(LoadReadsAReplica) {
            let rows = &mut *self.lock().0;
            rows.replica.clone_from(&rows.live);
        }
    }
}
