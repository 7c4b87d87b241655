//! A login over several requests: when it began.

use std::sync::Arc;

use crate::{
    EndReason, Error, Expiry, Purpose,
    exchange::{
        admission::Began,
        commit::Occasion,
        logout::Extent,
        state::{Inner, Lost, Standing},
    },
    record::{Age, Data, Found, Header, Record, delta::Delta, millis},
    store::{
        patience::{attempts, pause},
        write::{Write, read},
    },
};

impl Inner {
    /// Ends what a login that took too long has left. An anonymous session ends: what was proven in it is too old. An
    /// owner's session only loses the note.
    pub(crate) async fn refuse_expired(&self, found: &Arc<Found>, began: &Began) -> Result<(), Error> {
        // A login later in this request is still the one that took too long.
        self.state().noted = began.noted;
        if !self.has_expired_note(found) {
            return Ok(());
        }
        if found.header().owner.is_none() {
            self.end_login(found, EndReason::LoginExpired, Extent::Login).await?;
            self.end();
            return Ok(());
        }
        let store = &self.store;
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
            let Standing::Live(live) = standing else {
                self.make_session_to_begin_in(standing, &pending, version).await?;
                continue;
            };
            let Found { record, .. } = &*live.found;
            if self.has_expired_note(&live.found) {
                if record.header.owner.is_none() {
                    self.end_login(&live.found, EndReason::LoginExpired, Extent::Login).await?;
                    self.end_keeping_changes()?;
                    continue;
                }
            } else if record.header.login_note.is_some() {
                // A login in another request may have cleared the note since it was loaded.
                self.adopt(read(&self.store, &live.found.id).await?)?;
                self.rebase()?;
                if self.is_noted() {
                    return self.save_in_order(Occasion::Save).await?.kept();
                }
                continue;
            }
            let data = pending.apply(&record.data)?;
            self.judge_size(&data, &record.data)?;
            let header = Header { login_note: Some(self.note(&live.found)), ..record.header.clone() };
            let write = Write::new(&live.found, Record { header, data }, self.use_of(&live.found))?;
            if self.put(write, version, attempt).await? {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }

    /// Makes an anonymous session where there is none that a login can begin in. What the request's cookies still open ends.
    async fn make_session_to_begin_in(&self, standing: Standing, pending: &Delta, version: u64) -> Result<(), Error> {
        match standing {
            // Nothing may be made here, so nothing ends for it.
            _ if self.state().is_hushed => Err(Error::Superseded),
            Standing::Barred(Lost::Withheld(_)) => {
                self.before_new_token().await?;
                if let Some(reason) = self.withhold() {
                    return Err(Error::Withheld(reason));
                }
                self.end_others(EndReason::Replaced).await?;
                self.end_keeping_changes()
            }
            Standing::Lost(lost) | Standing::Barred(lost) => Err(lost.into()),
            Standing::Unread(unread) => {
                self.before_new_token().await?;
                self.leave_unread(&unread).await
            }
            // The note comes after: only then is it known when the session's time began.
            Standing::Absent | Standing::Live(_) => {
                self.before_new_token().await?;
                let data = pending.apply(&Data::new())?;
                self.create_anonymous(data, Purpose::Login, version).await.map(|_| ())
            }
        }
    }

    /// The age of the session at which the login began. A login that this exchange has broken off counts if it is recent
    /// enough: what it had proven may be in the changes of this request.
    fn note(&self, found: &Found) -> Age {
        let broken_off = self.began(None);
        let earlier = if broken_off.is_within_window() { broken_off.noted.unwrap_or_default() } else { 0 };
        // No later than it was: the session's age when the store was asked, less all that has passed since.
        found.age_when_asked().saturating_sub(millis(self.opened.elapsed_at_most())).saturating_sub(earlier.max(0))
    }

    /// Whether the session itself has a note, and it is too old for a login.
    fn has_expired_note(&self, found: &Found) -> bool {
        !Began { opened: self.opened, noted: found.note_age_when_asked() }.is_within_window()
    }

    fn is_noted(&self) -> bool {
        matches!(&self.state().standing, Standing::Live(live) if live.found.header().login_note.is_some())
    }
}
