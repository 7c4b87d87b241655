//! Whose turn it is to write, and what is on its way to the store.
//!
//! An exchange's own writes go one after the other. [`Place`] is a place in that order: it owns what is in flight. A
//! [`Turn`] is a place with nothing left in flight by an earlier call, and only a turn sends changes. Three operations
//! need the place before they may have the turn: a commit that cannot resolve counts as sent all the same; a logout drops
//! what is in flight and asks the store nothing about it; a login whose response has left is refused before any I/O.

use std::{mem, ops::Deref, sync::Arc};

use tokio::sync::MutexGuard;

use crate::{
    Error, Expiry,
    exchange::{Answer, Attempted, Edit, Inner, Live, Loss, Standing, State, Turn},
    record::{Data, Delta, Found, Header, Record},
    request::SessionSecret,
    store::{Settled, Write, read},
};

/// A place in the order of the exchange's writes, with what is in flight.
pub(crate) struct Place<'a> {
    exchange: &'a Inner,
    pub(super) in_flight: MutexGuard<'a, Option<InFlight>>,
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
    pub(crate) skip_touch: bool,
}

impl View {
    /// What a write does to the expiry: it is a use of the session, unless the request is a poll.
    pub(crate) fn use_of(&self, found: &Found) -> Expiry {
        if self.skip_touch { Expiry::Keep } else { Expiry::Extend(found.header().lifetime.idle) }
    }

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
                Box::pin(self.site.writers.let_groups_end(write.written.id)).await;
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
        Ok(Turn::new(self))
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
    pub(super) fn finish(&mut self, settled: Result<Settled, Error>) -> Result<Attempted, Error> {
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
    pub(super) fn finish_generation(&mut self, own: u32, settled: Settled) -> Result<Attempted, Error> {
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
