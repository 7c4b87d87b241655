//! `cargo xtask test`: everything that can fail.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    engine, images, programs, step,
    table::{self, ROWS},
};

pub(crate) fn run() -> Result<(), String> {
    programs::provide(&[&programs::BROWSER[..], &programs::SERVERS, &programs::STAND_IN, &programs::ENGINE].concat())?;
    let engine = engine::provide()?;
    images::make()?;
    let report = step::target().join("session-test-report");
    if report.exists() {
        fs::remove_file(&report).map_err(|error| format!("{} cannot be removed: {error}", report.display()))?;
    }
    let told = |mut command: Command, origin: &str| {
        command.env("SESSION_TEST_SERVERS", origin).env("SESSION_TEST_REPORT", &report).envs(images::IMAGES);
        command
    };
    // Unit, integration and documentation tests; examples are built.
    step::run(&mut told(step::cargo(&["test", "--workspace", "--all-features"]), "local"))?;
    // The contract of each store again, on servers in containers.
    for contract in contracts()? {
        let mut command = told(Command::new(&contract.program), "container");
        let local_only = ROWS.iter().filter(|row| row.package == contract.package && row.is_local_only());
        command.args(local_only.flat_map(|row| ["--skip", row.module]));
        step::run_in(&mut command, &step::root().join(contract.package))?;
    }
    drop(engine);
    table::print(&report)
}

/// The tests of a store's contract.
#[derive(Debug, PartialEq)]
struct Contract {
    package: &'static str,
    program: PathBuf,
}

/// Those of the stores that are tested in containers. Named one by one, they would be built with other features, and anew.
fn contracts() -> Result<Vec<Contract>, String> {
    let build = ["test", "--workspace", "--all-features", "--test", "contract", "--no-run", "--message-format", "json"];
    let messages = step::output(&mut step::cargo(&build))?;
    let mut packages: Vec<_> = ROWS.iter().filter(|row| row.has_containers()).map(|row| row.package).collect();
    packages.dedup();
    let find = |package| {
        let source = step::root().join(package).join("tests/contract.rs");
        let program = find_program(&messages, &source);
        let program = program.ok_or_else(|| format!("cargo has not built {}", source.display()))?;
        Ok(Contract { package, program })
    };
    packages.into_iter().map(find).collect()
}

/// The program that cargo says it has made of this file.
fn find_program(messages: &str, source: &Path) -> Option<PathBuf> {
    let source = format!("\"src_path\":\"{}\"", source.display());
    let message = messages.lines().find(|line| line.contains(&source) && line.contains("\"executable\":\""))?;
    let (_, program) = message.split_once("\"executable\":\"")?;
    program.split('"').next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::find_program;

    #[test]
    fn the_program_of_a_file_is_the_one_that_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"src_path":"/a/src/lib.rs"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"src_path":"/b/tests/contract.rs"},"executable":"/t/b-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"src_path":"/a/tests/contract.rs"},"executable":"/t/a-1"}"#,
        );
        assert_eq!(find_program(messages, Path::new("/a/tests/contract.rs")), Some(PathBuf::from("/t/a-1")));
        assert_eq!(find_program(messages, Path::new("/a/src/lib.rs")), None);
    }
}
