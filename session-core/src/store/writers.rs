//! The writers of one process take turns at a session, so that they do not beat one another.
//!
//! A turn is the time of one compare-and-swap, and who has it waits for no other one. It is no lock: who has waited for 50 ms
//! writes without a turn, as other processes do, and the compare-and-swap decides.
//!
//! Those who wait for the same turn share it, where they can: [`group`].

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::{oneshot, watch},
    time::{Instant, timeout_at},
};

use self::group::Group;
use crate::{Expiry, Revision, SessionId, record::Found};

mod group;

pub(crate) use self::group::{Told, Way};

/// How long a writer waits for turns, in all its attempts together.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// The writers of this process, by session.
#[derive(Default)]
pub(crate) struct Writers(Mutex<Lines>);

type Lines = HashMap<SessionId, Line, BuildHasherDefault<OfId>>;

/// A part of an id in place of a hash. Ids are random, and only those of sessions that are being written are here. An id is
/// written after its length, so the last write counts.
#[derive(Default)]
struct OfId(u64);

impl Hasher for OfId {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(part) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*part);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Who is about to write to a session. When it is dropped, the turn goes to the next one.
pub(crate) struct Writer {
    writers: Arc<Writers>,
    id: SessionId,
    /// `None`: it is not in the map.
    place: Option<Place>,
    /// From then on it writes without a turn.
    patient_until: Option<Instant>,
}

/// What a writer knows of its line.
#[derive(Clone, Copy)]
struct Place {
    /// The revision that it has.
    base: Revision,
    /// The turns after this one have begun when it had that already. So what they have written is newer.
    since: Number,
    /// It has looked at the store since this turn ended.
    seen: Number,
    turn: Option<Number>,
    /// The turn that it found when it first waited.
    behind: Option<Number>,
    /// It has waited, and has not had its turn yet.
    is_waiting: bool,
}

/// Whether a writer builds on what another one has not sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// Then both are sent as one.
    Yes,
    No,
}

impl Joins {
    /// A runtime that is busy holds up nobody on another one. So only writers on one runtime join one another.
    fn on(self) -> Option<Id> {
        if self == Self::No {
            return None;
        }
        Handle::try_current().ok().map(|runtime| runtime.id())
    }
}

/// What a writer does next.
pub(crate) enum Next {
    /// It sends its compare-and-swap.
    Write,
    /// Another one is about to write this. It plans its own write on that, and asks again.
    Build(Unsent),
    /// Another one has written. It goes on with this, as if it had loaded it. `None`: it has to load.
    Look(Option<Arc<Found>>),
}

/// What the writers of a group are about to write, as the last of them has it.
#[derive(Clone, Debug)]
pub(crate) struct Unsent {
    pub(crate) found: Arc<Found>,
    /// What they do to the expiry, all together.
    pub(crate) expiry: Expiry,
    /// How many they are.
    pub(crate) writes: usize,
}

enum Step {
    Ready(Next),
    Wait(oneshot::Receiver<()>, Instant),
}

/// Turns are numbered in their order.
type Number = u64;

/// The writers of one session.
#[derive(Default)]
struct Line {
    writers: usize,
    /// How many turns have begun.
    begun: Number,
    turn: Option<Number>,
    last: Option<Ended>,
    /// Those who share the turn and have not sent anything: they wait for who was called to join them.
    open: Option<Group>,
    /// The groups that have set out and have no answer yet.
    on_their_way: Vec<watch::Receiver<()>>,
    /// Up to this turn a write of it may have been sent once more by itself.
    doubted: Number,
    /// Those who wait, the next one first.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    caller: oneshot::Sender<()>,
    /// The runtime on which it joins others.
    joins_on: Option<Id>,
}

/// The last turn that has ended.
struct Ended {
    number: Number,
    /// What it has written. `None`: it has not, or nobody knows.
    written: Option<Arc<Found>>,
}

impl Writers {
    pub(crate) fn writer(self: &Arc<Self>, id: SessionId) -> Writer {
        Writer { writers: Arc::clone(self), id, place: None, patient_until: None }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(crate) fn is_of(&self, id: SessionId) -> bool {
        self.id == id
    }

    /// Waits until it can write what it has made of the session under this revision, or has to look at the session again.
    pub(crate) async fn next(&mut self, base: Revision, joins: Joins) -> Next {
        loop {
            match self.step(base, joins) {
                Step::Ready(next) => {
                    #[cfg(feature = "metrics")]
                    if let Next::Build(_) | Next::Look(_) = next {
                        crate::numbers::merge();
                    }
                    return next;
                }
                // Boxed: most writers never wait, and need no room for it.
                Step::Wait(called, until) => {
                    let _ = Box::pin(timeout_at(until, called)).await;
                }
            }
        }
    }

    fn step(&mut self, base: Revision, joins: Joins) -> Step {
        let is_over = self.patient_until.is_some_and(|until| until <= Instant::now());
        let mut lines = self.writers.lines();
        let line = lines.entry(self.id).or_default();
        let place = self.place.get_or_insert_with(|| line.enter(base));
        if place.base != base {
            (place.base, place.since) = (base, line.begun);
        }
        if let Some(open) = line.open.as_ref().filter(|open| open.is_on(joins.on())) {
            let unsent = open.unsent();
            let is_had = unsent.found.revision == base;
            return Step::Ready(if is_had { Next::Write } else { Next::Build(unsent) });
        }
        match line.turn {
            Some(turn) if !is_over => {
                let until = *self.patient_until.get_or_insert_with(|| Instant::now() + LONGEST_WAIT);
                return Step::Wait(line.wait(place, turn, joins), until);
            }
            // Others have had their turns while it waited. This one has just begun.
            Some(turn) if place.behind != Some(turn) => return Step::Ready(Next::Write),
            // That turn has lasted for 50 ms: it is over.
            Some(_) => {}
            None if is_over => {}
            None => {
                if let Some(next) = line.news_for(place) {
                    self.patient_until.get_or_insert_with(|| Instant::now() + LONGEST_WAIT);
                    return Step::Ready(next);
                }
            }
        }
        line.begin(place);
        Step::Ready(Next::Write)
    }

    /// Ends its turn, with what it has written.
    pub(crate) fn end(&mut self, written: Option<&Arc<Found>>) {
        let Some(place) = &mut self.place else { return };
        let Some(number) = place.turn.take() else { return };
        place.seen = number;
        let mut lines = self.writers.lines();
        let Some(line) = lines.get_mut(&self.id) else { return };
        if line.writers == 1 {
            self.place = None;
            lines.remove(&self.id);
            return;
        }
        let called = line.end(number, written);
        drop(lines);
        call(called);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A turn that ends here was given up on its way.
        self.end(None);
        let Some(place) = self.place.take() else { return };
        let mut lines = self.writers.lines();
        let Some(line) = lines.get_mut(&self.id) else { return };
        line.writers -= 1;
        if line.writers == 0 {
            let gone = lines.remove(&self.id);
            drop(lines);
            return drop(gone);
        }
        line.waiting.retain(|waiting| !waiting.caller.is_closed());
        let called = if place.is_waiting && line.turn.is_none() { line.next_waiting() } else { None };
        drop(lines);
        call(called);
        // It may have been called to join them. They wait for it no longer.
        if place.is_waiting {
            self.send_open();
        }
    }
}

/// Without the lock: it wakes a task.
fn call(waiting: Option<oneshot::Sender<()>>) {
    if let Some(waiting) = waiting {
        // Who has just given up waiting calls the next one.
        let _ = waiting.send(());
    }
}

impl Line {
    fn enter(&mut self, base: Revision) -> Place {
        self.writers += 1;
        Place { base, since: self.begun, seen: 0, turn: None, behind: None, is_waiting: false }
    }

    /// Behind the others. Who was called, and found that another one had come first, stays before them.
    fn wait(&mut self, place: &mut Place, turn: Number, joins: Joins) -> oneshot::Receiver<()> {
        let (caller, called) = oneshot::channel();
        let waiting = Waiting { caller, joins_on: joins.on() };
        if place.is_waiting {
            self.waiting.push_front(waiting)
        } else {
            self.waiting.push_back(waiting)
        }
        place.is_waiting = true;
        place.behind.get_or_insert(turn);
        called
    }

    /// What others have written, if this writer does not have it. It would be beaten.
    fn news_for(&self, place: &mut Place) -> Option<Next> {
        let last = self.last.as_ref().filter(|last| last.number > place.seen)?;
        if last.written.as_ref().is_some_and(|written| written.revision == place.base) {
            return None;
        }
        place.seen = last.number;
        // Of a turn that has begun after the writer came. An older one tells what was, and not what is.
        let Some(written) = last.written.as_ref().filter(|_| last.number > place.since) else {
            return Some(Next::Look(None));
        };
        (place.base, place.since) = (written.revision, last.number);
        Some(Next::Look(Some(Arc::clone(written))))
    }

    fn begin(&mut self, place: &mut Place) {
        self.begun += 1;
        self.turn = Some(self.begun);
        place.turn = self.turn;
        place.is_waiting = false;
    }

    /// Returns who is to be called. A turn that was over has ended already.
    fn end(&mut self, number: Number, written: Option<&Arc<Found>>) -> Option<oneshot::Sender<()>> {
        if self.turn == Some(number) {
            self.turn = None;
            self.last = Some(Ended { number, written: written.cloned() });
        }
        if self.turn.is_none() { self.next_waiting() } else { None }
    }

    fn next_waiting(&mut self) -> Option<oneshot::Sender<()>> {
        while let Some(Waiting { caller, .. }) = self.waiting.pop_front() {
            if !caller.is_closed() {
                return Some(caller);
            }
        }
        None
    }

    /// Where the next one is who joins others on this runtime.
    fn who_joins(&self, runtime: Id) -> Option<usize> {
        let joins = |waiting: &Waiting| waiting.joins_on == Some(runtime) && !waiting.caller.is_closed();
        self.waiting.iter().position(joins)
    }

    fn next_who_joins(&mut self, runtime: Id) -> Option<oneshot::Sender<()>> {
        let at = self.who_joins(runtime)?;
        self.waiting.remove(at).map(|waiting| waiting.caller)
    }
}

/// Their number alone: what they have written is the application's.
impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        let (sessions, writers) = (lines.len(), lines.values().map(|line| line.writers).sum::<usize>());
        f.debug_struct("Writers").field("sessions", &sessions).field("writers", &writers).finish()
    }
}

#[cfg(test)]
mod tests;
