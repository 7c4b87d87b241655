//! Questions that share a trip. Time stands still while a test yields, so no trip is slow unless a test says so.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use session_core::{SharedTrips, StoreError};
use tokio::{
    runtime::{self, Runtime},
    sync::Semaphore,
    task::{JoinHandle, yield_now},
};

mod slow;

/// Questions are numbers. The answer is ten times as much, and an odd question above 100 has none.
struct Trips {
    shared: Arc<SharedTrips<u32, u32>>,
    begun: Arc<Mutex<Vec<Vec<u32>>>>,
    /// How many trips may end.
    may_end: Arc<Semaphore>,
}

const MOST: usize = 3;
/// A trip with this question fails.
const BROKEN: u32 = 13;
/// A trip with this question panics.
const PANICS: u32 = 666;
/// A trip with this question brings one answer too few.
const SHORT: u32 = 77;

fn error() -> StoreError {
    StoreError::backend("a test", io::Error::other("no answer"))
}

impl Trips {
    fn new() -> Self {
        let (begun, may_end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (told, gate) = (Arc::clone(&begun), Arc::clone(&may_end));
        let shared = SharedTrips::new("a test", MOST, move |questions: Vec<u32>| {
            told.lock().unwrap().push(questions.clone());
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                assert!(!questions.contains(&PANICS), "this trip was meant to panic");
                if questions.contains(&BROKEN) {
                    return Err(error());
                }
                let answer = |question: &u32| if *question > 100 { Err(error()) } else { Ok(question * 10) };
                let missing = usize::from(questions.contains(&SHORT));
                Ok(questions.iter().skip(missing).map(answer).collect())
            }
        });
        Self { shared: Arc::new(shared), begun, may_end }
    }

    /// Asks in a task, which has gone as far as it can.
    async fn ask(&self, question: u32) -> JoinHandle<Result<u32, StoreError>> {
        let shared = Arc::clone(&self.shared);
        let asked = tokio::spawn(async move { shared.ask(question).await });
        settle().await;
        asked
    }

    /// The same for a question that must not be asked twice.
    async fn ask_once(&self, question: u32) -> JoinHandle<Result<u32, StoreError>> {
        let shared = Arc::clone(&self.shared);
        let asked = tokio::spawn(async move { shared.ask_once(question).await });
        settle().await;
        asked
    }

    async fn end(&self, trips: usize) {
        self.may_end.add_permits(trips);
        settle().await;
    }

    fn begun(&self) -> Vec<Vec<u32>> {
        self.begun.lock().unwrap().clone()
    }
}

/// Lets every task go as far as it can. The clock moves only when a test waits, and yielding is no wait.
async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

fn one_thread() -> Runtime {
    runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_question_that_comes_alone_goes_alone() {
    let trips = Trips::new();
    for question in [1, 2] {
        let asked = trips.ask(question).await;
        trips.end(1).await;
        assert_eq!(asked.await.unwrap().unwrap(), question * 10);
    }
    assert_eq!(trips.begun(), [[1], [2]]);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_go_together_and_never_join_a_trip_that_has_begun() {
    let trips = Trips::new();
    let first = trips.ask(1).await;
    let (second, third) = (trips.ask(2).await, trips.ask(3).await);
    assert_eq!(trips.begun(), [vec![1]]);
    trips.end(1).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3]]);
    let late = trips.ask(2).await;
    trips.end(2).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3], vec![2]]);
    let answers = [first, second, third, late];
    for (asked, answer) in answers.into_iter().zip([10, 20, 30, 20]) {
        assert_eq!(asked.await.unwrap().unwrap(), answer);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_answered_and_asks_again_at_once_goes_with_those_who_wait() {
    for somebody_waits in [true, false] {
        let trips = Trips::new();
        let first = trips.ask(1).await;
        let asks_twice = |question: u32| {
            let shared = Arc::clone(&trips.shared);
            tokio::spawn(async move { (shared.ask(question).await.unwrap(), shared.ask(question + 20).await.unwrap()) })
        };
        let (second, third) = (asks_twice(2), asks_twice(3));
        settle().await;
        trips.end(1).await;
        assert_eq!(trips.begun(), [vec![1], vec![2, 3]]);
        let waiting = if somebody_waits { Some(trips.ask(9).await) } else { None };
        trips.end(1).await;
        let expected = if somebody_waits { vec![9, 22, 23] } else { vec![22, 23] };
        assert_eq!(trips.begun().last().unwrap(), &expected);
        trips.end(1).await;
        assert_eq!((second.await.unwrap(), third.await.unwrap()), ((20, 220), (30, 230)));
        assert_eq!(first.await.unwrap().unwrap(), 10);
        if let Some(waiting) = waiting {
            assert_eq!(waiting.await.unwrap().unwrap(), 90);
        }
        // Nobody is left: the next one goes at once.
        let late = trips.ask(4).await;
        assert_eq!(trips.begun().last().unwrap(), &[4]);
        trips.end(1).await;
        assert_eq!(late.await.unwrap().unwrap(), 40);
    }
}

/// The task of its trip may have its next turn late.
#[tokio::test(start_paused = true)]
async fn who_was_alone_in_the_trip_of_a_task_goes_at_once_the_next_time() {
    let trips = Trips::new();
    let first = trips.ask(1).await;
    let (shared, begun) = (Arc::clone(&trips.shared), Arc::clone(&trips.begun));
    let second = tokio::spawn(async move {
        shared.ask(2).await.unwrap();
        let mut next = std::pin::pin!(shared.ask(3));
        let is_pending = next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        let begun = begun.lock().unwrap().clone();
        (is_pending, begun, next.await.unwrap())
    });
    settle().await;
    trips.end(2).await;
    trips.end(1).await;
    assert_eq!(first.await.unwrap().unwrap(), 10);
    assert_eq!(second.await.unwrap(), (true, vec![vec![1], vec![2], vec![3]], 30));
}

#[tokio::test(start_paused = true)]
async fn a_trip_takes_no_more_than_it_can() {
    let trips = Trips::new();
    let mut asked = Vec::new();
    for question in 1..=6 {
        asked.push(trips.ask(question).await);
    }
    trips.end(3).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3, 4], vec![5, 6]]);
    for (asked, question) in asked.into_iter().zip(1..) {
        assert_eq!(asked.await.unwrap().unwrap(), question * 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_changes_nothing_for_the_others() {
    let trips = Trips::new();
    // One of those who wait, and the one whose trip they wait for.
    let (first, second, third) = (trips.ask(1).await, trips.ask(2).await, trips.ask(3).await);
    for dropped in [second, first] {
        dropped.abort();
        settle().await;
    }
    assert_eq!(trips.begun(), [vec![1], vec![3]]);
    // And one in a trip that has begun.
    let (fourth, fifth) = (trips.ask(4).await, trips.ask(5).await);
    trips.end(1).await;
    assert_eq!(third.await.unwrap().unwrap(), 30);
    assert_eq!(trips.begun().last().unwrap(), &[4, 5]);
    fourth.abort();
    trips.end(1).await;
    assert_eq!(fifth.await.unwrap().unwrap(), 50);
    let next = trips.ask(6).await;
    trips.end(1).await;
    assert_eq!(next.await.unwrap().unwrap(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_trip_is_everybodys_and_that_of_an_answer_is_its_own() {
    let trips = Trips::new();
    let first = trips.ask(1).await;
    let (broken, with_it) = (trips.ask(BROKEN).await, trips.ask(2).await);
    trips.end(1).await;
    let (bad, good) = (trips.ask(101).await, trips.ask(3).await);
    trips.end(2).await;
    assert_eq!(first.await.unwrap().unwrap(), 10);
    for asked in [broken, with_it, bad] {
        assert!(matches!(asked.await.unwrap(), Err(StoreError::Backend { .. })));
    }
    assert_eq!(good.await.unwrap().unwrap(), 30);
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_answer_of_a_trip_asks_alone() {
    for lost in [PANICS, SHORT] {
        let trips = Trips::new();
        let first = trips.ask(1).await;
        let (before, lost) = (trips.ask(2).await, trips.ask(lost).await);
        trips.end(1).await;
        let next = trips.ask(4).await;
        // The shared trip, the next one, and those who ask alone.
        trips.end(4).await;
        assert_eq!(first.await.unwrap().unwrap(), 10);
        assert_eq!(next.await.unwrap().unwrap(), 40);
        match lost.await {
            Ok(answer) => assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}"),
            Err(panicked) => assert!(panicked.is_panic()),
        }
        // A trip that brings one answer too few has its answers in the wrong places. That is the store's mistake.
        let before = before.await.unwrap().unwrap();
        assert!(before == 20 || trips.begun().concat().contains(&SHORT), "{before}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_alone_or_with_others_and_is_never_asked_twice() {
    let trips = Trips::new();
    let first = trips.ask_once(1).await;
    let (second, lost, dropped) = (trips.ask_once(2).await, trips.ask_once(PANICS).await, trips.ask_once(4).await);
    dropped.abort();
    trips.end(1).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, PANICS]]);
    trips.end(1).await;
    assert_eq!(first.await.unwrap().unwrap(), 10);
    for asked in [second, lost] {
        assert!(matches!(asked.await.unwrap(), Err(StoreError::Unavailable { .. })));
    }
    let next = trips.ask_once(5).await;
    trips.end(1).await;
    assert_eq!(next.await.unwrap().unwrap(), 50);
    assert_eq!(trips.begun(), [vec![1], vec![2, PANICS], vec![5]]);
}

/// A future outlives its runtime if another one polls it.
struct Questions {
    read: BoxFuture<Result<u32, StoreError>>,
    write: BoxFuture<Result<u32, StoreError>>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

impl Questions {
    /// Asks 2 and, once, 3.
    fn wait(trips: &Trips) -> Self {
        let [reads, writes] = [&trips.shared, &trips.shared].map(Arc::clone);
        let read = Box::pin(async move { reads.ask(2).await });
        let mut questions = Self { read, write: Box::pin(async move { writes.ask_once(3).await }) };
        for question in [&mut questions.read, &mut questions.write] {
            assert!(question.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        questions
    }

    /// They have no answer: the read is asked again.
    fn are_told(self, runtime: &Runtime) {
        assert_eq!(runtime.block_on(self.read).unwrap(), 20);
        assert!(matches!(runtime.block_on(self.write), Err(StoreError::Unavailable { .. })));
    }
}

#[test]
fn who_waits_on_a_runtime_that_ends_is_asked_again_by_reads_only() {
    let trips = Trips::new();
    let ends = one_thread();
    let _first = ends.block_on(trips.ask(1));
    let questions = ends.block_on(async { Questions::wait(&trips) });
    drop(ends);
    trips.may_end.add_permits(2);
    let other = one_thread();
    questions.are_told(&other);
    let next = other.block_on(trips.ask(4));
    assert_eq!(other.block_on(next).unwrap().unwrap(), 40);
    assert_eq!(trips.begun(), [[1], [2], [4]]);
}

#[test]
fn a_trip_that_ends_with_its_runtime_is_asked_again_by_reads_only() {
    let trips = Trips::new();
    let ends = one_thread();
    let questions = ends.block_on(async {
        let first = trips.ask(1).await;
        let questions = Questions::wait(&trips);
        // The end of the first trip sends the others, in a task.
        trips.end(1).await;
        first.await.unwrap().unwrap();
        questions
    });
    assert_eq!(trips.begun(), [vec![1], vec![2, 3]]);
    drop(ends);
    trips.may_end.add_permits(1);
    questions.are_told(&one_thread());
    assert_eq!(trips.begun(), [vec![1], vec![2, 3], vec![2]]);
}
