//! Whose turn it is to write, what is on its way to the store, and the one attempt that every write goes through.
//!
//! An exchange's own writes go one after the other. [`Place`] is a place in that order: it owns what is in flight. A
//! [`Turn`] is a place with nothing left in flight by an earlier call, and only a turn sends changes. Three operations
//! need the place before they may have the turn: a commit that cannot resolve counts as sent all the same; a logout drops
//! what is in flight and asks the store nothing about it; a login whose response has left is refused before any I/O.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use tokio::sync::MutexGuard;

use crate::{
    Error, Expiry, SessionId,
    exchange::{Answer, Inner, Live, Loss, Standing, State},
    record::{Data, Delta, Found, Header, Record},
    request::SessionSecret,
    store::{Next, Patience, Settled, Write, Writer, read},
};

/// A place in the order of the exchange's writes, with what is in flight.
pub(crate) struct Place<'a> {
    exchange: &'a Inner,
    in_flight: MutexGuard<'a, Option<InFlight>>,
}

/// The turn to write: nothing of an earlier call is in flight any more.
pub(crate) struct Turn<'p, 'a> {
    place: &'p mut Place<'a>,
    /// One of those in this process that write to the session, while an attempt was beaten and the next one is to come.
    writer: Option<Writer<'a>>,
}

/// Changes on their way to the store, until the outcome is known. A call that fails or is dropped leaves them here.
#[derive(Debug)]
pub(crate) enum InFlight {
    /// A write within a generation. The record tells by the write's revision whether it was applied.
    Write { write: Write, carried: Delta },
    /// A new session. Nobody else knows its id, so it goes on under a fresh one.
    Creation { carried: Delta },
    /// A login or renewal. If the session is still of the generation that was loaded, it was not applied.
    Generation { carried: Delta },
}

/// What a write is planned on: all of one version of the state.
pub(crate) struct View {
    pub(crate) standing: Standing,
    pub(crate) pending: Delta,
    pub(crate) version: u64,
}

/// What is to take the place of what is stored, as it was planned on one version of the state.
pub(crate) struct Edit {
    base: Arc<Found>,
    write: Write,
    version: u64,
}

/// What became of one attempt.
#[must_use]
#[derive(Debug)]
pub(crate) enum Attempted<T = Arc<Found>> {
    Done(T),
    /// Another was quicker, in this request or elsewhere. The changes wait for the next attempt.
    Beaten,
    /// Another login or renewal was quicker than this one. The changes wait, and the session is not lost yet.
    Overtaken(Arc<Found>),
}

/// Whether the changes went along with a write.
#[must_use]
pub(crate) enum Carried {
    All,
    /// Others have come in between: the write was planned on an earlier version.
    Outdated,
}

impl View {
    pub(crate) fn edit(&self, base: &Arc<Found>, header: Header, data: Data, expiry: Expiry) -> Result<Edit, Error> {
        let write = Write::new(base, Record { header, data }, expiry)?;
        Ok(Edit { base: base.clone(), write, version: self.version })
    }

    /// The changes over what is stored.
    pub(crate) fn merged(&self) -> Result<Data, Error> {
        self.standing.with_stored(|stored| self.pending.apply(stored))
    }
}

impl InFlight {
    fn into_carried(self) -> Delta {
        match self {
            Self::Write { carried, .. } | Self::Creation { carried } | Self::Generation { carried } => carried,
        }
    }
}

impl Deref for Place<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        self.exchange
    }
}

impl<'a> Deref for Turn<'_, 'a> {
    type Target = Place<'a>;

    fn deref(&self) -> &Place<'a> {
        self.place
    }
}

impl DerefMut for Turn<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.place
    }
}

impl Inner {
    /// Waits for the exchange's own writes that came before.
    pub(crate) async fn place(&self) -> Place<'_> {
        Place { exchange: self, in_flight: self.in_flight.lock().await }
    }
}

impl<'a> Place<'a> {
    /// Resolves what an earlier call left in flight when it failed or was dropped: after that it is this one's turn.
    pub(crate) async fn resolve(&mut self) -> Result<Turn<'_, 'a>, Error> {
        match &*self.in_flight {
            None => {}
            // Boxed: most calls find nothing in flight.
            Some(InFlight::Write { write, .. }) => {
                let write = write.clone();
                let settled = Box::pin(write.settle_again(&self.store)).await;
                let _ = self.finish(settled)?;
            }
            // If the login was overtaken, the session that was loaded is another login's now. So this exchange has lost it.
            Some(InFlight::Creation { .. } | InFlight::Generation { .. }) => {
                let id = self.state().standing.live().map(|live| live.found.id);
                if let Some(id) = id {
                    let now = Box::pin(read(&self.store, &id)).await?;
                    let _ = self.adopt(now);
                }
                self.put_back();
                self.rebase()?;
            }
        }
        Ok(Turn { place: self, writer: None })
    }

    /// The same, for what gives the client a token.
    pub(crate) async fn resolve_for_token(&mut self) -> Result<Turn<'_, 'a>, Error> {
        self.judge_open()?;
        self.resolve().await
    }

    /// A response that has left carries no token any more.
    pub(crate) fn judge_open(&self) -> Result<(), Error> {
        if self.state().sent { Err(Error::ResponseSent) } else { Ok(()) }
    }

    /// The session is another request's now: nothing is created or sent any more.
    pub(crate) fn lose(&mut self, loss: Loss) -> Loss {
        self.drop_in_flight();
        let mut state = self.state();
        state.answer = Answer::Nothing;
        state.standing.lose(loss)
    }

    /// Goes on with what the store has now.
    ///
    /// # Errors
    ///
    /// [`Loss`], where the session has ended or is of another generation.
    pub(crate) fn follow(&mut self, now: Option<Arc<Found>>) -> Result<(), Error> {
        self.adopt(now)?;
        self.rebase()
    }

    /// The same, for who looks at the standing afterwards: it may be `Lost`.
    pub(crate) fn follow_even_if_lost(&mut self, now: Option<Arc<Found>>) -> Result<(), Error> {
        let _ = self.adopt(now);
        self.rebase()
    }

    fn adopt(&mut self, now: Option<Arc<Found>>) -> Result<(), Loss> {
        let mut turned = None;
        let mut state = self.exchange.state();
        let followed = state.standing.follow(now, |now| {
            turned = self.turned_unread(now).map(|unread| (now.id, unread));
            turned.clone().map(|(_, unread)| unread)
        });
        if let Err(loss) = followed {
            drop(state);
            return Err(self.lose(loss));
        }
        // Also where the changes cannot be worked out over it: what was measured was the state before.
        state.seen.length = None;
        state.version += 1;
        drop(state);
        if let Some((id, unread)) = turned {
            self.tell_unread(id, &unread);
        }
        Ok(())
    }

    /// Takes over a session that this exchange has just created, logged in or renewed, and sends its token.
    pub(crate) fn enter(&mut self, found: Arc<Found>, secret: SessionSecret) {
        let answer = Answer::token(secret.clone(), &found);
        self.drop_in_flight();
        let mut state = self.state();
        state.standing.enter(Live::of_ours(found, secret));
        state.answer = answer;
        state.version += 1;
    }

    /// The session has ended by the client's own will: the handle is an empty new one, the browser forgets its cookie.
    pub(crate) fn end(&mut self) {
        self.start_over(|_| Delta::default());
    }

    /// The same, but what this request has changed goes into the new session.
    pub(crate) fn end_keeping_changes(&mut self) -> Result<(), Error> {
        self.start_over(|state| mem::take(&mut state.pending));
        self.rebase()
    }

    fn start_over(&mut self, keep: impl FnOnce(&mut State) -> Delta) {
        self.drop_in_flight();
        let mut state = self.state();
        let pending = keep(&mut state);
        let State { noted, has_ended, skip_touch, sent, version, only_login_may_answer, .. } = *state;
        let has_token = self.cookie_present || !self.presented.is_empty();
        // If only a login may answer, another login's cookie may be on its way to the browser: a removal would remove it.
        let answer = if has_token && !only_login_may_answer { Answer::Removal } else { Answer::Nothing };
        let (standing, version) = (Standing::after_end(only_login_may_answer), version + 1);
        let kept = State { noted, has_ended, skip_touch, sent, version, only_login_may_answer, ..State::default() };
        let old = mem::replace(&mut *state, State { standing, pending, answer, ..kept });
        drop(state);
        // Unlocked: what the closures of the application hold is dropped here.
        drop(old);
    }

    /// The changes on their way have arrived, or will not be sent again.
    pub(crate) fn drop_in_flight(&mut self) {
        *self.in_flight = None;
    }

    /// The changes on their way have not arrived: they wait for the next write.
    pub(crate) fn put_back(&mut self) {
        let Some(carried) = self.in_flight.take().map(InFlight::into_carried) else { return };
        loop {
            let View { pending, version, .. } = self.view();
            let merged = carried.clone().then(pending);
            let mut state = self.state();
            if state.version == version {
                let old = mem::replace(&mut state.pending, merged);
                drop(state);
                drop(old);
                return;
            }
        }
    }

    /// What became of a write within a generation.
    fn finish(&mut self, settled: Result<Settled, Error>) -> Result<Attempted, Error> {
        match settled {
            Ok(Settled::Applied(found)) => {
                self.drop_in_flight();
                // Also where a login has overtaken it since: then this exchange has lost the session, not the write.
                self.follow_even_if_lost(Some(found.clone()))?;
                Ok(Attempted::Done(found))
            }
            Ok(Settled::Conflict(found)) => {
                self.put_back();
                self.follow_even_if_lost(Some(found))?;
                Ok(Attempted::Beaten)
            }
            Ok(Settled::Gone) => {
                self.follow_even_if_lost(None)?;
                Ok(Attempted::Beaten)
            }
            Err(Error::OutcomeUnknown) => {
                // To merge the changes again could apply them twice.
                self.drop_in_flight();
                Err(Error::OutcomeUnknown)
            }
            Err(error) => Err(error),
        }
    }

    /// What became of a login or renewal. It stays in flight until `enter` has taken it over or `lose` has dropped it.
    fn finish_generation(&mut self, own: u32, settled: Settled) -> Result<Attempted, Error> {
        match settled {
            Settled::Applied(found) if found.header().generation == own => Ok(Attempted::Done(found)),
            Settled::Applied(_) => Err(self.lose(Loss::Superseded).into()),
            Settled::Gone => Err(self.lose(Loss::Gone).into()),
            Settled::Conflict(found) => {
                self.put_back();
                let is_overtaken = found.header().generation >= own;
                if is_overtaken {
                    return Ok(Attempted::Overtaken(found));
                }
                self.follow(Some(found))?;
                Ok(Attempted::Beaten)
            }
        }
    }
}

impl<'a> Turn<'_, 'a> {
    /// One attempt: judges the size, sends the write with the changes that it was made of until its outcome is known, and
    /// goes on with what became of it.
    pub(crate) async fn attempt(&mut self, edit: Edit, patience: &mut Patience) -> Result<Attempted, Error> {
        let Edit { base, write, version } = edit;
        self.judge_size(&write, &base)?;
        let mut writer = self.writer(base.id);
        let next = writer.next(base.revision).await;
        if let Next::Look(now) = next {
            self.writer = Some(writer);
            patience.take_back();
            // Boxed: who has its turn at once needs no room for it.
            return Box::pin(self.look(now, &base)).await;
        }
        let Carried::All = self.carry(version, |carried| InFlight::Write { write: write.clone(), carried }) else {
            // It keeps its place in line, and what it has waited already.
            writer.end(None);
            self.writer = Some(writer);
            return Ok(Attempted::Beaten);
        };
        let settled = write.settle(&self.store, patience, &mut writer).await;
        self.writer = Some(writer);
        self.finish(settled)
    }

    /// The same for a login or renewal. It waits for no turn.
    pub(crate) async fn attempt_generation(&mut self, edit: Edit, patience: &mut Patience) -> Result<Attempted, Error> {
        let Edit { base, write, version } = edit;
        self.judge_size(&write, &base)?;
        let Carried::All = self.carry(version, |carried| InFlight::Generation { carried }) else {
            return Ok(Attempted::Beaten);
        };
        let mut without_turn = self.place.exchange.site.writers.writer(base.id);
        let settled = write.settle(&self.store, patience, &mut without_turn).await?;
        self.finish_generation(write.written.header().generation, settled)
    }

    fn judge_size(&self, write: &Write, base: &Found) -> Result<(), Error> {
        self.site().policy.judge_size(&write.written.record.data, &base.record.data)
    }

    /// One of those of this process that write to this session. It goes on where the attempt before has left it.
    fn writer(&mut self, id: SessionId) -> Writer<'a> {
        let of_before = self.writer.take().filter(|writer| writer.is_of(id));
        of_before.unwrap_or_else(|| self.place.exchange.site.writers.writer(id))
    }

    /// Goes on with what another writer of this process has just written, or else with what the store has.
    async fn look(&mut self, now: Option<Arc<Found>>, base: &Found) -> Result<Attempted, Error> {
        let now = match now {
            Some(now) => Some(Arc::new(base.overtaken_by(&now))),
            None => read(&self.store, &base.id).await?,
        };
        self.follow_even_if_lost(now)?;
        Ok(Attempted::Beaten)
    }

    /// Moves the pending changes into the write that was made of them.
    pub(crate) fn carry(&mut self, version: u64, in_flight: impl FnOnce(Delta) -> InFlight) -> Carried {
        let mut state = self.exchange.state();
        if state.version != version {
            return Carried::Outdated;
        }
        let carried = mem::take(&mut state.pending);
        drop(state);
        *self.in_flight = Some(in_flight(carried));
        Carried::All
    }
}
