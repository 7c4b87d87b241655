//! The one attempt that every write goes through.
//!
//! Several requests of this process may wait to write to one session. Then one plans its write on what another is about to
//! write, and both are sent as one ([`Unsent`]). That may never be stored. So it decides what a compare-and-swap sends, and
//! nothing else: who answers without a write, gives the client a token, or fails looks at what is stored.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::{
    Error, SessionId,
    exchange::{InFlight, Place, Standing, View},
    record::{Delta, Found},
    store::{Joins, Next, Patience, Unsent, Write, Writer, read},
};

/// The turn to write: nothing of an earlier call is in flight any more.
pub(crate) struct Turn<'p, 'a> {
    place: &'p mut Place<'a>,
    /// One of those in this process that write to the session, while an attempt was beaten and the next one is to come.
    writer: Option<Writer>,
    joins: Joins,
    /// What others of this process are about to write: the next attempt is planned on it.
    unsent: Option<Unsent>,
}

/// What is to take the place of what is stored, as it was planned on one version of the state.
pub(crate) struct Edit {
    pub(super) base: Arc<Found>,
    pub(super) write: Write,
    pub(super) version: u64,
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

impl<T> Attempted<T> {
    pub(crate) fn map<U>(self, of: impl FnOnce(T) -> U) -> Attempted<U> {
        match self {
            Self::Done(done) => Attempted::Done(of(done)),
            Self::Beaten => Attempted::Beaten,
            Self::Overtaken(now) => Attempted::Overtaken(now),
        }
    }
}

/// Whether the changes went along with a write.
#[must_use]
pub(crate) enum Carried {
    All,
    /// Others have come in between: the write was planned on an earlier version.
    Outdated,
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

impl<'p, 'a> Turn<'p, 'a> {
    pub(super) fn new(place: &'p mut Place<'a>) -> Self {
        Self { place, writer: None, joins: Joins::No, unsent: None }
    }

    /// One attempt: judges the size, sends the write with the changes that it was made of until its outcome is known, and
    /// goes on with what became of it. The edit is spent then. It is lent because the future would have room for it twice.
    pub(crate) async fn attempt(&mut self, edit: &mut Edit, patience: &mut Patience) -> Result<Attempted, Error> {
        match self.judge_size(edit) {
            Err(_) if self.leave_group() => return Ok(Attempted::Beaten),
            judged => judged?,
        }
        let mut writer = self.writer(edit.base.id);
        match writer.next(edit.base.revision, self.joins).await {
            Next::Write => {}
            next @ (Next::Build(_) | Next::Look(_)) => {
                self.writer = Some(writer);
                patience.take_back();
                // Boxed: who has its turn at once needs no room for it.
                return Box::pin(self.look(next, &edit.base)).await;
            }
        }
        if let Some(unsent) = self.unsent.take() {
            edit.write.within(&unsent);
        }
        let Carried::All = self.carry(edit.version, |carried| InFlight::Write { write: edit.write.clone(), carried })
        else {
            // It keeps its place in line, and what it has waited already.
            writer.end(None);
            self.writer = Some(writer);
            return Ok(Attempted::Beaten);
        };
        let settled = edit.write.settle(&self.store, patience, &mut writer).await;
        self.writer = Some(writer);
        self.finish(settled)
    }

    /// The same for a login or renewal. It waits for no turn.
    pub(crate) async fn attempt_generation(&mut self, edit: Edit, patience: &mut Patience) -> Result<Attempted, Error> {
        self.judge_size(&edit)?;
        let Carried::All = self.carry(edit.version, |carried| InFlight::Generation { carried }) else {
            return Ok(Attempted::Beaten);
        };
        let mut without_turn = self.site.writers.writer(edit.base.id);
        let settled = edit.write.settle(&self.store, patience, &mut without_turn).await?;
        self.finish_generation(edit.write.written.header().generation, settled)
    }

    fn judge_size(&self, edit: &Edit) -> Result<(), Error> {
        self.site().policy.judge_size(&edit.write.written.record.data, &edit.base.record.data)
    }

    /// One of those of this process that write to this session. It goes on where the attempt before has left it.
    fn writer(&mut self, id: SessionId) -> Writer {
        let of_before = self.writer.take().filter(|writer| writer.is_of(id));
        of_before.unwrap_or_else(|| self.site.writers.writer(id))
    }

    /// Goes on with what another writer of this process has just written, or else with what the store has. Or plans the next
    /// attempt on what others are about to write.
    async fn look(&mut self, next: Next, base: &Found) -> Result<Attempted, Error> {
        self.unsent = None;
        let now = match next {
            Next::Build(unsent) => {
                let found = Arc::new(base.overtaken_by(&unsent.found));
                let is_overtaken = found.header().generation != base.header().generation;
                self.unsent = Some(Unsent { found, ..unsent });
                if is_overtaken {
                    self.leave_group();
                }
                return Ok(Attempted::Beaten);
            }
            Next::Look(Some(now)) => Some(Arc::new(base.overtaken_by(&now))),
            Next::Look(None) | Next::Write => read(&self.store, &base.id).await?,
        };
        self.follow_even_if_lost(now)?;
        Ok(Attempted::Beaten)
    }

    /// From now on an attempt may be planned on what others of this process are about to write. That may never be stored. So
    /// it decides what a compare-and-swap sends, and nothing else.
    ///
    /// Who is failing has less time left than others.
    pub(crate) fn join_others(&mut self) {
        self.joins = if self.store.is_failing() { Joins::No } else { Joins::Yes };
    }

    /// Plans on what is stored from now on. Returns whether the last attempt was planned on what others are about to write.
    pub(crate) fn leave_group(&mut self) -> bool {
        self.joins = Joins::No;
        let was_in_one = self.unsent.take().is_some();
        if let Some(writer) = self.writer.as_ref().filter(|_| was_in_one) {
            writer.send_open();
        }
        was_in_one
    }

    /// What the next attempt is planned on: what is stored, or what others are about to write.
    pub(crate) fn view(&self) -> View {
        let mut view = self.place.view();
        if let (Some(unsent), Standing::Live(live)) = (&self.unsent, &mut view.standing) {
            live.found = Arc::clone(&unsent.found);
        }
        view
    }

    /// Moves the pending changes into the write that was made of them.
    pub(crate) fn carry(&mut self, version: u64, in_flight: impl FnOnce(Delta) -> InFlight) -> Carried {
        let mut state = self.state();
        if state.version != version {
            return Carried::Outdated;
        }
        let carried = mem::take(&mut state.pending);
        drop(state);
        *self.in_flight = Some(in_flight(carried));
        Carried::All
    }
}
