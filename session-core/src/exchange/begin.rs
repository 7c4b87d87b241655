//! A login over several requests: when it began.

use std::sync::Arc;

use crate::{
    EndReason, Error, Expiry, Purpose,
    exchange::{Attempted, Bar, Began, Extent, Inner, Live, Occasion, Place, Standing, Turn, View},
    record::{Age, Found, Header, Record},
    store::{Patience, Write, read},
};

impl Inner {
    pub(crate) async fn begin_login(&self) -> Result<(), Error> {
        self.place().await.resolve().await?.begin_login().await
    }

    /// The age of the session at which the login began. If this exchange has ended a session with a note, the new
    /// note has the date of the older one, unless that is over an hour ago. Proofs of that login may be in this request's
    /// changes.
    fn note(&self, found: &Found) -> Age {
        let broken_off = self.began(None);
        let earlier = if broken_off.is_within_window() { broken_off.noted.unwrap_or_default() } else { Age::START };
        // No later than it was: the session's age when the store was asked, less all that has passed since.
        found.age_when_asked().since(Age::of(self.opened.elapsed_at_most())).since(earlier.max(Age::START))
    }

    /// Whether the session itself has a note, and it is too old for a login.
    fn has_expired_note(&self, found: &Found) -> bool {
        !Began { opened: self.opened, noted: found.note_age_when_asked() }.is_within_window()
    }

    fn is_noted(&self) -> bool {
        self.state().standing.live().is_some_and(|live| live.found.header().login_note.is_some())
    }
}

impl Place<'_> {
    /// Ends what a login that took too long has left. An anonymous session ends: what was proven in it is too old. An
    /// owner's session only loses the note.
    pub(crate) async fn refuse_expired(&mut self, found: &Arc<Found>, began: &Began) -> Result<(), Error> {
        // A second try in this request must fail, too.
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
        let mut patience = Patience::new();
        while patience.attempt().is_ok() {
            let header = Header { login_note: None, ..found.header().clone() };
            let record = Record { header, data: found.record.data.clone() };
            if Write::new(&found, record, Expiry::Keep)?.send(store).await? {
                break;
            }
            patience.pause().await;
            found = match read(store, &found.id).await? {
                Some(found) if note_of(&found) == refused => found,
                _ => break,
            };
        }
        Ok(())
    }
}

impl Turn<'_, '_> {
    async fn begin_login(&mut self) -> Result<(), Error> {
        let mut patience = Patience::new();
        loop {
            patience.attempt()?;
            let view = self.view();
            let Standing::Live(Live { found, .. }) = &view.standing else {
                self.make_session_to_begin_in(&view).await?;
                continue;
            };
            if self.has_expired_note(found) {
                if found.header().owner.is_none() {
                    self.end_login(found, EndReason::LoginExpired, Extent::Login).await?;
                    self.end_keeping_changes()?;
                    continue;
                }
            } else if found.header().login_note.is_some() {
                // A login in another request may have cleared the note since it was loaded.
                let now = read(&self.store, &found.id).await?;
                self.follow(now)?;
                if self.is_noted() {
                    return self.save(Occasion::Save).await?.kept();
                }
                continue;
            }
            let header = Header { login_note: Some(self.note(found)), ..found.header().clone() };
            let mut edit = view.edit(found, header, view.merged()?, view.use_of(found))?;
            if let Attempted::Done(_) = self.attempt(&mut edit, &mut patience).await? {
                return Ok(());
            }
        }
    }

    /// Makes an anonymous session where there is none that a login can begin in. What the request's cookies still open ends.
    async fn make_session_to_begin_in(&mut self, view: &View) -> Result<(), Error> {
        match &view.standing {
            // Nothing may be made here, so nothing ends for it.
            _ if self.state().only_login_may_answer => Err(Error::Superseded),
            Standing::Barred(Bar::Withheld(_)) => {
                self.judge_open()?;
                if let Some(reason) = self.withhold() {
                    return Err(Error::Withheld(reason));
                }
                self.end_others(EndReason::Replaced).await?;
                self.end_keeping_changes()
            }
            Standing::Unread(unread) => {
                self.judge_open()?;
                self.leave_unread(unread).await
            }
            standing => {
                let _ = standing.to_write()?;
                self.judge_open()?;
                // The note comes after: only then is it known when the session's time began.
                let _ = self.create_anonymous(view.merged()?, Purpose::Login, view.version).await?;
                Ok(())
            }
        }
    }
}
