//! Saving: what was changed is merged into what is stored; what is due rides along.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{
    Entry, Error, EventKind, Outcome, Purpose, Revision, SessionId, StoreError,
    exchange::{Attempted, Carried, Edit, InFlight, Inner, Live, Place, Standing, State, Turn, View},
    moment::TimeLeft,
    owner::{Epoch, epoch},
    record::{Data, Found, Header, Record, rotation},
    request::{SecretHash, SessionSecret, random},
    store::{CREATIONS, Patience, read},
};

/// Why changes are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The end of the request: a due successor rides along.
    Commit,
    /// The handler asked for it.
    Save,
}

/// The one thing to do next, planned on one version of the state.
enum Step {
    Done(Outcome),
    Replace(Edit, Successor),
    Seldom(Seldom),
}

/// What few commits do.
enum Seldom {
    Create { data: Data, version: u64 },
    Ride(Ride),
}

/// Nothing was changed, but something is due. The next request can do it, too.
enum Ride {
    Touch(Arc<Found>),
    Rotate(Edit),
}

/// A session that was made.
pub(crate) struct Made {
    pub(crate) found: Arc<Found>,
    pub(crate) secret: SessionSecret,
    /// The epoch of its owner, read after the session was made. An anonymous session has none.
    pub(crate) epoch: Result<Option<Epoch>, Error>,
}

/// Whether a write stores a successor of the client's token.
enum Successor {
    Proposed,
    None,
}

impl Inner {
    /// Saves, and sends a successor that is stored and not yet proven. After that the response counts as sent.
    pub(crate) async fn commit(&self) -> Result<Outcome, Error> {
        if self.commit_unchanged() {
            return Ok(Outcome::Unchanged);
        }
        // Most requests have nothing to save here, so the large future is built only when it is needed.
        Box::pin(self.commit_changes()).await
    }

    /// Commits if there may be something to do.
    pub(crate) async fn commit_changes(&self) -> Result<Outcome, Error> {
        self.place().await.commit().await
    }

    /// Commits if there is nothing to save, nothing is due, and no other call of this exchange is writing. Returns whether it
    /// was so. After a login or `save` there is usually nothing left to save.
    ///
    /// There is no successor to send either: where a session has one, there is something to do.
    pub(crate) fn commit_unchanged(&self) -> bool {
        let mut state = self.state();
        if self.has_something_to_do(&state) {
            return false;
        }
        let Ok(in_flight) = self.in_flight.try_lock() else { return false };
        let is_committed = in_flight.is_none();
        state.sent |= is_committed;
        drop(state);
        if is_committed {
            self.warn_of_plain_http();
        }
        is_committed
    }

    /// Saves the changes because the handler asked for it.
    pub(crate) async fn save(&self) -> Result<Outcome, Error> {
        self.place().await.resolve().await?.save(Occasion::Save).await
    }

    /// Whether a commit has to save changes, do what is due, or tell that the session is lost or cannot be read.
    fn has_something_to_do(&self, state: &State) -> bool {
        !state.pending.is_empty()
            || match &state.standing {
                Standing::Unasked | Standing::Failed(_) | Standing::Absent | Standing::Barred(_) => false,
                Standing::Lost(_) => true,
                Standing::Unread(unread) => !unread.is_no_trouble(),
                Standing::Live(live) => {
                    let is_pending = live.found.header().pending.is_some();
                    is_pending || self.is_rotation_due(live) || is_touch_due(&live.found)
                }
            }
    }

    fn next_step(&self, view: &View, occasion: Occasion) -> Result<Step, Error> {
        match &view.standing {
            Standing::Live(live) => self.next_step_of(live, view, occasion),
            Standing::Lost(loss) => Outcome::of((*loss).into()).map(Step::Done),
            Standing::Unread(unread) => unread.outcome(occasion, !view.pending.is_empty()).map(Step::Done),
            Standing::Unasked | Standing::Failed(_) | Standing::Absent | Standing::Barred(_) => {
                let data = view.merged()?;
                match &view.standing {
                    _ if data.is_empty() => Ok(Step::Done(Outcome::Unchanged)),
                    Standing::Barred(bar) => Outcome::of((*bar).into()).map(Step::Done),
                    _ if self.state().sent => Err(Error::ResponseSent),
                    _ => Ok(Step::Seldom(Seldom::Create { data, version: view.version })),
                }
            }
        }
    }

    fn next_step_of(&self, live: &Live, view: &View, occasion: Occasion) -> Result<Step, Error> {
        let base = &live.found;
        let changed = if view.pending.is_empty() { None } else { Some(view.merged()?) };
        let changed = changed.filter(|data| *data != base.record.data);
        let rotates = match occasion {
            Occasion::Commit if self.is_rotation_due(live) && self.may_send_successor(live) => live.current_secret(),
            _ => None,
        };
        if changed.is_none() && rotates.is_none() {
            let touches = is_touch_due(base) && !view.skip_touch;
            return Ok(match touches {
                true => Step::Seldom(Seldom::Ride(Ride::Touch(base.clone()))),
                false => Step::Done(Outcome::Unchanged),
            });
        }
        let mut header = base.header().clone();
        let mut successor = Successor::None;
        if let Some(secret) = rotates {
            rotation::propose(&mut header, secret)?;
            successor = Successor::Proposed;
        }
        let edit = |data| view.edit(base, header, data, view.use_of(base));
        Ok(match changed {
            Some(data) => Step::Replace(edit(data)?, successor),
            None => Step::Seldom(Seldom::Ride(Ride::Rotate(edit(base.record.data.clone())?))),
        })
    }

    fn is_rotation_due(&self, live: &Live) -> bool {
        let interval = rotation::interval(&self.site().policy, live.under_old_key);
        rotation::is_due(live.found.header(), || live.found.age(), interval)
    }

    /// A fresh secret, unless there is no key to sign its token with.
    pub(crate) fn mint(&self) -> Result<SessionSecret, Error> {
        self.judge_keys()?;
        Ok(SessionSecret::random()?)
    }

    /// The same with an id and the first revision, for a new session. They are of one call of the operating system.
    fn mint_session(&self) -> Result<(SessionId, Revision, SessionSecret), Error> {
        self.judge_keys()?;
        let bytes = Zeroizing::new(random::<56>()?);
        let (mut id, mut revision, mut secret) = ([0; 16], [0; 8], Zeroizing::new([0; 32]));
        id.copy_from_slice(&bytes[..16]);
        revision.copy_from_slice(&bytes[16..24]);
        secret.copy_from_slice(&bytes[24..]);
        Ok((SessionId::from_bytes(id), Revision::from_bytes(revision), SessionSecret::from_bytes(*secret)))
    }

    fn judge_keys(&self) -> Result<(), Error> {
        if self.site().keys.hold().is_empty() { Err(crate::RandomnessError.into()) } else { Ok(()) }
    }
}

impl Place<'_> {
    async fn commit(&mut self) -> Result<Outcome, Error> {
        let outcome = self.save_at_commit().await;
        if outcome.is_ok() {
            self.send_successor();
        }
        // Before anybody else's turn: who logs in later must learn that the cookie does not leave.
        self.state().sent = true;
        self.warn_of_plain_http();
        outcome
    }

    async fn save_at_commit(&mut self) -> Result<Outcome, Error> {
        let mut turn = self.resolve().await?;
        turn.save(Occasion::Commit).await
    }
}

impl Turn<'_, '_> {
    /// Saves the changes, or does what is due.
    pub(crate) async fn save(&mut self, occasion: Occasion) -> Result<Outcome, Error> {
        let mut patience = Patience::new();
        self.join_others();
        loop {
            // A block, so that the step takes no room while the write is under way.
            let (mut edit, successor) = {
                let Some(step) = self.plan(occasion, &mut patience)? else { continue };
                match step {
                    Step::Done(outcome) => return Ok(outcome),
                    Step::Replace(edit, successor) => (edit, successor),
                    // Boxed: the write that most commits are needs no room for it.
                    Step::Seldom(seldom) => match Box::pin(self.create_or_ride(seldom, &mut patience)).await? {
                        Attempted::Done(outcome) => return Ok(outcome),
                        _ => continue,
                    },
                }
            };
            if let Attempted::Done(_) = self.attempt(&mut edit, &mut patience).await? {
                self.tell_of(&successor);
                return Ok(Outcome::Saved);
            }
        }
    }

    /// What the next attempt does. `None`: it was planned on what others are about to write, and has to be planned on what is
    /// stored.
    fn plan(&mut self, occasion: Occasion, patience: &mut Patience) -> Result<Option<Step>, Error> {
        let is_contended = patience.attempt().is_err();
        let step = self.next_step(&self.view(), occasion);
        let is_plain = matches!(step, Ok(Step::Replace(_, Successor::None)));
        if !is_plain && self.leave_group() {
            patience.take_back();
            return Ok(None);
        }
        match step? {
            Step::Seldom(Seldom::Create { .. }) | Step::Replace(..) if is_contended => Err(Error::Contended),
            step => Ok(Some(step)),
        }
    }

    async fn create_or_ride(&mut self, seldom: Seldom, patience: &mut Patience) -> Result<Attempted<Outcome>, Error> {
        Ok(match seldom {
            Seldom::Create { data, version } => match self.create_anonymous(data, Purpose::Visit, version).await {
                Ok(attempted) => attempted.map(|_| Outcome::Saved),
                Err(error) => Attempted::Done(Outcome::of(error)?),
            },
            Seldom::Ride(ride) => self.ride(ride, patience).await.map(|()| Outcome::Unchanged),
        })
    }

    /// Does what is due. Where that fails nothing is lost: an event tells, and the token goes on as it is.
    async fn ride(&mut self, ride: Ride, patience: &mut Patience) -> Attempted<()> {
        let (attempted, failed): (_, fn(Error) -> EventKind) = match ride {
            Ride::Touch(found) => (self.try_touch(&found, patience).await, EventKind::TouchFailed),
            Ride::Rotate(edit) => (self.try_rotate(edit, patience).await, EventKind::SuccessorFailed),
        };
        attempted.unwrap_or_else(|error| {
            self.drop_in_flight();
            self.tell_live(failed(error));
            Attempted::Done(())
        })
    }

    async fn try_rotate(&mut self, mut edit: Edit, patience: &mut Patience) -> Result<Attempted<()>, Error> {
        patience.judge_ride()?;
        let Attempted::Done(_) = self.attempt(&mut edit, patience).await? else { return Ok(Attempted::Beaten) };
        self.tell_of(&Successor::Proposed);
        Ok(Attempted::Done(()))
    }

    async fn try_touch(&mut self, found: &Found, patience: &Patience) -> Result<Attempted<()>, Error> {
        patience.judge_ride()?;
        let idle = found.header().lifetime.idle;
        if !self.store.touch(&found.id, found.revision, idle).await? {
            patience.pause().await;
            let now = read(&self.store, &found.id).await?;
            self.follow_even_if_lost(now)?;
            return Ok(Attempted::Beaten);
        }
        self.state().standing.touched(Found { left: found.left.extended(idle), ..found.clone() });
        Ok(Attempted::Done(()))
    }

    fn tell_of(&self, successor: &Successor) {
        if let Successor::Proposed = successor
            && self.state().standing.live().is_some()
        {
            self.tell_live(EventKind::SuccessorIssued);
        }
    }

    /// Stores a new session without an owner, unless it is withheld.
    pub(crate) async fn create_anonymous(
        &mut self,
        data: Data,
        purpose: Purpose,
        version: u64,
    ) -> Result<Attempted, Error> {
        if let Some(reason) = self.withhold() {
            return Err(Error::Withheld(reason));
        }
        let lifetime = self.site().policy.before_login;
        let header = |secret| Header::new(secret, lifetime);
        let Attempted::Done(Made { found, secret, .. }) = self.create(data, purpose, version, header).await? else {
            return Ok(Attempted::Beaten);
        };
        self.enter(found.clone(), secret);
        self.tell(EventKind::Created, Some(&found));
        self.rebase()?;
        Ok(Attempted::Done(found))
    }

    /// Stores a new session, and reads the epoch of its owner, if it has one. Its outcome unknown, it is tried again once,
    /// under a fresh id.
    pub(crate) async fn create(
        &mut self,
        mut data: Data,
        purpose: Purpose,
        version: u64,
        header: impl Fn(SecretHash) -> Header,
    ) -> Result<Attempted<Made>, Error> {
        self.site().policy.judge_size(&data, &Data::new())?;
        if let Carried::Outdated = self.carry(version, |carried| InFlight::Creation { carried }) {
            return Ok(Attempted::Beaten);
        }
        let mut failure = None;
        for _ in 0..CREATIONS {
            let (id, own, secret) = self.mint_session()?;
            let record = Record { header: header(secret.hash()).under(own), data };
            let (expires_in, ends_in) = (record.header.lifetime.idle, record.header.lifetime.absolute);
            let left = TimeLeft { asked: Instant::now(), expires_in: expires_in.min(ends_in), ends_in };
            let found = Arc::new(Found { id, record, revision: own, left });
            let payload = found.record.encode();
            let owner = found.header().owner.as_ref();
            let entry = Entry::shared(own, &payload).with_owner(owner).with_purpose(purpose);
            let made = match owner {
                Some(owner) => epoch::create_then_read(&self.store, owner, &id, entry, [expires_in, ends_in]).await,
                None => self.store.create(&id, entry, expires_in, ends_in).await.map(|()| Ok(None)),
            };
            match made {
                Ok(epoch) => return Ok(Attempted::Done(Made { found, secret, epoch })),
                Err(error) => {
                    self.give_up(&found, &error).await;
                    (failure, data) = (Some(error), found.record.data.clone());
                }
            }
        }
        self.put_back();
        Err(failure.map_or(Error::Contended, Error::from))
    }

    /// Removes a session that may have been made, although there was no answer. Nobody has its token, and as a login it would
    /// count toward the limit of its owner's sessions.
    async fn give_up(&self, found: &Found, error: &StoreError) {
        if found.header().owner.is_some() && !matches!(error, StoreError::AlreadyExists) {
            // Where this fails, too, the session expires.
            let _ = Box::pin(self.store.delete(&found.id, found.revision)).await;
        }
    }
}

/// Whether so much of the idle timeout is used up that the session should be touched.
fn is_touch_due(found: &Found) -> bool {
    let (left, idle) = (found.left.now(), found.header().lifetime.idle);
    let used = idle.min(left.ends_in).saturating_sub(left.expires_in);
    used > (idle / 10).min(Duration::from_secs(60))
}
