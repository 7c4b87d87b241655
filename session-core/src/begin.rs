//! A login over several requests: when it began.

use crate::{
    EndReason, Error, Expiry,
    admission::Began,
    commit::Occasion,
    merge::{Write, attempts, pause, read},
    record::{Data, Found, Header, Record, millis},
    state::{Inner, Live, Standing},
};

impl Inner {
    /// What had been proven in this session must not be dated now: an anonymous one is ended, an owner's forgets the
    /// note, for a revocation ends it anyway.
    pub(crate) async fn refuse_expired(&self, live: &Live, began: &Began) -> Result<(), Error> {
        let found = &live.found;
        if found.header().owner.is_none() {
            self.state().noted = began.noted;
            return self.end_login(found, EndReason::LoginExpired).await;
        }
        let store = &*self.site().store;
        let note_of = |found: &Found| (found.header().generation, found.header().login_note);
        let (refused, mut found) = (note_of(found), found.clone());
        for attempt in attempts() {
            let header = Header { login_note: None, ..found.header().clone() };
            let record = Record { header, data: found.record.data.clone() };
            if Write::new(&found, record, Expiry::Keep)?.send(store).await?.is_some() {
                break;
            }
            pause(attempt).await;
            found = match read(store, &found.id).await? {
                Some(found) if note_of(&found) == refused => found,
                _ => break,
            };
        }
        Ok(())
    }

    pub(crate) async fn begin_login(&self) -> Result<(), Error> {
        let _in_order = self.writing.lock().await;
        self.resolve().await?;
        for attempt in attempts() {
            let (standing, pending, version) = self.snapshot();
            let live = match standing {
                Standing::Lost(lost) | Standing::Barred(lost) => return Err(lost.into()),
                Standing::Live(live) => live,
                Standing::Absent => {
                    self.before_new_token().await?;
                    // The note comes after: only then is it known when the session's time began.
                    let data = pending.apply(&Data::new())?;
                    self.create_anonymous(data, version).await?;
                    continue;
                }
            };
            let Found { record, .. } = &*live.found;
            let began = self.began(Some(&live.found));
            if began.noted.is_some() && began.is_within_window() {
                let outcome = self.save_in_order(Occasion::Save).await?;
                return outcome.kept();
            }
            if began.noted.is_some() && record.header.owner.is_none() {
                self.end_login(&live.found, EndReason::LoginExpired).await?;
                continue;
            }
            let data = pending.apply(&record.data)?;
            self.judge_size(&data, &record.data)?;
            // No later than it was: the session's age when the store was asked, less all that has passed since.
            let opened = live.found.age_when_asked().saturating_sub(millis(self.opened.elapsed_at_most()));
            let header = Header { login_note: Some(opened), ..record.header.clone() };
            let write = Write::new(&live.found, Record { header, data }, self.use_of(&live.found))?;
            if self.put(write, version, attempt).await? {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }
}
