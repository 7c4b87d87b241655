//! A case, and how it is run.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime;

use crate::{
    Subject, each_case,
    trial::{Passed, Trial},
    watched::Pulse,
};

/// By how much the short times of a case are multiplied, in each attempt. A case that fails after slow calls is tried
/// again, because a session may have expired too early. The first three attempts have the same times, for a machine
/// that was busy once. The later ones are slower, for a slow store. They come last because longer times hide more
/// errors.
const SCALES: [u32; 7] = [1, 1, 1, 2, 4, 8, 16];

/// How many times its deadline a case may take while the store answers.
const DEADLINES: u32 = 20;

/// One sentence that must hold for every store.
///
/// [`store_tests!`](crate::store_tests) makes a test of each. This type is for a harness of your own.
///
/// # Examples
///
/// ```no_run
/// # fn harness(mine: impl Fn() -> Mine) {
/// for case in session_conformance::cases::<Mine>() {
///     println!("{}", case.name());
///     case.run(mine());
/// }
/// # }
/// # struct Mine;
/// # #[session_conformance::async_trait]
/// # impl session_conformance::Subject for Mine {
/// #     type Store = Box<dyn session_core::Store>;
/// #     async fn open(&self, _: &str) -> Self::Store { Box::new(session_memory::MemoryStore::new()) }
/// #     async fn pass(&self, _: std::time::Duration) {}
/// # }
/// ```
#[derive(Debug)]
pub struct Case<S: Subject> {
    name: &'static str,
    run: Run<S>,
}

type Run<S> = for<'a> fn(&'a Trial<S>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The outcome of a case that has not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The sentence holds.
    Passed,
    /// It was not run, for this reason: what is tested cannot [lose an answer](Subject::lose_the_answer), [be
    /// silent](Subject::open_unanswered) or [be full](Subject::open_with_little_room), or it
    /// [lacks a capability](crate::adapter::Adapter::lacks).
    NotRun(&'static str),
}

impl Ran {
    /// Says so on stderr, too.
    pub(crate) fn not_run(case: &str, reason: &'static str) -> Self {
        eprintln!("{case} is not run: {reason}");
        Self::NotRun(reason)
    }

    /// What the report says: where the server comes from and what it calls itself, or why there was none.
    pub(crate) fn or_on(self, server: impl FnOnce() -> (&'static str, String)) -> (&'static str, String) {
        match self {
            Self::Passed => server(),
            Self::NotRun(reason) => ("not run", reason.to_owned()),
        }
    }
}

impl<S: Subject> Case<S> {
    /// The sentence, as the name of a test.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the case on a runtime of its own.
    ///
    /// # Panics
    ///
    /// If the sentence does not hold, with what was seen; if the store has not answered for as long as
    /// [`Subject::deadline`] allows; or if the case takes twenty times as long.
    #[allow(clippy::must_use_candidate, reason = "a failure is a panic")]
    pub fn run(&self, subject: S) -> Ran {
        let (name, run) = (self.name, self.run);
        let deadline = subject.deadline();
        let (sender, outcome) = mpsc::channel();
        // The case has a thread of its own, so that the deadline is noticed even if the store blocks its runtime.
        let pulse = Arc::new(Pulse::new());
        let watched = Arc::clone(&pulse);
        let started = thread::Builder::new().name(name.into()).spawn(move || {
            let attempt = AssertUnwindSafe(|| attempts(run, subject, &watched));
            // An error means that the deadline is over, and nobody listens any more.
            let _ = sender.send(catch_unwind(attempt));
        });
        assert!(started.is_ok(), "no thread can be started for the case: {started:?}");
        let start = Instant::now();
        loop {
            let patience = deadline.saturating_sub(pulse.silence());
            match outcome.recv_timeout(patience) {
                Ok(Ok(Ran::Passed)) => return Ran::Passed,
                Ok(Ok(Ran::NotRun(reason))) => return Ran::not_run(name, reason),
                Ok(Err(panic)) => resume_unwind(panic),
                Err(RecvTimeoutError::Disconnected) => panic!("{name}: the thread of the case has ended"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            assert!(
                pulse.silence() < deadline,
                "{name}: the store has not answered within {deadline:?}, which `Subject::deadline` allows"
            );
            assert!(
                start.elapsed() < deadline * DEADLINES,
                "{name}: the store answers, but the case does not come to an end within {:?}",
                deadline * DEADLINES
            );
        }
    }
}

/// All cases, in the order of the contract.
#[must_use]
pub fn cases<S: Subject>() -> Vec<Case<S>> {
    macro_rules! table {
        ([] $($module:ident: $($name:ident)*;)*) => {
            vec![$($(Case { name: stringify!($name), run: |trial| Box::pin(crate::cases::$module::$name(trial)) }),*),*]
        };
    }
    each_case!({ table } [])
}

/// Runs the case of this name. Each test that [`store_tests!`](crate::store_tests) makes calls this. If the case fails,
/// its number in the order of the contract is printed: with many failures, the lowest number is the one to mend first.
///
/// # Panics
///
/// Like [`Case::run`], and if there is no case of this name.
#[allow(clippy::must_use_candidate, reason = "a failure is a panic")]
pub fn check<S: Subject>(name: &str, subject: S) -> Ran {
    run_by_name(name, &cases::<S>(), Case::name, |case| case.run(subject))
}

/// Runs the case of this name. If it fails, its number is told: a test runner prints the failures in another order.
pub(crate) fn run_by_name<C, T>(
    name: &str,
    cases: &[C],
    name_of: impl Fn(&C) -> &'static str,
    run: impl FnOnce(&C) -> T,
) -> T {
    let position = cases.iter().position(|case| name_of(case) == name);
    let position = position.unwrap_or_else(|| panic!("there is no case {name}"));
    catch_unwind(AssertUnwindSafe(|| run(&cases[position]))).unwrap_or_else(|panic| {
        let (number, count) = (position + 1, cases.len());
        eprintln!("case {number} of {count}: {name}. If several fail, mend the one with the lowest number first.");
        resume_unwind(panic)
    })
}

fn attempts<S: Subject>(run: Run<S>, subject: S, pulse: &Arc<Pulse>) -> Ran {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let subject = Arc::new(subject);
    let mut ran = Ran::Passed;
    for (attempt, scale) in (1..).zip(SCALES) {
        let passed = Arc::new(Passed::new(scale));
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                run(&Trial::new(Arc::clone(&subject), Arc::clone(&passed), Arc::clone(pulse)).await).await;
            });
        }));
        match outcome {
            Ok(()) => {
                ran = passed.ran();
                break;
            }
            Err(_) if attempt < SCALES.len() && passed.too_slow(start) => {
                eprintln!("The machine or the store was too slow to tell; attempt {} follows.", attempt + 1);
            }
            Err(panic) => {
                runtime.shutdown_background();
                resume_unwind(panic);
            }
        }
    }
    // They are dropped within the runtime, because a store's connections may need it to close.
    {
        let _inside = runtime.enter();
        drop(subject);
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    ran
}
