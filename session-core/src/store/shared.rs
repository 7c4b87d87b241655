//! Trips to the database that several requests of one process share.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, task::yield_now, time::timeout};

use crate::StoreError;

/// How long a question waits for the trip that is under way. A trip that takes longer has usually lost its connection, or
/// nobody polls it. It must not hold up those that come after it.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// What a trip brings back: an answer for each question, in their order. The outer error is everybody's.
type Answers<A> = Result<Vec<Result<A, StoreError>>, StoreError>;
type Trip<A> = Pin<Box<dyn Future<Output = Answers<A>> + Send>>;

/// Lets questions that wait at the same moment share one trip to the database. It is for the author of a store.
/// [`ask`](Self::ask) is for reads, and [`ask_once`](Self::ask_once) for writes.
///
/// A question that comes alone goes out at once. One that comes while a trip is under way waits for its end, and then goes
/// out with all that have come since. Who is answered and asks again at once comes along, too. After 50 ms they go out
/// without its end. So a question may wait for one trip more than its own, and for 50 ms at most.
///
/// - A question never joins a trip that has begun. So a request reads what it has written before.
/// - A caller that is dropped, or that nobody polls, changes nothing for the others.
/// - An error of the whole trip reaches everybody in it. An error of one answer reaches only the one who has asked.
///
/// A trip of several questions runs in a task, because each of its callers may be dropped. That task makes the next trip, too,
/// while several wait. If its runtime is busy, those of other runtimes wait with it, for 50 ms at most. It may end without an
/// answer, such as when its runtime shuts down. Then `ask` asks again, alone. `ask_once` does not.
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
    waiting: Mutex<Waiting<Q, A>>,
}

struct Waiting<Q, A> {
    /// The trip whose end the callers wait for.
    under_way: Option<Number>,
    /// The longest waiting first, so in the order of their numbers.
    callers: VecDeque<Caller<Q, A>>,
    last: Number,
}

/// Trips and callers are numbered in the order in which they come.
type Number = u64;

struct Caller<Q, A> {
    number: Number,
    question: Q,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q: Send + 'static, A: Send + 'static> SharedTrips<Q, A> {
    /// A trip asks at most this many questions, at least one. The answers come in the order of the questions. The name of
    /// the database is for errors.
    pub fn new<F, R>(backend: &'static str, most: usize, trip: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Answers<A>> + Send + 'static,
    {
        let waiting = Mutex::new(Waiting { under_way: None, callers: VecDeque::new(), last: 0 });
        let trip = Box::new(move |questions| -> Trip<A> { Box::pin(trip(questions)) });
        Self(Arc::new(Inner { backend, most: most.max(1), trip, waiting }))
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
            Line::First(turn, question) => turn.travel_alone(question).await,
            Line::Behind(number, answer, question) => match self.0.wait(number, answer).await {
                Some(answer) => answer,
                None => self.0.ask_alone(question).await,
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
            Line::First(turn, question) => turn.travel_alone(question).await,
            Line::Behind(number, answer, ()) => {
                self.0.wait(number, answer).await.unwrap_or_else(|| Err(self.0.unanswered()))
            }
        }
    }
}

impl<Q, A> Inner<Q, A> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<Q, A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the callers wait for the end of this trip.
    fn is_under_way(&self, number: Number) -> bool {
        self.waiting().under_way == Some(number)
    }
}

impl<Q: Send + 'static, A: Send + 'static> Inner<Q, A> {
    /// Who has to wait keeps what `keep` makes of the question.
    fn line_up<K>(self: &Arc<Self>, question: Q, keep: impl FnOnce(&Q) -> K) -> Line<Q, A, K> {
        let mut waiting = self.waiting();
        waiting.last += 1;
        let number = waiting.last;
        if waiting.under_way.is_none() {
            waiting.under_way = Some(number);
            return Line::First(Turn { trips: Arc::clone(self), number, has_begun: true }, question);
        }
        let (kept, (sender, answer)) = (keep(&question), oneshot::channel());
        waiting.callers.push_back(Caller { number, question, answer: sender });
        Line::Behind(number, answer, kept)
    }

    async fn ask_alone(&self, question: Q) -> Result<A, StoreError> {
        let answers = (self.trip)(vec![question]).await?;
        answers.into_iter().next().unwrap_or_else(|| Err(self.unanswered()))
    }

    fn unanswered(&self) -> StoreError {
        StoreError::unavailable(self.backend, Unanswered)
    }

    /// The answer of a shared trip. `None` if the trip ends without it.
    async fn wait(
        self: &Arc<Self>,
        number: Number,
        mut answer: oneshot::Receiver<Result<A, StoreError>>,
    ) -> Option<Result<A, StoreError>> {
        loop {
            match timeout(LONGEST_WAIT, &mut answer).await {
                Ok(answer) => return answer.ok(),
                Err(_) if self.still_waits(number) => self.set_out(),
                Err(_) => return answer.await.ok(),
            }
        }
    }

    fn still_waits(&self, number: Number) -> bool {
        self.waiting().callers.binary_search_by_key(&number, |caller| caller.number).is_ok()
    }

    /// Sends those who wait on a trip together. If nobody waits, nobody is under way.
    fn set_out(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return self.stay() };
        let turn = {
            let mut waiting = self.waiting();
            if waiting.callers.is_empty() {
                waiting.under_way = None;
                return;
            }
            waiting.last += 1;
            waiting.under_way = Some(waiting.last);
            Turn { trips: Arc::clone(self), number: waiting.last, has_begun: false }
        };
        // Without the lock: a runtime that shuts down drops the task here.
        runtime.spawn(turn.travel());
    }

    /// There is no runtime for a trip. Each of those who wait has one, and sets out after its 50 ms.
    fn stay(&self) {
        self.waiting().under_way = None;
    }

    /// Those who wait longest, as many as a trip can take.
    fn take_callers(&self) -> Vec<Caller<Q, A>> {
        let mut waiting = self.waiting();
        waiting.callers.retain(|caller| !caller.answer.is_closed());
        let count = waiting.callers.len().min(self.most);
        waiting.callers.drain(..count).collect()
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
                let _nobody_waits = caller.send(answer);
            }
        }
    }
}

enum Line<Q: Send + 'static, A: Send + 'static, K> {
    First(Turn<Q, A>, Q),
    Behind(Number, oneshot::Receiver<Result<A, StoreError>>, K),
}

/// The right to be under way. When it is dropped, those who wait set out, unless they have not waited for its end.
struct Turn<Q: Send + 'static, A: Send + 'static> {
    trips: Arc<Inner<Q, A>>,
    number: Number,
    has_begun: bool,
}

impl<Q: Send + 'static, A: Send + 'static> Turn<Q, A> {
    async fn travel_alone(self, question: Q) -> Result<A, StoreError> {
        self.trips.ask_alone(question).await
    }

    /// Makes trip after trip, while several wait. Takes the callers only when it runs: until then each of them can set out
    /// without it.
    async fn travel(mut self) {
        loop {
            // Who has just been answered often asks again at once, and comes along. So the trips are fewer and larger.
            yield_now().await;
            self.has_begun = true;
            let callers = self.trips.take_callers();
            if callers.is_empty() {
                return;
            }
            let is_shared = callers.len() > 1;
            self.trips.travel_with(callers).await;
            // A caller that is alone goes out at once, and waits for no task. Those who have not waited for the end have set
            // out without it.
            if !is_shared || !self.trips.is_under_way(self.number) {
                return;
            }
        }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        match self.has_begun {
            _ if !self.trips.is_under_way(self.number) => {}
            true => self.trips.set_out(),
            false => self.trips.stay(),
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
        let waiting = self.0.waiting();
        let (is_under_way, count) = (waiting.under_way.is_some(), waiting.callers.len());
        f.debug_struct("SharedTrips").field("is_under_way", &is_under_way).field("waiting", &count).finish()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the trip ended without this answer")]
struct Unanswered;
