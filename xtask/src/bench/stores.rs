//! What a request and a store cost, as ratios. Criterion measures them.

use std::{fs, process::Command};

use super::{
    Options,
    goal::{Goal, Quartiles, Report},
};
use crate::{programs, step};

/// One line of the table: how many times as long the first takes as the second.
#[derive(Clone, Copy)]
struct Ratio {
    what: &'static str,
    of: &'static str,
    to: &'static str,
    /// How many requests `of` makes at once.
    requests: f64,
    goal: Option<Goal>,
    /// Whether another benchmark measures it for a second of CPU time. Then that one decides.
    by_cpu: bool,
}

const fn ratio(what: &'static str, of: &'static str, to: &'static str) -> Ratio {
    Ratio { what, of, to, requests: 1.0, goal: None, by_cpu: false }
}

const fn parallel(what: &'static str, of: &'static str, to: &'static str) -> Ratio {
    Ratio { requests: 16.0, ..ratio(what, of, to) }
}

/// Both were measured in turn, and the benchmark reports their ratio.
const fn in_turn(what: &'static str, benchmark: &'static str) -> Ratio {
    ratio(what, benchmark, IN_TURN)
}

/// The throughput, and for a second of CPU time of the process and the server.
const fn throughput(what: &'static str, benchmark: &'static str) -> Ratio {
    Ratio { by_cpu: true, ..in_turn(what, benchmark) }
}

const fn at_most(most: f64, ratio: Ratio) -> Ratio {
    Ratio { goal: Some(Goal::AtMost(most)), ..ratio }
}

const fn at_least(least: f64, ratio: Ratio) -> Ratio {
    Ratio { goal: Some(Goal::AtLeast(least)), ..ratio }
}

/// A ratio as a benchmark reports it: a microsecond is 1.
const IN_TURN: &str = "";
const FLOOR: &str = "request/floor";
const UNCHANGED: &str = "request/unchanged";
const CHANGED: &str = "request/changed";

/// The time of a request on the memory store.
const REQUESTS: &[Ratio] = &[
    ratio("a request that never asks for its session / HMAC + SHA-256", "request/not asked for", FLOOR),
    at_most(8.0, in_turn("open, read, commit unchanged / HMAC + SHA-256", "request/unchanged to floor")),
    ratio("open, change, commit / HMAC + SHA-256", CHANGED, FLOOR),
    ratio("unchanged, of 1 KiB / of a few bytes", "request/unchanged 1 KiB", UNCHANGED),
    ratio("changed, of 1 KiB / of a few bytes", "request/changed 1 KiB", CHANGED),
    ratio("unchanged, of 64 KiB / of a few bytes", "request/unchanged 64 KiB", UNCHANGED),
    ratio("changed, of 64 KiB / of a few bytes", "request/changed 64 KiB", CHANGED),
    ratio(
        "a cart of 20 items read and changed, MessagePack / JSON",
        "cart of 20 items/MessagePack",
        "cart of 20 items/Json",
    ),
    ratio("a cart of 20 items read and changed, Bincode / JSON", "cart of 20 items/Bincode", "cart of 20 items/Json"),
    parallel("16 at once unchanged, a session each / one at a time", "parallel/unchanged many", UNCHANGED),
    parallel("16 at once unchanged, on one session / one at a time", "parallel/unchanged one", UNCHANGED),
    parallel("16 at once changed, a session each / one at a time", "parallel/changed many", CHANGED),
    parallel("16 at once changed, on one session / one at a time", "parallel/changed one", CHANGED),
    at_most(1.1, in_turn("100000 sessions stored / 1000, p50", "stored/100000 to 1000")),
];

/// The throughput of a store in parts of its driver's.
const THROUGHPUT: &[Ratio] = &[
    at_least(1.2, throughput("redis: load / GET, 16 at once", "redis/load at once")),
    at_least(1.3, throughput("redis: load / GET, 64 at once", "redis/load by many at once")),
    at_least(0.9, throughput("redis: load / GET, one at a time", "redis/load")),
    at_least(0.75, throughput("redis: replace / SET PX, 16 at once", "redis/replace at once")),
    throughput("redis: replace / SET PX, 64 at once", "redis/replace by many at once"),
    throughput("redis: replace / SET PX, one at a time", "redis/replace"),
    at_most(2.6, in_turn("redis: replace / SET PX of 8 KiB, CPU of the server", "redis/replace of 8 KiB")),
    at_most(2.6, in_turn("redis: replace / SET PX of 66 KiB, CPU of the server", "redis/replace of 66 KiB")),
    at_least(1.5, throughput("postgres: load / SELECT payload, 16 at once", "postgres/load at once")),
    at_least(1.5, throughput("postgres: load / SELECT payload, 64 at once", "postgres/load by many at once")),
    at_least(0.95, throughput("postgres: load / SELECT payload, one at a time", "postgres/load")),
    at_least(0.9, throughput("postgres: replace / UPDATE payload, 16 at once", "postgres/replace at once")),
    throughput("postgres: replace / UPDATE payload, 64 at once", "postgres/replace by many at once"),
    throughput("postgres: replace / UPDATE payload, one at a time", "postgres/replace"),
    in_turn("postgres: replace, 16 at once, fsync=off", "postgres/replace at once without disk"),
    at_least(1.5, throughput("mysql: load / SELECT payload, 16 at once", "mysql/load at once")),
    at_least(1.5, throughput("mysql: load / SELECT payload, 64 at once", "mysql/load by many at once")),
    at_least(0.94, throughput("mysql: load / SELECT payload, one at a time", "mysql/load")),
    at_least(0.9, throughput("mysql: replace / UPDATE payload, 16 at once", "mysql/replace at once")),
    throughput("mysql: replace / UPDATE payload, 64 at once", "mysql/replace by many at once"),
    throughput("mysql: replace / UPDATE payload, one at a time", "mysql/replace"),
    in_turn("mysql: replace, 16 at once, flush_log_at_trx_commit=2", "mysql/replace at once without disk"),
    at_least(0.95, throughput("sqlite: load / SELECT payload, 16 at once", "sqlite/load at once")),
    throughput("sqlite: load / SELECT payload, 64 at once", "sqlite/load by many at once"),
    throughput("sqlite: load / SELECT payload, one at a time", "sqlite/load"),
    at_least(2.0, throughput("sqlite: replace / UPDATE payload, 16 at once", "sqlite/replace at once")),
    at_least(4.0, throughput("sqlite: replace / UPDATE payload, 64 at once", "sqlite/replace by many at once")),
    at_least(0.9, throughput("sqlite: replace / UPDATE payload, one at a time", "sqlite/replace")),
    throughput("mongo: load / findOne, 16 at once", "mongo/load at once"),
    throughput("mongo: replace / updateOne, 16 at once", "mongo/replace at once"),
    throughput("mongo: load / findOne, one at a time", "mongo/load"),
    throughput("mongo: replace / updateOne, one at a time", "mongo/replace"),
];

/// How the time of an operation grows with the number of sessions.
const SIZES: &[Ratio] = &[
    in_turn("memory: list an owner's 5, among 100000 / 1000", "memory/list among 100000 to 1000"),
    in_turn("memory: purge 10 expired, among 100000 live / 1000", "memory/purge of few among 100000 to 1000"),
    in_turn("memory: purge, for each of 100000 expired / of 1000", "memory/purge of 100000 to 1000"),
    in_turn("redis: list an owner's 5, among 100000 / 1000", "redis/list among 100000 to 1000"),
    in_turn("postgres: list an owner's 5, among 100000 / 1000", "postgres/list among 100000 to 1000"),
    in_turn("postgres: purge 10 expired, among 100000 live / 1000", "postgres/purge of few among 100000 to 1000"),
    in_turn("postgres: purge, for each of 100000 expired / of 1000", "postgres/purge of 100000 to 1000"),
    in_turn("mysql: list an owner's 5, among 100000 / 1000", "mysql/list among 100000 to 1000"),
    in_turn("mysql: purge 10 expired, among 100000 live / 1000", "mysql/purge of few among 100000 to 1000"),
    in_turn("mysql: purge, for each of 100000 expired / of 1000", "mysql/purge of 100000 to 1000"),
    in_turn("sqlite: list an owner's 5, among 100000 / 1000", "sqlite/list among 100000 to 1000"),
    in_turn("sqlite: purge 10 expired, among 100000 live / 1000", "sqlite/purge of few among 100000 to 1000"),
    in_turn("sqlite: purge, for each of 100000 expired / of 1000", "sqlite/purge of 100000 to 1000"),
    at_most(1.2, in_turn("sqlite: replace, CPU, among 100000 / 1000", "sqlite/replace among 100000 to 1000")),
    at_most(1.2, in_turn("sqlite: replace, CPU, among 1000000 / 1000", "sqlite/replace among 1000000 to 1000")),
    in_turn("mongo: list an owner's 5, among 100000 / 1000", "mongo/list among 100000 to 1000"),
];

const TABLES: [(&str, &[Ratio]); 3] = [
    ("time of a request on the memory store", REQUESTS),
    ("a store / the driver's plain statement", THROUGHPUT),
    ("time with many sessions / with few", SIZES),
];

/// What criterion is told if it is to measure nothing.
const WITHOUT_SAMPLES: [&str; 3] = ["--test", "--list", "--profile-time"];

/// Whether a benchmark of the stores is to be measured.
pub(super) fn are_wanted(options: &Options) -> bool {
    TABLES.iter().any(|(_, lines)| !chosen(options, lines).is_empty())
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), String> {
    programs::provide(&[&programs::SERVERS[..], &programs::STAND_IN].concat())?;
    for (package, benchmark, lines) in
        [("session-core", "exchange", vec![REQUESTS]), ("benchmarks", "stores", vec![THROUGHPUT, SIZES])]
    {
        let lines = chosen(options, &lines.concat());
        if !lines.is_empty() {
            // With every format of values.
            let mut cargo: Command =
                step::cargo(&["bench", "--all-features", "--package", package, "--bench", benchmark]);
            let filter = (!options.names.is_empty()).then(|| pattern(&lines));
            step::run(cargo.arg("--").args(filter).args(&options.criterion))?;
        }
    }
    if !takes_samples(&options.criterion) {
        return Ok(());
    }
    for (title, lines) in TABLES {
        let lines = chosen(options, lines);
        if !lines.is_empty() {
            report.head(title);
        }
        for ratio in lines {
            if ratio.by_cpu {
                report.line("", ratio.what, ratio.quartiles(ratio.of)?, None);
                let what = format!("{}, for its CPU", ratio.what);
                report.line("", &what, ratio.quartiles(&by_cpu(ratio.of))?, ratio.goal);
            } else {
                report.line("", ratio.what, ratio.quartiles(ratio.of)?, ratio.goal);
            }
        }
    }
    Ok(())
}

/// Whether criterion measures with these options. Where it does not, the samples that lie there are of an earlier run.
fn takes_samples(options: &[&str]) -> bool {
    !options.iter().filter_map(|option| option.split('=').next()).any(|option| WITHOUT_SAMPLES.contains(&option))
}

/// The lines whose benchmark has all these words in its name.
fn chosen(options: &Options, lines: &[Ratio]) -> Vec<Ratio> {
    lines.iter().copied().filter(|line| options.wants(line.of)).collect()
}

/// The regular expression of the benchmarks that these lines need. Their names have no character that means something in one.
fn pattern(lines: &[Ratio]) -> String {
    let mut names = Vec::new();
    for line in lines {
        names.extend([line.of, line.to].into_iter().filter(|name| *name != IN_TURN).map(str::to_owned));
        if line.by_cpu {
            names.push(by_cpu(line.of));
        }
    }
    format!("^({})$", names.join("|"))
}

/// The benchmark that measures the same for a second of CPU time.
fn by_cpu(benchmark: &str) -> String {
    format!("{benchmark} by CPU")
}

impl Ratio {
    fn quartiles(&self, benchmark: &str) -> Result<Quartiles, String> {
        let to = if self.to == IN_TURN { 1000.0 } else { quartiles(&samples(self.to)?, self.to)?.median };
        let ratios: Vec<_> = samples(benchmark)?.into_iter().map(|sample| sample / self.requests / to).collect();
        quartiles(&ratios, benchmark)
    }
}

fn quartiles(samples: &[f64], benchmark: &str) -> Result<Quartiles, String> {
    Quartiles::of(samples.to_vec()).ok_or_else(|| format!("`{benchmark}` has no samples"))
}

/// The time of each sample that criterion took, in nanoseconds.
fn samples(benchmark: &str) -> Result<Vec<f64>, String> {
    let path = step::target().join("criterion").join(benchmark).join("new/sample.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    times(&text).ok_or_else(|| format!("{} has no samples", path.display()))
}

fn times(samples: &str) -> Option<Vec<f64>> {
    let numbers = |name: &str| -> Option<Vec<f64>> {
        let (_, rest) = samples.split_once(&format!("\"{name}\":["))?;
        rest.split(']').next()?.split(',').map(|number| number.trim().parse().ok()).collect()
    };
    Some(numbers("times")?.into_iter().zip(numbers("iters")?).map(|(time, iterations)| time / iterations).collect())
}

#[cfg(test)]
mod tests {
    use super::{Options, THROUGHPUT, are_wanted, chosen, pattern, takes_samples, times};

    #[test]
    fn a_sample_is_the_time_of_one_iteration() {
        let samples = r#"{"sampling_mode":"Linear","iters":[2.0,4.0],"times":[3e3,8000.0]}"#;
        assert_eq!(times(samples), Some(vec![1500.0, 2000.0]));
        assert_eq!(times("{}"), None);
    }

    #[test]
    fn no_table_is_made_of_the_samples_of_an_earlier_run() {
        for options in [&["--test"][..], &["--list"], &["--profile-time", "5"], &["--quiet", "--profile-time=5"]] {
            assert!(!takes_samples(options), "{options:?}");
        }
        assert!(takes_samples(&[]) && takes_samples(&["--sample-size", "10", "--measurement-time=5"]));
    }

    #[test]
    fn all_the_words_choose_a_line_and_what_it_is_compared_with_is_measured_too() {
        let options = |words: &[&'static str]| Options::read(words).unwrap_or_else(|error| panic!("{error}"));
        let large = chosen(&options(&["stores", "redis", "KiB"]), THROUGHPUT);
        assert_eq!(pattern(&large), "^(redis/replace of 8 KiB|redis/replace of 66 KiB)$");
        let loads = chosen(&options(&["stores", "redis/load by many"]), THROUGHPUT);
        assert_eq!(pattern(&loads), "^(redis/load by many at once|redis/load by many at once by CPU)$");
        let changed = chosen(&options(&["stores", "request/changed 1 KiB"]), super::REQUESTS);
        assert_eq!(pattern(&changed), "^(request/changed 1 KiB|request/changed)$");
        assert!(are_wanted(&options(&["stores"])) && !are_wanted(&options(&["stores", "redis", "nothing"])));
    }
}
