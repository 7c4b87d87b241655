//! The proof of the kit itself. For every clause of the contract there is a store that breaks just that clause, and the
//! case that notices.
//!
//! They are a program of their own, so that the proof is run by itself: `--test mutants`.

mod mutants {
    pub(crate) mod clock;
    pub(crate) mod conflict;
    pub(crate) mod connection;
    pub(crate) mod failing;
    pub(crate) mod fault;
    pub(crate) mod methods;
    pub(crate) mod process;
    pub(crate) mod removal;
    pub(crate) mod shared;
    pub(crate) mod steps;
    pub(crate) mod store;
}

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use mutants::{
    fault::{Fault, PROMISES, TABLE},
    store::{Broken, Small},
};
use session_conformance::{Subject, async_trait, cases, check};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};

/// The message of the case about this subject, if it fails.
fn verdict<S: Subject>(case: &str, subject: S) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| check(case, subject))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

#[test]
fn each_mutant_is_caught_by_its_case() {
    let mut survivors = Vec::new();
    for &(fault, case) in TABLE.iter().chain(PROMISES) {
        match verdict(case, Broken::by(fault)) {
            Some(sentence) => println!("{fault:?}\n    {case}\n    {}", sentence.lines().next().unwrap_or_default()),
            None => survivors.push(format!("{fault:?} survives {case}")),
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
}

#[test]
fn each_case_catches_a_mutant() {
    let catching: BTreeSet<&str> = TABLE.iter().chain(PROMISES).map(|(_, case)| *case).collect();
    let cases: BTreeSet<&str> = cases::<Broken>().iter().map(|case| case.name()).collect();
    let idle: Vec<_> = cases.difference(&catching).collect();
    assert!(idle.is_empty(), "no mutant shows that these cases can fail: {idle:#?}");
    let unknown: Vec<_> = catching.difference(&cases).collect();
    assert!(unknown.is_empty(), "the table names cases that do not exist: {unknown:#?}");
}

mod the_unbroken_store {
    session_conformance::store_tests!(super::Broken::by(super::Fault::Nothing));
}

#[test]
fn a_store_that_never_answers_fails_with_a_sentence() {
    let sentence = verdict("only_create_makes_a_session_appear", Silent).unwrap_or_default();
    assert!(sentence.contains("has not answered within 200ms"), "{sentence}");
}

#[test]
fn a_store_that_blocks_its_runtime_fails_with_a_sentence() {
    let sentence = verdict("a_created_session_loads_as_it_was_written", Silent).unwrap_or_default();
    assert!(sentence.contains("has not answered within 200ms"), "{sentence}");
}

#[test]
fn a_store_that_fails_fails_the_case_with_its_error() {
    let sentence = verdict("two_namespaces_never_meet", Broken::by(Fault::EveryCreateFails)).unwrap_or_default();
    assert!(sentence.starts_with("`create` answered with an error where it has no reason to: Backend"), "{sentence}");
}

#[test]
fn a_store_that_cuts_durations_as_the_contract_allows_passes() {
    assert_eq!(verdict("the_longest_durations_are_kept_or_capped", Broken::by(Fault::CutsAt400Days)), None);
}

/// A store whose `load` never answers, and whose `create` blocks the thread.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Subject for Silent {
    type Store = Self;

    async fn open(&self, _namespace: &str) -> Self {
        Self
    }

    async fn pass(&self, _time: Duration) {}

    fn deadline(&self) -> Duration {
        Duration::from_millis(200)
    }
}

#[async_trait]
impl Store for Silent {
    async fn create(&self, _: &SessionId, _: Entry<'_>, _: Duration, _: Duration) -> Result<(), StoreError> {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    }

    async fn load(&self, _: &SessionId) -> Result<Option<Loaded>, StoreError> {
        std::future::pending().await
    }

    async fn replace(&self, _: &SessionId, _: Revision, _: Entry<'_>, _: Expiry) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn touch(&self, _: &SessionId, _: Revision, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn delete(&self, _: &SessionId, _: Revision) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn list(&self, _: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        Ok(Vec::new())
    }

    async fn revoke(&self, _: &Owner, _: Option<&SessionId>) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn purge(&self, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

// The small store is a store like any other, so it can be boxed.
const _: fn(Small) -> Box<dyn Store> = |store| Box::new(store);
