//! The outcomes of the steps, and of the tests in them.

use std::{fmt, mem, time::Instant};

/// Steps that are taken one after the other, even if earlier ones have failed.
pub(crate) struct Record {
    start: Instant,
    steps: usize,
    begun: usize,
    failed: Vec<String>,
    left_out: Vec<String>,
}

impl Record {
    pub(crate) fn new(steps: usize) -> Self {
        Self { start: Instant::now(), steps, begun: 0, failed: Vec::new(), left_out: Vec::new() }
    }

    /// Takes the next step. `None` if it has failed.
    pub(crate) fn step<T>(&mut self, what: &str, take: impl FnOnce(&mut Heard) -> Result<T, String>) -> Option<T> {
        self.begun += 1;
        println!("\n== {} of {}, after {}: {what}", self.begun, self.steps, self.minutes());
        let mut heard = Heard::default();
        let taken = take(&mut heard);
        let tests = heard.failures();
        self.failed.extend(tests.iter().map(|test| format!("{what}: {test}")));
        match taken {
            Ok(taken) => return Some(taken),
            // Cargo's reason is only that some target has failed. The failed tests say more.
            Err(reason) if tests.is_empty() => self.failed.push(format!("{what}: {reason}")),
            Err(_) => {}
        }
        None
    }

    /// Notes that the next step cannot be taken.
    pub(crate) fn leave_out(&mut self, what: &str, reason: &str) {
        self.begun += 1;
        println!("\n== {} of {}, after {}: not run: {what}: {reason}", self.begun, self.steps, self.minutes());
        self.left_out.push(format!("{what}: {reason}"));
    }

    /// Prints the steps that failed and those that did not run. It is an error if there are any.
    pub(crate) fn close(self) -> Result<(), String> {
        println!("\n{}", self.summary());
        if self.failed.is_empty() && self.left_out.is_empty() {
            return Ok(());
        }
        Err(format!("{} failures, {} steps that did not run", self.failed.len(), self.left_out.len()))
    }

    fn summary(&self) -> String {
        let section = |title: &str, lines: &[String]| match lines {
            [] => String::new(),
            lines => format!("{title}:\n  {}\n", lines.join("\n  ")),
        };
        let took = format!("{} of {} steps, in {}", self.begun - self.left_out.len(), self.steps, self.minutes());
        section("failed", &self.failed) + &section("not run", &self.left_out) + &took
    }

    fn minutes(&self) -> String {
        let seconds = self.start.elapsed().as_secs();
        format!("{}:{:02} minutes", seconds / 60, seconds % 60)
    }
}

/// The failures that cargo and the tests have printed.
#[derive(Default)]
pub(crate) struct Heard {
    /// The failed tests of the program that is running.
    tests: Vec<FailedTest>,
    /// Of which test the next lines are.
    told: Option<usize>,
    /// Whether the next line is what a panic says.
    is_panic: bool,
    failures: Vec<String>,
}

struct FailedTest {
    name: String,
    /// The first line of its last panic.
    reason: Option<String>,
}

impl fmt::Display for FailedTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.reason.iter().try_for_each(|reason| write!(f, " ({reason})"))
    }
}

impl Heard {
    /// Reads a line that they print.
    pub(crate) fn hear(&mut self, line: &str) {
        if mem::take(&mut self.is_panic) {
            self.explain(line);
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.tests.push(FailedTest { name: name.to_owned(), reason: None });
        } else if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.told = self.tests.iter().position(|test| test.name == name);
        } else if line.starts_with("thread '") && line.contains(" panicked at ") {
            self.is_panic = true;
        } else if let Some((_, target)) = line.split_once("test failed, to rerun pass `") {
            let tests = self.failed_tests();
            let tests = if tests.is_empty() { "it ended in the middle of its tests".into() } else { tests.join(", ") };
            self.failures.push(format!("{}: {tests}", target.trim_end_matches('`')));
        } else if line.starts_with("error: could not compile ") {
            self.failures.push(line.to_owned());
        }
    }

    fn explain(&mut self, panic: &str) {
        if let Some(test) = self.told.and_then(|told| self.tests.get_mut(told)) {
            test.reason = Some(panic.to_owned());
        }
    }

    fn failed_tests(&mut self) -> Vec<String> {
        self.told = None;
        mem::take(&mut self.tests).iter().map(ToString::to_string).collect()
    }

    /// All failures. A program that was run without cargo has printed only the names of its failed tests.
    fn failures(mut self) -> Vec<String> {
        let tests = self.failed_tests();
        self.failures.extend(tests);
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Record};

    fn heard(lines: &str) -> Vec<String> {
        let mut heard = Heard::default();
        lines.lines().for_each(|line| heard.hear(line));
        heard.failures()
    }

    #[test]
    fn each_test_that_failed_is_told_with_its_target() {
        let said = "test a ... ok\ntest b ... FAILED\ntest c::d ... FAILED\n\
                    error: test failed, to rerun pass `-p session-redis --test keys`\n\
                    test e ... FAILED\nerror: doctest failed, to rerun pass `-p session-core --doc`";
        assert_eq!(heard(said), ["-p session-redis --test keys: b, c::d", "-p session-core --doc: e"]);
    }

    #[test]
    fn a_failed_test_is_told_with_what_its_last_panic_says() {
        let said = "test a ... FAILED\ntest b ... FAILED\nthread 'main' (7) panicked at x.rs:1:2:\nof nobody\n\n\
                    ---- b stdout ----\nthread 'b' (8) panicked at x.rs:1:2:\nthe first\n\
                    thread 'b' (8) panicked at x.rs:1:2:\nthe last\nnote: run with\n\
                    error: test failed, to rerun pass `-p demo --test all`";
        assert_eq!(heard(said), ["-p demo --test all: a, b (the last)"]);
    }

    #[test]
    fn a_program_that_dies_and_one_that_does_not_compile_are_failures() {
        let died = "error: test failed, to rerun pass `-p session-redis --test keys`";
        assert_eq!(heard(died), ["-p session-redis --test keys: it ended in the middle of its tests"]);
        let broken = "error: could not compile `xtask` (bin \"xtask\") due to 1 previous error";
        assert_eq!(heard(broken), [broken]);
    }

    #[test]
    fn without_cargo_the_tests_alone_are_told() {
        assert_eq!(heard("test on_one_node::a ... FAILED"), ["on_one_node::a"]);
    }

    #[test]
    fn after_a_failure_the_next_step_is_taken_and_the_end_is_a_failure() {
        let mut record = Record::new(3);
        assert_eq!(record.step("the first", |_| Err::<(), _>("a reason".into())), None);
        assert_eq!(record.step("the second", |_| Ok(42)), Some(42));
        record.leave_out("the third", "another reason");
        let summary = record.summary();
        assert!(summary.starts_with("failed:\n  the first: a reason\nnot run:\n  the third: another reason\n2 of 3"));
        assert_eq!(record.close(), Err("1 failures, 1 steps that did not run".into()));
    }

    #[test]
    fn steps_that_all_went_well_are_no_failure() {
        let mut record = Record::new(1);
        record.step("the only one", |_| Ok(()));
        assert_eq!(record.close(), Ok(()));
    }
}
