//! The tasks of this repository: `cargo xtask --help`.

mod bench;
mod check;
mod engine;
mod images;
mod names;
mod packages;
mod programs;
mod published;
mod record;
mod servers;
mod step;
mod table;
mod test;
mod twins;

use std::process::ExitCode;

const HELP: &str = "\
The tasks of this repository.

Usage: cargo xtask <TASK>

Tasks:
  test     Find what the tests need, install what is missing of it (as root on Debian), then run all of them: on servers
           that are programs of this machine, then the stores' contracts on servers in containers. Goes on after a
           failure, and prints one table of what the contract was tested on, what failed, and what did not run
             --no-install        Fail with the list of what is missing instead
             -p, --package NAME  The tests of this package alone; can be given again
  bench    Run the benchmarks and print one table of ratios; arguments after `--` go to criterion
  images   Make the images of the servers in containers of Debian's packages, and print the variables that name them
  servers  Start every server that the stores are tested on, print its URL, and serve until interrupted
  check    What no cargo command checks: how many crates ours bring along, how long the files are, and whether the tests
           that the documents name are there
  published
           What a registry would get: the packages are made, unpacked, built and tested by themselves, and built once more
           with the oldest versions that their manifests allow. Needs the servers that `test` installs
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test", options @ ..] => test::run(options),
        ["bench"] => bench::run(&[]),
        ["bench", "--", criterion @ ..] => bench::run(criterion),
        ["images"] => images::run(),
        ["servers"] => servers::run(),
        ["check"] => check::run(),
        ["published"] => published::run(),
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
