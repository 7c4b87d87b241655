//! `cargo xtask test`: everything that can fail.

use std::{env, fs, path::PathBuf, process::Command, thread};

use crate::{
    engine::{self, Engine},
    images, packages,
    programs::{self, Program},
    record::{Heard, Record},
    step,
    table::{self, ROWS},
};

/// What to test, and how.
struct Plan<'a> {
    installs: bool,
    /// The packages to test. If it is empty, all.
    packages: Vec<&'a str>,
    /// The file in which the tests report the cases of the contract that have passed.
    report: PathBuf,
}

pub(crate) fn run(options: &[&str]) -> Result<(), String> {
    let plan = Plan::read(options)?;
    let missing = programs::missing(&plan.programs());
    let to_install = match &missing {
        Some(missing) if plan.installs => missing.packages()?,
        Some(missing) => return Err(missing.sentence()),
        None => &[],
    };
    let contracts = plan.contracts();
    plan.announce(to_install, &contracts);
    if plan.report.exists() {
        fs::remove_file(&plan.report)
            .map_err(|error| format!("{} cannot be removed: {error}", plan.report.display()))?;
    }
    let mut record = Record::new(usize::from(!to_install.is_empty()) + plan.steps(&contracts));
    if !to_install.is_empty() {
        record.step("installing", |_| packages::install(to_install));
    }
    let engine = if contracts.is_empty() { None } else { record.step(IMAGES, |_| provide_images()) };
    record.step(TESTS, |heard| plan.test(heard));
    let programs = if engine.is_some() { plan.build(&contracts) } else { Err("there are no images".into()) };
    for package in contracts {
        let what = format!("the contract of {package} in containers");
        match &programs {
            Ok(messages) => _ = record.step(&what, |heard| plan.test_contract(package, messages, heard)),
            Err(reason) => record.leave_out(&what, reason),
        }
    }
    drop(engine);
    record.step(TABLE, |_| table::print(&plan.report, |package| plan.has(package)));
    record.close()
}

const IMAGES: &str = "the images of the servers in containers";
const TESTS: &str = "the tests";
const TABLE: &str = "the table of what the contract was tested on";

/// The engine, which ends when it is dropped, and the images that the tests start on it.
fn provide_images() -> Result<Engine, String> {
    let engine = engine::provide()?;
    images::make().map(|()| engine)
}

impl<'a> Plan<'a> {
    fn read(mut options: &[&'a str]) -> Result<Self, String> {
        let report = step::target().join("session-test-report");
        let mut plan = Self { installs: true, packages: Vec::new(), report };
        loop {
            options = match options {
                [] => return Ok(plan),
                ["--no-install", rest @ ..] => {
                    plan.installs = false;
                    rest
                }
                ["-p" | "--package", package, rest @ ..] if !package.starts_with('-') => {
                    plan.packages.push(*package);
                    rest
                }
                [other, ..] => return Err(format!("`test` does not understand `{other}`: see `cargo xtask --help`")),
            };
        }
    }

    fn has(&self, package: &str) -> bool {
        self.packages.is_empty() || self.packages.contains(&package)
    }

    /// The programs that the tests need.
    fn programs(&self) -> Vec<Program> {
        let fetching = [&programs::STAND_IN[..], &programs::VALKEY].concat();
        let all = [&programs::BROWSER[..], &programs::SERVERS, &fetching, &programs::ENGINE].concat();
        let needs_none = |package: &&str| NEED_NO_PROGRAM.contains(package);
        if !self.packages.is_empty() && self.packages.iter().all(needs_none) { Vec::new() } else { all }
    }

    /// The stores whose contract is tested in containers, too.
    fn contracts(&self) -> Vec<&'static str> {
        let rows = ROWS.iter().filter(|row| row.has_containers() && self.has(row.package));
        let mut packages: Vec<_> = rows.map(|row| row.package).collect();
        packages.dedup();
        packages
    }

    fn steps(&self, contracts: &[&str]) -> usize {
        // The tests and the table. With contracts also the images, and each contract.
        2 + usize::from(!contracts.is_empty()) + contracts.len()
    }

    fn announce(&self, to_install: &[&str], contracts: &[&str]) {
        if !to_install.is_empty() {
            let names = to_install.join(", ");
            println!(
                "To be installed first, as root, by apt-get: {names}, and what they need. Together that is about 50"
            );
            println!(
                "packages and 700 MB on a fresh Debian. Services that start with the machine are switched off again."
            );
            println!("README.md says how to undo it; `--no-install` installs nothing.\n");
        }
        println!("Then, even if one of them fails:");
        let (containers, tests) = if self.packages.is_empty() {
            ("5 minutes the first time, else seconds", "15 to 20 minutes on two cores, and 10 more to build them")
        } else {
            ("5 minutes the first time, else seconds", "minutes")
        };
        if !contracts.is_empty() {
            println!("- {IMAGES}: {containers}");
        }
        println!("- {TESTS}: {tests}");
        for package in contracts {
            println!("- the contract of {package} in containers: a minute");
        }
        println!("- {TABLE}");
    }

    /// The command of cargo for these tests.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = step::cargo(&["test", "--all-features"]);
        if self.packages.is_empty() {
            command.arg("--workspace");
        }
        command.args(self.packages.iter().flat_map(|package| ["--package", package])).args(arguments);
        command
    }

    fn told(&self, command: &mut Command, origin: &str) {
        if env::var_os("RUST_TEST_THREADS").is_none() {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let tests_per_core = if origin == "container" { CASES_PER_CORE } else { TESTS_PER_CORE };
            command.env("RUST_TEST_THREADS", (tests_per_core * cores).to_string());
        }
        command.env("SESSION_TEST_SERVERS", origin).env("SESSION_TEST_REPORT", &self.report).envs(images::IMAGES);
    }

    /// Unit, integration and documentation tests; examples are built.
    fn test(&self, heard: &mut Heard) -> Result<(), String> {
        let mut command = self.cargo(&["--no-fail-fast"]);
        self.told(&mut command, "local");
        step::run_heard(&command, &step::root(), |line| heard.hear(line))
    }

    /// Builds the tests of the contracts, and returns cargo's messages. The options are those of the tests before. With
    /// others, everything would be built once more, with other features.
    fn build(&self, contracts: &[&str]) -> Result<String, String> {
        if contracts.is_empty() {
            return Ok(String::new());
        }
        step::output(&mut self.cargo(&["--test", "contract", "--no-run", "--message-format", "json"]))
    }

    /// The contract of this store, on servers in containers.
    fn test_contract(&self, package: &str, messages: &str, heard: &mut Heard) -> Result<(), String> {
        let folder = step::root().join(package);
        let source = folder.join("tests/contract.rs");
        let program = step::program_of(messages, &source);
        let mut command = Command::new(program.ok_or_else(|| format!("cargo has not built {}", source.display()))?);
        let local_only = ROWS.iter().filter(|row| row.package == package && row.is_local_only());
        command.args(local_only.flat_map(|row| ["--skip", row.module]));
        self.told(&mut command, "container");
        step::run_heard(&command, &folder, |line| heard.hear(line))
    }
}

/// How many tests run at once on a core. Most of them wait: for a database, for a browser, or for a session to expire.
/// The cases of a contract hardly do anything else.
const TESTS_PER_CORE: usize = 2;
const CASES_PER_CORE: usize = 3;

/// The packages whose tests need no program.
const NEED_NO_PROGRAM: [&str; 11] = [
    "session-core",
    "session-memory",
    "session-sqlite",
    "session-sealed",
    "session-tower",
    "session-actix",
    "session-poem",
    "session-access-token",
    "examples",
    "guide",
    "xtask",
];

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn a_part_of_the_tests_needs_its_part_of_the_steps() {
        let plan = |options: &[&'static str]| Plan::read(options).unwrap_or_else(|error| panic!("{error}"));
        let all = plan(&["--no-install"]);
        assert!(!all.installs && all.has("demo"));
        assert_eq!(all.contracts(), ["session-redis", "session-postgres", "session-mysql", "session-mongo"]);
        let redis = plan(&["-p", "session-redis"]);
        assert!(redis.installs && !redis.has("demo"));
        assert_eq!(redis.contracts(), ["session-redis"]);
        let memory = plan(&["--package", "session-memory"]);
        assert!(memory.contracts().is_empty() && memory.programs().is_empty());
        assert!(Plan::read(&["--fast"]).is_err() && Plan::read(&["-p"]).is_err());
    }
}
