//! `cargo xtask bench`: tables of ratios, with the goals.
//!
//! A time says nothing on another machine, or while the machine has other work. So only what was measured in one run is
//! compared, and what is compared was measured in turn.

mod database;
mod goal;
mod peers;
mod round;
mod site;
mod stores;

use self::goal::Report;

/// What to measure, and how.
#[derive(Debug, PartialEq)]
struct Options<'a> {
    part: Part,
    rounds: usize,
    base: Option<&'a str>,
    names: Vec<&'a str>,
    criterion: Vec<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Stores,
    Peers,
}

pub(crate) fn run(options: &[&str]) -> Result<(), String> {
    let options = Options::read(options)?;
    let stores = options.part != Part::Peers && stores::are_wanted(&options);
    let peers = options.part != Part::Stores && peers::are_wanted(&options);
    if !stores && !peers {
        return Err(format!("no benchmark has `{}` in its name", options.names.join("` and `")));
    }
    let mut report = Report::default();
    if stores {
        stores::run(&options, &mut report)?;
    }
    if peers {
        peers::run(&options, &mut report)?;
    }
    report.close();
    Ok(())
}

impl<'a> Options<'a> {
    fn read(mut words: &[&'a str]) -> Result<Self, String> {
        let mut options = Self { part: Part::All, rounds: 9, base: None, names: Vec::new(), criterion: Vec::new() };
        loop {
            words = match words {
                [] => return Ok(options),
                ["--", rest @ ..] => {
                    options.criterion = rest.to_vec();
                    return Ok(options);
                }
                ["stores", rest @ ..] => {
                    options.part = Part::Stores;
                    rest
                }
                ["peers", rest @ ..] => {
                    options.part = Part::Peers;
                    rest
                }
                ["--rounds", number, rest @ ..] => {
                    let number: Option<usize> = number.parse().ok().filter(|&number| number > 0);
                    options.rounds = number.ok_or("`--rounds` needs a number")?;
                    rest
                }
                ["--base", commit, rest @ ..] if !commit.starts_with('-') => {
                    options.base = Some(commit);
                    rest
                }
                [name, rest @ ..] if !name.starts_with('-') => {
                    options.names.push(name);
                    rest
                }
                [other, ..] => return Err(format!("`bench` does not understand `{other}`: see `cargo xtask --help`")),
            };
        }
    }

    /// Whether a line of this name is to be measured: all words have to be in it.
    fn wants(&self, line: &str) -> bool {
        self.names.iter().all(|name| line.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Part};

    #[test]
    fn less_can_be_measured_and_an_older_commit_too() {
        let options = Options::read(&["peers", "--rounds", "3", "redis", "--base", "main", "read", "--", "--quiet"]);
        let options = options.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((options.part, options.rounds, options.base), (Part::Peers, 3, Some("main")));
        assert_eq!(options.criterion, ["--quiet"]);
        assert!(options.wants("redis, read, 16 clients") && !options.wants("redis, write, 16 clients"));
        assert!(Options::read(&["--fast"]).is_err() && Options::read(&["--rounds", "0"]).is_err());
    }

    #[test]
    fn a_name_that_no_benchmark_has_is_refused_before_anything_is_built() {
        for part in [&[][..], &["stores"], &["peers"]] {
            let refused = super::run(&[part, &["redis", "lode"]].concat());
            assert_eq!(refused, Err("no benchmark has `redis` and `lode` in its name".into()));
        }
    }
}
