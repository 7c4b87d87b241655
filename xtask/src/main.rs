//! The tasks of this repository: `cargo xtask --help`.

mod api;
mod bench;
mod check;
mod engine;
mod examples;
mod images;
mod map;
mod methods;
mod names;
mod packages;
mod programs;
mod published;
mod record;
mod servers;
mod step;
mod stranger;
mod table;
mod test;
mod twins;

use std::process::ExitCode;

const HELP: &str = "\
The tasks of this repository.

Usage: cargo xtask <TASK>

Tasks:
  test     Install the programs that the tests need (as root on Debian). Then run all tests on servers that are programs
           of this machine, and the stores' contracts on servers in containers. This goes on after a failure. At the end
           it prints a table of what the contract was tested on, what failed, and what did not run
             --no-install        Install nothing; if a program is missing, fail with the list
             -p, --package NAME  Run the tests of this package alone; may be given several times
  bench    Measure in turn, and print tables with the goals; first the stores beside the plain statements of their
           drivers, and then small sites beside those of other authors
             stores, peers       Only the one or the other
             --rounds NUMBER     How often each site is measured; without this, 9 times
             --base COMMIT       The sites as they were in this commit, too
             NAME                Only those lines that have all these words in their name, such as `redis read`
             --                  What follows goes to criterion
  images   Make the images of the servers from Debian's packages, and print the variables that name them
  servers  Start every server that the stores are tested on, print its URL, and serve until interrupted
  check    Check the rules that no cargo command checks: how many crates ours bring along, how long the files are,
           whether the tests that the documents name are there, and whether the oldest versions of other crates go together
  published
           Make the packages that a registry would get. Unpack, build and test them by themselves, and build them once
           more with the oldest versions that their manifests allow. This needs the servers that `test` installs
  stranger Make a registry of these packages in a folder, and build a project outside of this workspace that depends on them
           as on any other crate
  api      Check what the published crates promise to those who compile against them: which types of other crates they
           show, the oldest compiler that they build with, and what has changed since their last release
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test", options @ ..] => test::run(options),
        ["bench", options @ ..] => bench::run(options),
        ["images"] => images::run(),
        ["servers"] => servers::run(),
        ["check"] => check::run(),
        ["published"] => published::run(),
        ["stranger"] => stranger::run(),
        ["api"] => api::run(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => Err(format!("which task?\n\n{HELP}")),
        others => Err(format!("there is no task `{}`\n\n{HELP}", others.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nxtask: {sentence}");
            ExitCode::FAILURE
        }
    }
}
