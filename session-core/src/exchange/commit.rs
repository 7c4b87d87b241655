//! Saving: what was changed is merged into what is stored; what is due rides along.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    Entry, Error, EventKind, Expiry, Outcome, Purpose, Revision, SessionId,
    exchange::state::{InFlight, Inner, Live, Standing},
    moment::TimeLeft,
    record::{Data, Found, Header, Record, length, rotation},
    request::token::{SecretHash, SessionSecret},
    store::{
        patience::{RIDES, attempts, pause},
        write::{Settled, Write, read},
    },
};

/// Why changes are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The end of the request: a due successor rides along.
    Commit,
    /// The handler asked for it.
    Save,
}

/// The one thing to do next, worked out from the version of the state that it names.
enum Step {
    Done(Outcome),
    Create { data: Data, version: u64 },
    Replace { write: Box<Write>, is_changed: bool, rotates: bool, version: u64 },
    Touch(Live),
}

impl Inner {
    /// Saves, and sends a successor that is stored and not yet proven. After that the response counts as sent.
    pub(crate) async fn commit(&self) -> Result<Outcome, Error> {
        let _in_order = self.writing.lock().await;
        // What most requests do needs none of the room that saving takes.
        if self.leaves_all_as_it_is() { Ok(Outcome::Unchanged) } else { Box::pin(self.commit_in_order()).await }
    }

    /// Whether there is nothing to save and nothing is due: then the response counts as sent.
    fn leaves_all_as_it_is(&self) -> bool {
        let mut state = self.state();
        let is_untouched = state.in_flight.is_none() && state.pending.is_empty() && state.answer.is_nothing();
        let leaves = is_untouched
            && match &state.standing {
                Standing::Absent | Standing::Barred(_) => true,
                Standing::Lost(_) => false,
                Standing::Unread(unread) => unread.is_no_trouble(),
                Standing::Live(live) => {
                    let is_pending = live.found.header().pending.is_some();
                    !is_pending && !self.is_rotation_due(live) && !is_touch_due(&live.found)
                }
            };
        state.sent |= leaves;
        leaves
    }

    async fn commit_in_order(&self) -> Result<Outcome, Error> {
        let outcome = self.save_in_order(Occasion::Commit).await;
        if outcome.is_ok() {
            self.send_successor();
        }
        // Before anybody else's turn: who logs in later must learn that his cookie does not leave.
        self.state().sent = true;
        self.warn_of_plain_http();
        outcome
    }

    /// Saves the changes because the handler asked for it.
    pub(crate) async fn save(&self) -> Result<Outcome, Error> {
        let _in_order = self.writing.lock().await;
        self.save_in_order(Occasion::Save).await
    }

    /// Saves the changes, or touches the session if that is due; the caller holds the lock that puts the writes in order.
    pub(crate) async fn save_in_order(&self, occasion: Occasion) -> Result<Outcome, Error> {
        self.resolve().await?;
        for attempt in attempts() {
            match self.next_step(occasion)? {
                Step::Touch(_) | Step::Replace { is_changed: false, .. } if attempt >= RIDES => break,
                Step::Done(outcome) => return Ok(outcome),
                Step::Create { data, version } => match self.create_anonymous(data, Purpose::Visit, version).await {
                    Ok(true) => return Ok(Outcome::Saved),
                    Ok(false) => {}
                    Err(Error::Withheld(reason)) => return Ok(Outcome::Withheld(reason)),
                    Err(error) => return Err(error),
                },
                Step::Replace { write, is_changed, rotates, version } => match self.put(*write, version, attempt).await
                {
                    Ok(true) => {
                        if rotates && matches!(self.state().standing, Standing::Live(_)) {
                            self.tell_live(EventKind::SuccessorIssued);
                        }
                        return Ok(if is_changed { Outcome::Saved } else { Outcome::Unchanged });
                    }
                    Ok(false) => {}
                    Err(error) if is_changed => return Err(error),
                    Err(error) => {
                        // Nothing was lost: the token goes on as it is.
                        self.drop_in_flight();
                        self.tell_live(EventKind::SuccessorFailed(error));
                        return Ok(Outcome::Unchanged);
                    }
                },
                Step::Touch(live) => match self.touch(&live.found, attempt).await {
                    Ok(true) => return Ok(Outcome::Unchanged),
                    Ok(false) => {}
                    Err(error) => {
                        self.tell_live(EventKind::TouchFailed(error));
                        return Ok(Outcome::Unchanged);
                    }
                },
            }
        }
        // Others were quicker each time.
        match self.next_step(occasion)? {
            Step::Done(outcome) => Ok(outcome),
            Step::Create { .. } | Step::Replace { is_changed: true, .. } => Err(Error::Contended),
            Step::Replace { .. } => {
                self.tell_live(EventKind::SuccessorFailed(Error::Contended));
                Ok(Outcome::Unchanged)
            }
            Step::Touch(_) => {
                self.tell_live(EventKind::TouchFailed(Error::Contended));
                Ok(Outcome::Unchanged)
            }
        }
    }

    /// What a write does to the expiry: it is a use of the session, unless the request is a poll.
    pub(crate) fn use_of(&self, found: &Found) -> Expiry {
        if self.state().skip_touch { Expiry::Keep } else { Expiry::Extend(found.header().lifetime.idle) }
    }

    fn next_step(&self, occasion: Occasion) -> Result<Step, Error> {
        let (standing, pending, version) = self.snapshot();
        let live = match standing {
            Standing::Live(live) => live,
            Standing::Lost(lost) => return Ok(Step::Done(lost.into())),
            Standing::Unread(unread) => return unread.outcome(occasion, !pending.is_empty()).map(Step::Done),
            Standing::Absent | Standing::Barred(_) => {
                let data = pending.apply(&Data::new())?;
                return match standing {
                    _ if data.is_empty() => Ok(Step::Done(Outcome::Unchanged)),
                    Standing::Barred(lost) => Ok(Step::Done(lost.into())),
                    _ if self.state().sent => Err(Error::ResponseSent),
                    _ => Ok(Step::Create { data, version }),
                };
            }
        };
        let record = &live.found.record;
        let data = if pending.is_empty() { None } else { Some(pending.apply(&record.data)?) };
        let data = data.filter(|data| *data != record.data);
        let is_changed = data.is_some();
        let rotates = match occasion {
            Occasion::Commit if self.is_rotation_due(&live) && self.may_send_successor(&live) => live.current_secret(),
            _ => None,
        };
        if is_changed || rotates.is_some() {
            let mut next = Record { header: record.header.clone(), data: data.unwrap_or_else(|| record.data.clone()) };
            self.judge_size(&next.data, &record.data)?;
            if let Some(secret) = rotates {
                rotation::propose(&mut next.header, secret)?;
            }
            let write = Write::new(&live.found, next, self.use_of(&live.found))?;
            return Ok(Step::Replace { write: Box::new(write), is_changed, rotates: rotates.is_some(), version });
        }
        let touches = is_touch_due(&live.found) && !self.state().skip_touch;
        Ok(if touches { Step::Touch(live) } else { Step::Done(Outcome::Unchanged) })
    }

    fn is_rotation_due(&self, live: &Live) -> bool {
        let interval = rotation::interval(&self.site().policy, live.under_old_key);
        rotation::is_due(live.found.header(), || live.found.age(), interval)
    }

    /// Moves the expiry; `false` if the session has moved on, and what it is now has been adopted.
    async fn touch(&self, found: &Found, attempt: u32) -> Result<bool, Error> {
        let store = &self.store;
        let idle = found.header().lifetime.idle;
        if !store.touch(&found.id, found.revision, idle).await? {
            pause(attempt).await;
            // Where it is lost, the next step says so.
            let _ = self.adopt(read(store, &found.id).await?);
            self.rebase()?;
            return Ok(false);
        }
        let ends_in = found.left.now().ends_in;
        let left = TimeLeft { asked: Instant::now(), expires_in: idle.min(ends_in), ends_in };
        let mut state = self.state();
        if let Standing::Live(live) = &mut state.standing {
            live.found = Arc::new(Found { left, ..found.clone() });
        }
        Ok(true)
    }

    /// Sends a write with the changes that it was made of, until its outcome is known. `false`: it was not applied, and
    /// the changes wait for the next.
    pub(crate) async fn put(&self, write: Write, version: u64, attempt: u32) -> Result<bool, Error> {
        let write = Arc::new(write);
        if !self.carry(version, Some(write.clone())) {
            return Ok(false);
        }
        let settled = write.settle(&self.store, false, attempt).await;
        self.finish(settled)
    }

    /// Resolves what an earlier call left in flight when it failed or was dropped.
    pub(crate) async fn resolve(&self) -> Result<(), Error> {
        let Some(InFlight { write, .. }) = self.state().in_flight.clone() else { return Ok(()) };
        let store = &self.store;
        match write {
            Some(write) => {
                let settled = write.settle(store, true, 0).await;
                self.finish(settled).map(|_| ())
            }
            None => {
                // A creation goes on under a fresh id. Of a change of generation, the generation tells.
                let id = match &self.state().standing {
                    Standing::Live(live) => Some(live.found.id),
                    _ => None,
                };
                if let Some(id) = id {
                    let _ = self.adopt(read(store, &id).await?);
                }
                self.put_back();
                self.rebase()
            }
        }
    }

    fn finish(&self, settled: Result<Settled, Error>) -> Result<bool, Error> {
        let is_applied = match settled {
            Ok(Settled::Applied(found)) => {
                self.drop_in_flight();
                // Also where a login has overtaken it since: then this exchange has lost the session, not the write.
                let _ = self.adopt(Some(found));
                true
            }
            Ok(Settled::Conflict(found)) => {
                self.put_back();
                let _ = self.adopt(Some(found));
                false
            }
            Ok(Settled::Gone) => {
                let _ = self.adopt(None);
                false
            }
            Err(Error::OutcomeUnknown) => {
                // To merge the changes again could apply them twice.
                self.drop_in_flight();
                return Err(Error::OutcomeUnknown);
            }
            Err(error) => return Err(error),
        };
        self.rebase()?;
        Ok(is_applied)
    }

    /// Stores a new session without an owner, unless it is withheld; `false` if other changes have come in between.
    pub(crate) async fn create_anonymous(&self, data: Data, purpose: Purpose, version: u64) -> Result<bool, Error> {
        if let Some(reason) = self.withhold() {
            return Err(Error::Withheld(reason));
        }
        if !self.carry(version, None) {
            return Ok(false);
        }
        let lifetime = self.site().policy.before_login;
        let (found, secret) = self.create(data, purpose, |secret| Header::new(secret, lifetime)).await?;
        let created = found.clone();
        self.begin(found, secret, true);
        self.tell(EventKind::Created, Some(&created));
        self.rebase()?;
        Ok(true)
    }

    /// Stores a new session. Its outcome unknown, it is tried again once, under a fresh id.
    pub(crate) async fn create(
        &self,
        data: Data,
        purpose: Purpose,
        header: impl Fn(SecretHash) -> Header,
    ) -> Result<(Arc<Found>, SessionSecret), Error> {
        self.judge_size(&data, &Data::new())?;
        let mut failure = None;
        for _ in 0..2 {
            let (id, own, secret) = (SessionId::random()?, Revision::random()?, self.mint()?);
            let record = Record { header: header(secret.hash()).under(own), data: data.clone() };
            let (expires_in, ends_in) = (record.header.lifetime.idle, record.header.lifetime.absolute);
            let payload = record.encode();
            let entry = Entry::new(own, &payload).with_owner(record.header.owner.as_ref()).with_purpose(purpose);
            let asked = Instant::now();
            match self.store.create(&id, entry, expires_in, ends_in).await {
                Ok(()) => {
                    let left = TimeLeft { asked, expires_in: expires_in.min(ends_in), ends_in };
                    return Ok((Arc::new(Found { id, record, revision: own, left }), secret));
                }
                Err(error) => failure = Some(error),
            }
        }
        self.put_back();
        Err(failure.map_or(Error::Contended, Error::from))
    }

    /// A fresh secret, unless there is no key to sign its token with.
    pub(crate) fn mint(&self) -> Result<SessionSecret, Error> {
        if self.site().keys.now().is_empty() {
            Err(crate::RandomnessError.into())
        } else {
            Ok(SessionSecret::random()?)
        }
    }

    /// No session grows beyond the limit; one that was larger before the limit was lowered goes on.
    pub(crate) fn judge_size(&self, data: &Data, before: &Data) -> Result<(), Error> {
        let (size, limit) = (length(data.iter()), self.site().policy.size_limit);
        if size > limit && size > length(before.iter()) { Err(Error::TooLarge { size, limit }) } else { Ok(()) }
    }
}

/// Whether so much of the idle time-out is used up that the session should be touched.
fn is_touch_due(found: &Found) -> bool {
    let (left, idle) = (found.left.now(), found.header().lifetime.idle);
    let used = idle.min(left.ends_in).saturating_sub(left.expires_in);
    used > (idle / 10).min(Duration::from_secs(60))
}
