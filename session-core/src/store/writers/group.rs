//! Writes of several requests that go to the store as one.
//!
//! Each is built on the one before. So the last one has the changes of all, and its record remembers the revisions of all.
//! It alone is sent, over what the first one was built on: all are applied, or none. A task sends it, because each of those
//! who wait for its outcome may be dropped.
//!
//! While it is on its way nobody else sends a write of the group, with one exception. A request that has given up its save
//! and goes on asks the store what became of its write, and may send it once more. Before that it waits for the group to end
//! ([`Writers::let_groups_end`]). If it waits in vain, what was refused to the group is no answer for the others: each asks for
//! its own.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::{Handle, Id},
    sync::{oneshot, watch},
    time::{Instant, timeout_at},
};
use tracing::Instrument;

use super::{Line, Number, Place, Unsent, Writer, Writers, call};
use crate::{
    Error, SessionId,
    record::REVISIONS,
    store::{Patience, PatientStore, Settled, Write},
};

/// How many writes are sent as one at most. A record remembers one revision more: that of before them all.
const MOST: usize = REVISIONS - 1;

/// How long the last of a group waits for who was called to join it.
const LONGEST_WAIT: Duration = super::LONGEST_WAIT;

/// With when the store has failed first, where it is failing.
type Outcome = (Result<Settled, Error>, Option<Instant>);

/// How a write goes to the store.
pub(crate) enum Way {
    Alone,
    /// With those of others.
    Together(Told),
    /// What it was built on goes without it.
    Missed,
}

/// What will be told of a write of this turn. Without it, each finds out by itself.
pub(crate) struct Told {
    outcome: oneshot::Receiver<Outcome>,
    number: Number,
}

/// Writes of one turn that are not sent yet.
pub(super) struct Group {
    number: Number,
    /// The last one, over what the first one was built on.
    write: Write,
    members: Vec<oneshot::Sender<Outcome>>,
    store: PatientStore,
    patience: Patience,
    runtime: Handle,
}

/// A group on its way. It has the turn.
struct Sending {
    group: Group,
    writer: Writer,
    /// Dropped when it is over.
    _end: watch::Sender<()>,
}

impl Writers {
    /// Before somebody asks what became of a write that may be one of a group, and may send it once more by itself: waits
    /// until the groups of the session have their answers. Those that have none by then tell nobody that they were refused.
    pub(crate) async fn let_groups_end(self: &Arc<Self>, id: SessionId) {
        self.send_open(id);
        let ends = self.lines().get(&id).map(|line| line.on_their_way.clone()).unwrap_or_default();
        if ends.is_empty() {
            return;
        }
        let all_end = async {
            for mut end in ends {
                // It ends with the task.
                while end.changed().await.is_ok() {}
            }
        };
        if timeout_at(Instant::now() + LONGEST_WAIT, all_end).await.is_err() {
            self.doubt(id);
        }
    }

    fn doubt(&self, id: SessionId) {
        if let Some(line) = self.lines().get_mut(&id) {
            line.doubted = line.begun;
        }
    }

    /// Sends those who are waiting for one more.
    fn send_open(self: &Arc<Self>, id: SessionId) {
        let mut lines = self.lines();
        let sending = lines.get_mut(&id).and_then(|line| {
            let group = line.open.take()?;
            Some(line.set_out(group, self, id))
        });
        drop(lines);
        if let Some(sending) = sending {
            sending.spawn();
        }
    }
}

impl Writer {
    /// Joins those who share its turn, or lets those join it who wait for it. Without either it goes alone.
    pub(crate) fn join(&mut self, write: &Write, store: &PatientStore, patience: &Patience) -> Way {
        let Some(place) = &mut self.place else { return Way::Alone };
        let mut lines = self.writers.lines();
        let Some(line) = lines.get_mut(&self.id) else { return Way::Alone };
        let mut group = match line.open.take_if(|open| open.write.written.revision == write.expected) {
            Some(group) => group.and(write),
            None if write.unsent > 0 => return Way::Missed,
            None => match line.share(place, write, store, patience) {
                Some(group) => group,
                None => return Way::Alone,
            },
        };
        place.is_waiting = false;
        let told = group.add_member();
        let next = if group.has_room() { line.next_who_joins(group.runtime.id()) } else { None };
        if next.is_some() {
            line.open = Some(group);
            drop(lines);
            call(next);
        } else {
            let sending = line.set_out(group, &self.writers, self.id);
            drop(lines);
            sending.spawn();
        }
        Way::Together(told)
    }

    /// Waits for what became of its write. `None`: it has to find out by itself.
    pub(crate) async fn told(&mut self, told: Told) -> Option<Outcome> {
        let Told { mut outcome, number } = told;
        let outcome = match timeout_at(Instant::now() + LONGEST_WAIT, &mut outcome).await {
            Ok(outcome) => outcome,
            // Who was called may be a future that nobody polls.
            Err(_) => {
                self.send_open();
                outcome.await
            }
        };
        if let Some(place) = &mut self.place {
            place.seen = place.seen.max(number);
        }
        outcome.ok()
    }

    /// Sends those who are waiting for one more.
    pub(crate) fn send_open(&self) {
        self.writers.send_open(self.id);
    }

    fn is_doubted(&self, number: Number) -> bool {
        self.writers.lines().get(&self.id).is_some_and(|line| line.doubted >= number)
    }
}

impl Line {
    /// Makes the turn of this writer one of a group, if somebody waits who can join it.
    fn share(&self, place: &mut Place, write: &Write, store: &PatientStore, patience: &Patience) -> Option<Group> {
        // Who is failing has little time left, and the others have not.
        if self.waiting.is_empty() || self.open.is_some() || store.is_failing() {
            return None;
        }
        let runtime = Handle::try_current().ok().filter(|runtime| self.who_joins(runtime.id()).is_some())?;
        let number = place.turn.take()?;
        let (write, store, patience) = (write.clone(), store.for_several(), patience.clone());
        Some(Group { number, write, members: Vec::new(), store, patience, runtime })
    }

    /// The turn is that of the group, so it goes on if this writer is dropped.
    fn set_out(&mut self, group: Group, writers: &Arc<Writers>, id: SessionId) -> Sending {
        let place = Place { turn: Some(group.number), ..self.enter(group.write.expected) };
        let writer = Writer { writers: Arc::clone(writers), id, place: Some(place), patient_until: None };
        self.on_their_way.retain(|end| end.has_changed().is_ok());
        let (end, ends) = watch::channel(());
        self.on_their_way.push(ends);
        Sending { group, writer, _end: end }
    }
}

impl Group {
    pub(super) fn is_on(&self, runtime: Option<Id>) -> bool {
        runtime == Some(self.runtime.id())
    }

    pub(super) fn unsent(&self) -> Unsent {
        Unsent { found: Arc::clone(&self.write.written), expiry: self.write.expiry, writes: self.members.len() }
    }

    fn has_room(&self) -> bool {
        self.members.len() < MOST
    }

    fn add_member(&mut self) -> Told {
        let (member, outcome) = oneshot::channel();
        self.members.push(member);
        Told { outcome, number: self.number }
    }

    /// The same with one write more, which was built on the last one.
    fn and(mut self, write: &Write) -> Self {
        let expected = self.write.expected;
        self.write = Write { expected, ..write.clone() };
        self
    }
}

impl Sending {
    /// Without the lock: a runtime that shuts down drops it here.
    fn spawn(self) {
        let runtime = self.group.runtime.clone();
        runtime.spawn(self.send().in_current_span());
    }

    async fn send(mut self) {
        let Group { number, write, members, store, patience, .. } = self.group;
        let outcome = write.settle_alone(&store, &patience, &mut self.writer).await;
        // Those who are not told are dropped, and find out by themselves.
        let outcome = (outcome, store.failing_since());
        if matches!(outcome.0, Ok(Settled::Applied(_))) || !self.writer.is_doubted(number) {
            for member in members {
                let _nobody_waits = member.send(outcome.clone());
            }
        }
    }
}
