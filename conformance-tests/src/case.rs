//! A case, and how it runs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use tokio::runtime;

use crate::{
    Subject, each_case,
    trial::{Passed, Trial},
};

/// How often a case is tried whose time ran out because the machine was busy.
const ATTEMPTS: u32 = 5;

/// One sentence that must hold for every store.
///
/// [`store_tests!`](crate::store_tests) makes a test of each; this type is for a harness of one's own.
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
    /// If the sentence does not hold, with what was seen; or if the store does not answer within
    /// [`Subject::deadline`].
    pub fn run(&self, subject: S) {
        let (name, run) = (self.name, self.run);
        let deadline = subject.deadline();
        let (sender, outcome) = mpsc::channel();
        // A thread of its own: a store that blocks its runtime must not keep the deadline from being noticed.
        let started = thread::Builder::new().name(name.into()).spawn(move || {
            let attempt = AssertUnwindSafe(|| attempt(run, subject));
            // Nobody listens any more once the deadline is over.
            let _ = sender.send(catch_unwind(attempt));
        });
        assert!(started.is_ok(), "no thread can be started for the case: {started:?}");
        match outcome.recv_timeout(deadline) {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => {
                panic!("{name}: the store has not answered within {deadline:?}, which `Subject::deadline` allows")
            }
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

/// Runs the case of this name: what each test that [`store_tests!`](crate::store_tests) makes consists of.
///
/// # Panics
///
/// As [`Case::run`], and if there is no case of this name.
pub fn check<S: Subject>(name: &str, subject: S) {
    let case = cases::<S>().into_iter().find(|case| case.name() == name);
    case.unwrap_or_else(|| panic!("there is no case {name}")).run(subject);
}

fn attempt<S: Subject>(run: Run<S>, subject: S) {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let subject = Arc::new(subject);
    for attempt in 1.. {
        let passed = Arc::new(Passed::default());
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                run(&Trial::new(Arc::clone(&subject), Arc::clone(&passed)).await).await;
            });
        }));
        match outcome {
            Ok(()) => break,
            Err(_) if attempt < ATTEMPTS && passed.too_slow(start) => {
                eprintln!("The machine was too busy to tell; attempt {} follows.", attempt + 1);
            }
            Err(panic) => {
                runtime.shutdown_background();
                resume_unwind(panic);
            }
        }
    }
    // Within the runtime, which a store's connections may need to close.
    {
        let _inside = runtime.enter();
        drop(subject);
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
}
