//! Trips to the database that several requests of one process share.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use crate::StoreError;

/// How long others wait for a trip that is under way. A trip that takes longer has usually lost its connection. It must
/// not hold up those that would get another.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// What a trip brings back: an answer for each question, in their order. The outer error is everybody's.
type Answers<A> = Result<Vec<Result<A, StoreError>>, StoreError>;
type Trip<A> = Pin<Box<dyn Future<Output = Answers<A>> + Send>>;

/// Lets questions that wait at the same moment share one trip to the database. It is for the author of a store.
///
/// A question that comes alone goes out at once. One that comes while a trip is under way waits for its end, for 50 ms at
/// most, and then goes out with all that have come since. So a question may wait for one trip more than its own.
///
/// - A question never joins a trip that has begun. So a request reads what it has written before.
/// - A caller that is dropped changes nothing for the others.
/// - An error of the whole trip reaches everybody in it. An error of one answer reaches only the one who has asked.
///
/// A trip of several questions runs in a task of its own, because each of its callers may be dropped.
///
/// # Examples
///
/// ```
/// use session_core::{SharedTrips, StoreError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// let lengths = SharedTrips::new("the dictionary", 128, |words: Vec<&str>| async move {
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
    is_under_way: bool,
    callers: VecDeque<(Q, oneshot::Sender<Result<A, StoreError>>)>,
}

impl<Q: Send + 'static, A: Send + 'static> SharedTrips<Q, A> {
    /// A trip asks at most this many questions, at least one. The answers come in the order of the questions. The name of
    /// the database is for errors.
    pub fn new<F, R>(backend: &'static str, most: usize, trip: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Answers<A>> + Send + 'static,
    {
        let waiting = Mutex::new(Waiting { is_under_way: false, callers: VecDeque::new() });
        let trip = Box::new(move |questions| -> Trip<A> { Box::pin(trip(questions)) });
        Self(Arc::new(Inner { backend, most: most.max(1), trip, waiting }))
    }

    /// Asks alone or with others.
    ///
    /// # Errors
    ///
    /// Those of the trip. [`StoreError::Unavailable`] if the task of a shared trip has ended before its answer, such as
    /// when the runtime shuts down.
    pub async fn ask(&self, question: Q) -> Result<A, StoreError> {
        match self.0.line_up(question) {
            Line::First(question, turn) => {
                let answers = turn.travel(vec![question]).await?;
                answers.into_iter().next().unwrap_or_else(|| Err(self.0.unanswered()))
            }
            Line::Behind(answer) => answer.await.unwrap_or_else(|_| Err(self.0.unanswered())),
        }
    }
}

impl<Q, A> Inner<Q, A> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<Q, A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unanswered(&self) -> StoreError {
        StoreError::unavailable(self.backend, Unanswered)
    }
}

impl<Q: Send + 'static, A: Send + 'static> Inner<Q, A> {
    fn line_up(self: &Arc<Self>, question: Q) -> Line<Q, A> {
        let mut waiting = self.waiting();
        if waiting.is_under_way {
            let (caller, answer) = oneshot::channel();
            waiting.callers.push_back((question, caller));
            Line::Behind(answer)
        } else {
            waiting.is_under_way = true;
            Line::First(question, Turn(Arc::clone(self)))
        }
    }

    /// Those who go next: of the longest waiting, as many as a trip can take. Nobody is under way where nobody waits.
    fn next(&self) -> Vec<(Q, oneshot::Sender<Result<A, StoreError>>)> {
        let mut waiting = self.waiting();
        waiting.callers.retain(|(_, caller)| !caller.is_closed());
        let count = waiting.callers.len().min(self.most);
        waiting.is_under_way = count > 0;
        waiting.callers.drain(..count).collect()
    }
}

enum Line<Q: Send + 'static, A: Send + 'static> {
    First(Q, Turn<Q, A>),
    Behind(oneshot::Receiver<Result<A, StoreError>>),
}

/// The right to be under way. When it is dropped, those who wait go out together.
struct Turn<Q: Send + 'static, A: Send + 'static>(Arc<Inner<Q, A>>);

impl<Q: Send + 'static, A: Send + 'static> Turn<Q, A> {
    async fn travel(self, questions: Vec<Q>) -> Answers<A> {
        let mut trip = pin!((self.0.trip)(questions));
        if let Ok(answers) = timeout(LONGEST_WAIT, &mut trip).await {
            return answers;
        }
        drop(self);
        trip.await
    }
}

impl<Q: Send + 'static, A: Send + 'static> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        // Outside of a runtime nothing can go out. Those who wait then get an error, because their callers are dropped.
        let Ok(runtime) = Handle::try_current() else {
            let mut waiting = self.0.waiting();
            waiting.is_under_way = false;
            waiting.callers.clear();
            return;
        };
        let next = self.0.next();
        if next.is_empty() {
            return;
        }
        let turn = Self(Arc::clone(&self.0));
        runtime.spawn(async move {
            let (questions, callers): (Vec<_>, Vec<_>) = next.into_iter().unzip();
            let mut answers = turn.travel(questions).await.map(Vec::into_iter);
            for caller in callers {
                let answer = match &mut answers {
                    Ok(answers) => answers.next(),
                    Err(error) => Some(Err(error.clone())),
                };
                // Without an answer the caller is dropped, and gets an error.
                if let Some(answer) = answer {
                    let _nobody_waits = caller.send(answer);
                }
            }
        });
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
        let is_under_way = waiting.is_under_way;
        let count = waiting.callers.len();
        f.debug_struct("SharedTrips").field("is_under_way", &is_under_way).field("waiting", &count).finish()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a trip that several requests have shared ended without this answer")]
struct Unanswered;
