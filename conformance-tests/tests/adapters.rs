//! The proof of the kit for adapters. For every sentence there is an adapter that breaks just that sentence, and the
//! case that notices.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapters {
    pub(crate) mod fault;
    pub(crate) mod finish;
    pub(crate) mod server;
}

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use adapters::{
    fault::{Fault, TABLE},
    server::Broken,
};
use session_conformance::{
    adapter::{Adapter, Capability, Ran, Served, Site, cases, check},
    async_trait,
};

/// The message of the case about this adapter, if it fails.
fn verdict(case: &str, adapter: impl Adapter) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| check(case, adapter))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

#[test]
fn each_mutant_is_caught_by_its_case() {
    let mut survivors = Vec::new();
    for &(fault, case) in TABLE {
        match verdict(case, Broken(fault)) {
            Some(sentence) => println!("{fault:?}\n    {case}\n    {}", sentence.lines().next().unwrap_or_default()),
            None => survivors.push(format!("{fault:?} survives {case}")),
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
}

#[test]
fn each_case_catches_a_mutant() {
    let catching: BTreeSet<&str> = TABLE.iter().map(|(_, case)| *case).collect();
    let cases: BTreeSet<&str> = cases().iter().map(|case| case.name()).collect();
    let idle: Vec<_> = cases.difference(&catching).collect();
    assert!(idle.is_empty(), "no mutant shows that these cases can fail: {idle:#?}");
    let unknown: Vec<_> = catching.difference(&cases).collect();
    assert!(unknown.is_empty(), "the table names cases that do not exist: {unknown:#?}");
}

mod the_unbroken_adapter {
    session_conformance::adapter_tests!(super::Broken(super::Fault::Nothing));
}

/// An adapter that cannot even be served.
struct Bare(&'static str);

#[async_trait]
impl Adapter for Bare {
    async fn serve(&self, _: Site) -> Served {
        panic!("there is no server")
    }

    fn lacks(&self, _: Capability) -> Option<&'static str> {
        Some(self.0)
    }
}

#[test]
fn a_case_is_left_out_only_where_the_adapter_says_why() {
    for case in cases() {
        let outcome = catch_unwind(AssertUnwindSafe(|| case.run(Bare("it is bare"))));
        match case.needs() {
            Some(_) => assert_eq!(outcome.ok(), Some(Ran::NotRun("it is bare")), "{}", case.name()),
            None => assert!(outcome.is_err(), "{} has passed without a server", case.name()),
        }
    }
    let sentence = verdict("two_sessions_go_side_by_side", Bare(" ")).unwrap_or_default();
    assert_eq!(sentence, "two_sessions_go_side_by_side: `Adapter::lacks` gives no reason");
}

/// An adapter whose server takes connections, and never answers.
struct Silent;

#[async_trait]
impl Adapter for Silent {
    async fn serve(&self, _: Site) -> Served {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Served::at(listener.local_addr().unwrap()).until_dropped(listener)
    }

    fn deadline(&self) -> std::time::Duration {
        std::time::Duration::from_millis(200)
    }
}

#[test]
fn a_server_that_never_answers_fails_with_a_sentence() {
    let sentence = verdict("a_session_goes_from_request_to_request", Silent).unwrap_or_default();
    assert_eq!(sentence, "the server has not sent a head within 200ms, which `Adapter::deadline` allows");
}
