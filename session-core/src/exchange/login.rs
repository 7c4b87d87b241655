//! What moves the generation: login and renewal.

use std::sync::Arc;

use crate::{
    Error, EventKind, Expiry, Login, Purpose,
    exchange::{
        admission::Began,
        state::{Inner, Lost, Standing},
    },
    owner::epoch::Kept,
    record::{Data, Found, Header, Record},
    session::login::JudgedLogin,
    store::{
        patience::{MERGES, attempts},
        write::{Settled, Write},
    },
};

/// Whose write moved the generation, or changed the session first.
enum Moved {
    ByUs(Arc<Found>),
    /// Nothing was written. This is the session now.
    ByAnother(Arc<Found>),
    /// Nothing was sent: another task of this request has changed a value.
    NotYet,
}

impl Inner {
    pub(crate) async fn login(&self, login: Login) -> Result<(), Error> {
        let login = login.judge(&self.site().policy)?;
        let _in_order = self.writing.lock().await;
        self.before_new_token().await?;
        self.judge_place(&login).await?;
        self.login_in_order(&login).await?;
        self.end_others_after_login().await;
        Ok(())
    }

    async fn login_in_order(&self, login: &JudgedLogin) -> Result<(), Error> {
        for attempt in attempts() {
            let (standing, pending, version) = self.snapshot();
            let live = match standing {
                Standing::Lost(lost) => return Err(lost.into()),
                Standing::Live(live) => live,
                standing @ (Standing::Absent | Standing::Barred(_) | Standing::Unread(_)) => {
                    let (unread, seen) = match standing {
                        Standing::Unread(unread) => (unread.found.clone(), unread.seen()),
                        _ => (None, None),
                    };
                    let began = self.began(unread.as_deref());
                    let owner = unread.as_ref().and_then(|found| found.header().owner.as_ref());
                    if owner != Some(&login.owner) && !began.is_within_window() {
                        if let Some(found) = &unread {
                            self.refuse_expired(found, &began).await?;
                        }
                        return Err(Error::LoginExpired);
                    }
                    let replaced = unread.as_ref().map(|found| (found.id, found.header().generation));
                    self.login_in_new_session(login, began, seen.as_deref(), replaced).await?;
                    if let Some(found) = &unread {
                        self.end_replaced(found).await;
                    }
                    return Ok(());
                }
            };
            let Found { record, .. } = &*live.found;
            let began = self.began(Some(&live.found));
            let is_same_owner = record.header.owner.as_ref() == Some(&login.owner);
            if !is_same_owner && !began.is_within_window() {
                self.refuse_expired(&live.found, &began).await?;
                return Err(Error::LoginExpired);
            }
            let data = if login.keeps_data_of(&live.found) { pending.apply(&record.data)? } else { Data::new() };
            self.judge_size(&data, &record.data)?;
            let secret = self.mint()?;
            let lifetime = login.lifetime;
            let header = Header {
                owner: Some(login.owner.clone()),
                lifetime,
                login_note: None,
                ..record.header.next_generation(secret.hash(), 0)
            };
            let expiry = Expiry::Restart { expires_in: lifetime.idle, ends_in: lifetime.absolute };
            let write = Write::new(&live.found, Record { header, data }, expiry)?;
            match self.move_generation(write, version, attempt).await? {
                Moved::ByUs(found) => {
                    let replaced = (live.found.id, live.found.header().generation);
                    return self.admit(found, secret, login, Some(replaced), began, live.is_new).await;
                }
                // The form was sent twice: either answer logs in, whichever the browser keeps.
                Moved::ByAnother(found) if login.was_overtaken_by_its_like(&live.found, &found) => {
                    return self.login_in_new_session(login, began, Some(&live.found), None).await;
                }
                Moved::ByAnother(found) => {
                    self.adopt(Some(found))?;
                    self.rebase()?;
                }
                Moved::NotYet => {}
            }
        }
        Err(Error::Contended)
    }

    /// A login under a fresh id, with nothing but what this request has changed: what is in the session that it loaded
    /// may have been taken out of it by now.
    async fn login_in_new_session(
        &self,
        login: &JudgedLogin,
        began: Began,
        loaded: Option<&Found>,
        replaced: Option<Kept>,
    ) -> Result<(), Error> {
        let lifetime = login.lifetime;
        let header = |secret| Header {
            owner: Some(login.owner.clone()),
            ..Header::new(secret, lifetime).next_generation(secret, 0)
        };
        for _ in 0..MERGES {
            let (_, pending, version) = self.snapshot();
            let keeps_changes = loaded.is_none_or(|found| login.keeps_data_of(found));
            let data = if keeps_changes { pending.apply(&Data::new())? } else { Data::new() };
            if self.carry(version, None) {
                let (found, secret) = self.create(data, Purpose::Login, header).await?;
                return self.admit(found, secret, login, replaced, began, true).await;
            }
        }
        Err(Error::Contended)
    }

    /// What has to hold before anything is written that gives the client a token.
    pub(crate) async fn before_new_token(&self) -> Result<(), Error> {
        if self.state().sent {
            return Err(Error::ResponseSent);
        }
        self.resolve().await
    }

    /// Writes the next generation, until the outcome is known.
    async fn move_generation(&self, write: Write, version: u64, attempt: u32) -> Result<Moved, Error> {
        let generation = write.record.header.generation;
        if !self.carry(version, None) {
            return Ok(Moved::NotYet);
        }
        match write.settle(&self.store, false, attempt).await? {
            Settled::Applied(found) if found.header().generation == generation => Ok(Moved::ByUs(found)),
            Settled::Applied(_) => Err(self.lose(Lost::Superseded).into()),
            Settled::Gone => Err(self.lose(Lost::Gone).into()),
            Settled::Conflict(found) => {
                self.put_back();
                Ok(Moved::ByAnother(found))
            }
        }
    }

    pub(crate) async fn renew(&self) -> Result<(), Error> {
        let _in_order = self.writing.lock().await;
        self.before_new_token().await?;
        if self.state().is_hushed {
            return Err(Error::Superseded);
        }
        for attempt in attempts() {
            let (standing, pending, version) = self.snapshot();
            let live = match standing {
                Standing::Lost(lost) | Standing::Barred(lost) => return Err(lost.into()),
                Standing::Unread(unread) => return Err(unread.error.into()),
                Standing::Absent => return Ok(()),
                Standing::Live(live) => live,
            };
            let data = pending.apply(&live.found.record.data)?;
            self.judge_size(&data, &live.found.record.data)?;
            let secret = self.mint()?;
            let header = live.found.header().next_generation(secret.hash(), live.found.age());
            let write = Write::new(&live.found, Record { header, data }, self.use_of(&live.found))?;
            match self.move_generation(write, version, attempt).await? {
                Moved::ByUs(found) => {
                    self.tell(EventKind::Renewed, Some(&found));
                    self.begin(found, secret, live.is_new);
                    return self.rebase();
                }
                Moved::ByAnother(found) => {
                    self.adopt(Some(found))?;
                    self.rebase()?;
                }
                Moved::NotYet => {}
            }
        }
        Err(Error::Contended)
    }
}
