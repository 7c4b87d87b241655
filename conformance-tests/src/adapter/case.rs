//! A case of an adapter, and how it is run.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::runtime;

use crate::{
    Ran,
    adapter::{Adapter, Capability, trial::Trial},
    case::run_by_name,
    each_adapter_case, report,
};

/// One sentence that must hold under every adapter.
///
/// [`adapter_tests!`](crate::adapter_tests) makes a test of each. This type is for a harness of your own.
///
/// # Examples
///
/// ```no_run
/// # fn harness(mine: impl Fn() -> Mine) {
/// for case in session_conformance::adapter::cases() {
///     println!("{}: {:?}", case.name(), case.run(mine()));
/// }
/// # }
/// # struct Mine;
/// # use session_conformance::{async_trait, adapter::{Adapter, Served, Site}};
/// # #[async_trait]
/// # impl Adapter for Mine {
/// #     async fn serve(&self, _: Site) -> Served { unreachable!() }
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Case {
    name: &'static str,
    needs: Option<Capability>,
    run: fn(&Trial),
}

impl Case {
    /// The sentence, as the name of a test.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The capability that an adapter needs for this case. `None` if every adapter has it.
    #[must_use]
    pub fn needs(&self) -> Option<Capability> {
        self.needs
    }

    /// Runs the case on a runtime of its own.
    ///
    /// # Panics
    ///
    /// If the sentence does not hold, with what was seen; or if the server has not answered for as long as
    /// [`Adapter::deadline`] allows.
    pub fn run(&self, adapter: impl Adapter) -> Ran {
        if let Some(reason) = self.needs.and_then(|capability| adapter.lacks(capability)) {
            assert!(!reason.trim().is_empty(), "{}: `Adapter::lacks` gives no reason", self.name);
            return Ran::not_run(self.name, reason);
        }
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let trial = Trial::new(Arc::new(adapter), runtime.handle().clone());
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(&trial)));
        drop(trial);
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
        Ran::Passed
    }
}

/// All cases, in the order in which an adapter is best mended.
#[must_use]
pub fn cases() -> Vec<Case> {
    macro_rules! needs {
        () => {
            None
        };
        ($capability:ident) => {
            Some(Capability::$capability)
        };
    }
    macro_rules! table {
        ([] $($module:ident: $($name:ident $(($capability:ident))?)*;)*) => {
            vec![$($(Case {
                name: stringify!($name),
                needs: needs!($($capability)?),
                run: crate::adapter::cases::$module::$name,
            }),*),*]
        };
    }
    each_adapter_case!({ table } [])
}

/// Runs the case of this name. Each test that [`adapter_tests!`](crate::adapter_tests) makes calls this.
///
/// # Panics
///
/// Like [`Case::run`], and if there is no case of this name.
#[allow(clippy::must_use_candidate, reason = "a failure is a panic")]
pub fn check(name: &str, adapter: impl Adapter) -> Ran {
    run_by_name(name, &cases(), Case::name, |case| case.run(adapter))
}

/// The same, with a line in the file that `SESSION_TEST_REPORT` names.
#[doc(hidden)]
pub fn run_test(package: &str, module: &str, name: &str, adapter: impl Adapter) {
    report::telling([package, module, name], || check(name, adapter).or_on(|| ("none", String::new())));
}
