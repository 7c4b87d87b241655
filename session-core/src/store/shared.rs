//! Trips to the database that several requests of one process share.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    task::yield_now,
};

use self::watch::Watch;
use crate::StoreError;

mod watch;

/// What a trip brings back: an answer for each question, in their order. The outer error is everybody's.
type Answers<A> = Result<Vec<Result<A, StoreError>>, StoreError>;
type Trip<A> = Pin<Box<dyn Future<Output = Answers<A>> + Send>>;

/// Lets questions that wait at the same moment share one trip to the database. It is for the author of a store.
/// [`ask`](Self::ask) is for reads, and [`ask_once`](Self::ask_once) for writes. A trip may have both.
///
/// A question that comes alone goes out at once. One that comes while a trip is under way waits for its end, and then goes
/// out with all that have come since. Who is answered and asks again at once comes along, too. After 25 to 50 ms they go out
/// without its end. So a question may wait for one trip more than its own, and for 50 ms at most, while the runtime runs. It
/// needs [`enable_time`](tokio::runtime::Builder::enable_time).
///
/// - A question never joins a trip that has begun. So a request reads what it has written before.
/// - A caller that is dropped, or that nobody polls, changes nothing for the others.
/// - An error of the whole trip reaches everybody in it. An error of one answer reaches only the one who has asked.
/// - Only callers on one runtime share trips and wait for one another. So a busy runtime holds up nobody on another.
///
/// A trip of several questions runs in a task, because each of its callers may be dropped. That task makes the next trip, too,
/// while several wait. It may end without an answer, such as when its runtime shuts down. Then `ask` asks again, alone.
/// `ask_once` does not.
///
/// # Examples
///
/// ```
/// use session_core::{SharedTrips, StoreError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// let lengths = SharedTrips::new("the dictionary", 64, |words: Vec<&str>| async move {
///     Ok(words.iter().map(|word| Ok(word.len())).collect())
/// });
/// assert_eq!(lengths.ask("session").await?, 7);
/// # Ok(())
/// # }
/// ```
pub struct SharedTrips<Q, A>(Arc<Inner<Q, A>>);

struct Inner<Q, A> {
    backend: &'static str,
    most: usize,
    trip: Box<dyn Fn(Vec<Q>) -> Trip<A> + Send + Sync>,
    lines: Mutex<Lines<Q, A>>,
}

/// The lines of the runtimes on which a trip is under way. There is seldom more than one.
struct Lines<Q, A> {
    all: Vec<Line<Q, A>>,
    last: Number,
}

struct Line<Q, A> {
    runtime: Handle,
    /// The trip whose end the callers wait for.
    under_way: Option<Number>,
    /// The longest waiting first.
    callers: VecDeque<Caller<Q, A>>,
    is_watched: bool,
    /// How often the watch has looked.
    looks: u64,
    /// The look at which it has last sent callers out.
    sent_out_at: u64,
}

/// Trips are numbered in the order in which they begin.
type Number = u64;

struct Caller<Q, A> {
    question: Q,
    answer: oneshot::Sender<Answer<A>>,
    /// The last look before they came.
    since: u64,
}

/// The error is rare and large. In a box it makes no answer larger that goes from one thread to another.
type Answer<A> = Result<A, Box<StoreError>>;

impl<Q: Send + 'static, A: Send + 'static> SharedTrips<Q, A> {
    /// A trip asks at most this many questions, at least one. The answers come in the order of the questions. The name of
    /// the database is for errors.
    pub fn new<F, R>(backend: &'static str, most: usize, trip: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Answers<A>> + Send + 'static,
    {
        let lines = Mutex::new(Lines { all: Vec::new(), last: 0 });
        let trip = Box::new(move |questions| -> Trip<A> { Box::pin(trip(questions)) });
        Self(Arc::new(Inner { backend, most: most.max(1), trip, lines }))
    }

    /// Asks alone or with others. Without an answer it asks again, alone.
    ///
    /// # Errors
    ///
    /// Those of the trip. [`StoreError::Unavailable`] if it brings no answer.
    pub async fn ask(&self, question: Q) -> Result<A, StoreError>
    where
        Q: Clone,
    {
        match self.0.line_up(question, Q::clone) {
            Place::First(_turn, question) => self.0.ask_alone(question).await,
            Place::Behind(answer, question) => match answer.await {
                Ok(answer) => answer.map_err(|error| *error),
                Err(_) => self.0.ask_alone(question).await,
            },
        }
    }

    /// Asks alone or with others, and never twice: a write that was done is not done again.
    ///
    /// A caller that is dropped before its trip begins has written nothing.
    ///
    /// # Errors
    ///
    /// Those of the trip. [`StoreError::Unavailable`] if it brings no answer: the write may be done or not.
    pub async fn ask_once(&self, question: Q) -> Result<A, StoreError> {
        match self.0.line_up(question, |_| ()) {
            Place::First(_turn, question) => self.0.ask_alone(question).await,
            Place::Behind(answer, ()) => match answer.await {
                Ok(answer) => answer.map_err(|error| *error),
                Err(_) => Err(self.0.unanswered()),
            },
        }
    }
}

/// Where a question stands.
enum Place<Q: Send + 'static, A: Send + 'static, K> {
    /// It goes out at once. Without a runtime nobody can wait for the end of its turn.
    First(Option<Turn<Q, A>>, Q),
    Behind(oneshot::Receiver<Answer<A>>, K),
}

impl<Q, A> Lines<Q, A> {
    fn next_number(&mut self) -> Number {
        self.last += 1;
        self.last
    }

    fn of(&mut self, runtime: Id) -> Option<&mut Line<Q, A>> {
        self.all.iter_mut().find(|line| line.runtime.id() == runtime)
    }

    /// The line of this runtime, if its callers wait for the end of this trip.
    fn behind(&mut self, trip: Option<Number>, runtime: Id) -> Option<&mut Line<Q, A>> {
        self.of(runtime).filter(|line| line.under_way == trip)
    }

    /// Notes the trip of a caller who comes alone.
    fn begin(&mut self, runtime: Handle) -> Number {
        let number = self.next_number();
        match self.of(runtime.id()) {
            Some(line) => line.under_way = Some(number),
            None => {
                let (under_way, callers) = (Some(number), VecDeque::new());
                self.all.push(Line { runtime, under_way, callers, is_watched: false, looks: 0, sent_out_at: 0 });
            }
        }
        number
    }

    fn remove(&mut self, runtime: Id) -> Option<Line<Q, A>> {
        let at = self.all.iter().position(|line| line.runtime.id() == runtime)?;
        Some(self.all.swap_remove(at))
    }
}

impl<Q, A> Inner<Q, A> {
    fn lines(&self) -> MutexGuard<'_, Lines<Q, A>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Send + 'static, A: Send + 'static> Inner<Q, A> {
    /// Who has to wait keeps what `keep` makes of the question.
    fn line_up<K>(self: &Arc<Self>, question: Q, keep: impl FnOnce(&Q) -> K) -> Place<Q, A, K> {
        let Ok(runtime) = Handle::try_current() else { return Place::First(None, question) };
        let (id, kept) = (runtime.id(), keep(&question));
        let mut lines = self.lines();
        let Some(line) = lines.of(id).filter(|line| line.under_way.is_some()) else {
            let number = lines.begin(runtime);
            let turn = Turn { trips: Arc::clone(self), runtime: id, number, hurry: Hurry::No, has_begun: true };
            return Place::First(Some(turn), question);
        };
        let (sender, answer) = oneshot::channel();
        line.callers.push_back(Caller { question, answer: sender, since: line.looks });
        let is_watched = line.is_watched;
        drop(lines);
        if !is_watched {
            // A runtime that shuts down drops the watch here, which needs the lock.
            runtime.spawn(Watch::new(self, id).keep());
        }
        Place::Behind(answer, kept)
    }

    async fn ask_alone(&self, question: Q) -> Result<A, StoreError> {
        let answers = (self.trip)(vec![question]).await?;
        answers.into_iter().next().unwrap_or_else(|| Err(self.unanswered()))
    }

    fn unanswered(&self) -> StoreError {
        StoreError::unavailable(self.backend, Unanswered)
    }

    /// Sends those who wait for this trip on the next one, together. If nobody waits, nobody is under way.
    fn set_out_after(self: &Arc<Self>, trip: Option<Number>, runtime: Id, hurry: Hurry) {
        let mut lines = self.lines();
        let number = lines.next_number();
        let Some(line) = lines.behind(trip, runtime) else { return };
        if line.callers.is_empty() {
            line.under_way = None;
            let idle = if line.is_watched { None } else { lines.remove(runtime) };
            drop(lines);
            return drop(idle);
        }
        line.under_way = Some(number);
        let handle = line.runtime.clone();
        drop(lines);
        // A runtime that shuts down drops the turn here, which needs the lock.
        handle.spawn(Turn { trips: Arc::clone(self), runtime, number, hurry, has_begun: false }.travel());
    }

    /// Makes one trip, and answers.
    async fn travel_with(&self, callers: Vec<Caller<Q, A>>) {
        let (questions, callers): (Vec<_>, Vec<_>) =
            callers.into_iter().map(|caller| (caller.question, caller.answer)).unzip();
        let mut answers = (self.trip)(questions).await.map(Vec::into_iter);
        for caller in callers {
            let answer = match &mut answers {
                Ok(answers) => answers.next(),
                Err(error) => Some(Err(error.clone())),
            };
            // Without an answer the caller is dropped, and learns that there is none.
            if let Some(answer) = answer {
                let _nobody_waits = caller.send(answer.map_err(Box::new));
            }
        }
    }
}

/// The right to be under way. When it is dropped, those who wait set out, unless they have not waited for its end.
struct Turn<Q: Send + 'static, A: Send + 'static> {
    trips: Arc<Inner<Q, A>>,
    runtime: Id,
    number: Number,
    hurry: Hurry,
    has_begun: bool,
}

/// Whether those for whom a trip has no place go at the same moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hurry {
    /// They have waited long enough.
    Yes,
    /// They wait for its end.
    No,
}

impl<Q: Send + 'static, A: Send + 'static> Turn<Q, A> {
    /// Makes trip after trip, while several wait.
    async fn travel(mut self) {
        loop {
            if self.hurry == Hurry::No {
                // Who has just been answered often asks again at once, and comes along. So the trips are fewer and larger.
                yield_now().await;
            }
            let callers = self.begin();
            if callers.is_empty() {
                return;
            }
            if mem::replace(&mut self.hurry, Hurry::No) == Hurry::Yes && self.is_waited_for() {
                self.trips.set_out_after(Some(self.number), self.runtime, Hurry::Yes);
            }
            let is_shared = callers.len() > 1;
            self.trips.travel_with(callers).await;
            // A caller that is alone goes out at once, and waits for no task.
            if !is_shared {
                return;
            }
        }
    }

    fn is_waited_for(&self) -> bool {
        self.trips.lines().behind(Some(self.number), self.runtime).is_some_and(|line| !line.callers.is_empty())
    }

    /// Those who wait longest, as many as a trip can take. Nobody, if they have set out without this turn.
    fn begin(&mut self) -> Vec<Caller<Q, A>> {
        self.has_begun = true;
        let mut lines = self.trips.lines();
        let number = lines.next_number();
        let Some(line) = lines.behind(Some(self.number), self.runtime) else { return Vec::new() };
        line.under_way = Some(number);
        self.number = number;
        let (mut callers, mut gone) = (Vec::with_capacity(line.callers.len().min(self.trips.most)), Vec::new());
        while callers.len() < self.trips.most
            && let Some(caller) = line.callers.pop_front()
        {
            if caller.answer.is_closed() { gone.push(caller) } else { callers.push(caller) }
        }
        // Without the lock: what they asked may have code of its own in its drop.
        drop(lines);
        drop(gone);
        callers
    }
}

impl<Q: Send + 'static, A: Send + 'static> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        if self.has_begun {
            self.trips.set_out_after(Some(self.number), self.runtime, Hurry::No);
        } else if let Some(line) = self.trips.lines().behind(Some(self.number), self.runtime) {
            // Its runtime shuts down, or has done so. The end of the watch tells those who wait.
            line.under_way = None;
        }
    }
}

/// Another handle on the same trips.
impl<Q, A> Clone for SharedTrips<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A> fmt::Debug for SharedTrips<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lines();
        let is_under_way = lines.all.iter().any(|line| line.under_way.is_some());
        let count: usize = lines.all.iter().map(|line| line.callers.len()).sum();
        drop(lines);
        f.debug_struct("SharedTrips").field("is_under_way", &is_under_way).field("waiting", &count).finish()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the trip ended without this answer")]
struct Unanswered;
