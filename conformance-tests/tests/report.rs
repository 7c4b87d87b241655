//! The tests of a store report the cases that have passed, and no others.
//!
//! They are a program of their own, which they run again with a report to write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    process::{Command, Output},
    time::Duration,
};

use session_conformance::{
    Subject,
    adapter::{self, Adapter, Capability, Served, Site},
    async_trait, cases,
};
use session_core::Store;

#[path = "stranger.rs"]
mod stranger;

/// Runs these tests in a process of their own. Returns whether they passed, and the report.
fn report(tests: &str) -> (bool, String) {
    let (output, report) = run(tests);
    (output.status.success(), report)
}

/// Runs these tests in a process of their own. Returns what they printed, and the report.
fn run(tests: &str) -> (Output, String) {
    let path = env::temp_dir().join(format!("session-test-report-{}-{}", std::process::id(), tests.replace(':', "_")));
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(tests).env("SESSION_TEST_REPORT", &path).env(FAILS, "1");
    let output = command.output().unwrap();
    let report = fs::read_to_string(&path).unwrap_or_default();
    // An error means that there is no report yet.
    let _ = fs::remove_file(&path);
    (output, report)
}

#[test]
fn each_case_is_reported_once_as_passed_or_as_not_run() {
    let (passed, report) = report("stranger::");
    assert!(passed);
    let mut reported = Vec::new();
    for line in report.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [package, module, case, start, end, origin, version] = fields[..] else { panic!("{line}") };
        assert_eq!((package, module), ("session-conformance", "report::stranger"));
        // The stranger has not written the methods that harm its database.
        let expected = match case {
            _ if case.contains("answer_is_lost") => ("not run", "`Subject::lose_the_answer` is not written"),
            _ if case.contains("without_an_answer") => ("not run", "`Subject::open_unanswered` is not written"),
            _ if case.contains("full_database") => ("not run", "`Subject::open_with_little_room` is not written"),
            _ => ("none", ""),
        };
        assert_eq!((origin, version), expected, "{case}");
        assert!(start.parse::<u64>().unwrap() <= end.parse::<u64>().unwrap());
        reported.push(case);
    }
    reported.sort_unstable();
    let mut all: Vec<_> = cases::<Nowhere>().iter().map(|case| case.name()).collect();
    all.sort_unstable();
    assert_eq!(reported, all);
}

/// The variable that marks a process of tests which shall fail.
const FAILS: &str = "SESSION_CONFORMANCE_FAILS";

/// A store that cannot be opened.
struct Nowhere;

#[async_trait]
impl Subject for Nowhere {
    type Store = Box<dyn Store>;

    async fn open(&self, _: &str) -> Self::Store {
        panic!("there is no such store")
    }

    async fn pass(&self, _: Duration) {}
}

#[test]
fn what_has_failed_is_not_reported() {
    if env::var_os(FAILS).is_some() {
        session_conformance::run_test("", "", "a_created_session_loads_as_it_was_written", Nowhere);
        // This test should have failed before. It returns here, so that it does not start itself for ever.
        return;
    }
    let (passed, report) = report("what_has_failed_is_not_reported");
    assert_eq!((passed, report.as_str()), (false, ""));
}

#[test]
fn a_failure_ends_with_its_number_in_the_order_of_the_contract() {
    if env::var_os(FAILS).is_some() {
        session_conformance::check("a_session_is_live_until_its_expiry_exactly", Nowhere);
        return;
    }
    let (output, _) = run("a_failure_ends_with_its_number_in_the_order_of_the_contract");
    let printed = String::from_utf8_lossy(&output.stdout);
    let number = format!("case 2 of {}: a_session_is_live_until_its_expiry_exactly. ", cases::<Nowhere>().len());
    assert!(!output.status.success() && printed.contains(&number), "{printed}");
}

#[test]
fn so_does_the_failure_of_an_adapter() {
    if env::var_os(FAILS).is_some() {
        let _ = adapter::check("two_requests_of_one_connection_are_kept_apart", Bare);
        return;
    }
    let (output, _) = run("so_does_the_failure_of_an_adapter");
    let printed = String::from_utf8_lossy(&output.stdout);
    let number = format!("case 2 of {}: two_requests_of_one_connection_are_kept_apart. ", adapter::cases().len());
    assert!(!output.status.success() && printed.contains(&number), "{printed}");
}

/// An adapter that lacks everything.
struct Bare;

#[async_trait]
impl Adapter for Bare {
    async fn serve(&self, _: Site) -> Served {
        panic!("there is no server")
    }

    fn lacks(&self, _: Capability) -> Option<&'static str> {
        Some("it is bare")
    }
}

#[test]
fn what_an_adapter_lacks_is_reported_as_not_run_with_the_reason() {
    if env::var_os(FAILS).is_some() {
        session_conformance::adapter::run_test("package", "module", "two_sessions_go_side_by_side", Bare);
        return;
    }
    let (passed, report) = report("what_an_adapter_lacks_is_reported_as_not_run_with_the_reason");
    assert!(passed);
    let fields: Vec<_> = report.trim_end().split('\t').collect();
    assert_eq!(fields[..3], ["package", "module", "two_sessions_go_side_by_side"]);
    assert_eq!(fields[5..], ["not run", "it is bare"]);
}
