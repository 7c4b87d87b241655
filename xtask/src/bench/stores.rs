//! `cargo xtask bench`: one table of ratios.
//!
//! A time says nothing on another machine, or while the machine has other work. So only times of one run are compared.

use std::fs;

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
}

#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

const fn ratio(what: &'static str, of: &'static str, to: &'static str) -> Ratio {
    Ratio { what, of, to, requests: 1.0, goal: None }
}

const fn parallel(what: &'static str, of: &'static str, to: &'static str) -> Ratio {
    Ratio { requests: 16.0, ..ratio(what, of, to) }
}

/// Both were measured in turn, and the benchmark reports their ratio.
const fn in_turn(what: &'static str, benchmark: &'static str) -> Ratio {
    ratio(what, benchmark, IN_TURN)
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
    at_least(1.2, in_turn("redis: load / GET, 16 at once", "redis/load at once")),
    at_least(1.3, in_turn("redis: load / GET, 64 at once", "redis/load by many at once")),
    at_least(0.9, in_turn("redis: load / GET, one at a time", "redis/load")),
    at_least(0.75, in_turn("redis: replace / SET PX, 16 at once", "redis/replace at once")),
    in_turn("redis: replace / SET PX, 64 at once", "redis/replace by many at once"),
    in_turn("redis: replace / SET PX, one at a time", "redis/replace"),
    at_least(1.5, in_turn("postgres: load / SELECT payload, 16 at once", "postgres/load at once")),
    at_least(1.5, in_turn("postgres: load / SELECT payload, 64 at once", "postgres/load by many at once")),
    at_least(0.95, in_turn("postgres: load / SELECT payload, one at a time", "postgres/load")),
    at_least(0.9, in_turn("postgres: replace / UPDATE payload, 16 at once", "postgres/replace at once")),
    in_turn("postgres: replace / UPDATE payload, 64 at once", "postgres/replace by many at once"),
    in_turn("postgres: replace / UPDATE payload, one at a time", "postgres/replace"),
    in_turn("postgres: replace, 16 at once, fsync=off", "postgres/replace at once without disk"),
    at_least(1.5, in_turn("mysql: load / SELECT payload, 16 at once", "mysql/load at once")),
    at_least(1.5, in_turn("mysql: load / SELECT payload, 64 at once", "mysql/load by many at once")),
    at_least(0.94, in_turn("mysql: load / SELECT payload, one at a time", "mysql/load")),
    at_least(0.9, in_turn("mysql: replace / UPDATE payload, 16 at once", "mysql/replace at once")),
    in_turn("mysql: replace / UPDATE payload, 64 at once", "mysql/replace by many at once"),
    in_turn("mysql: replace / UPDATE payload, one at a time", "mysql/replace"),
    in_turn("mysql: replace, 16 at once, flush_log_at_trx_commit=2", "mysql/replace at once without disk"),
    at_least(0.95, in_turn("sqlite: load / SELECT payload, 16 at once", "sqlite/load at once")),
    in_turn("sqlite: load / SELECT payload, 64 at once", "sqlite/load by many at once"),
    in_turn("sqlite: load / SELECT payload, one at a time", "sqlite/load"),
    at_least(2.0, in_turn("sqlite: replace / UPDATE payload, 16 at once", "sqlite/replace at once")),
    at_least(4.0, in_turn("sqlite: replace / UPDATE payload, 64 at once", "sqlite/replace by many at once")),
    at_least(0.9, in_turn("sqlite: replace / UPDATE payload, one at a time", "sqlite/replace")),
    in_turn("mongo: load / findOne, 16 at once", "mongo/load at once"),
    in_turn("mongo: replace / updateOne, 16 at once", "mongo/replace at once"),
    in_turn("mongo: load / findOne, one at a time", "mongo/load"),
    in_turn("mongo: replace / updateOne, one at a time", "mongo/replace"),
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
    in_turn("mongo: list an owner's 5, among 100000 / 1000", "mongo/list among 100000 to 1000"),
];

pub(crate) fn run(criterion: &[&str]) -> Result<(), String> {
    programs::provide(&[&programs::SERVERS[..], &programs::STAND_IN].concat())?;
    for (package, benchmark) in [("session-core", "exchange"), ("benchmarks", "stores")] {
        // With every format of values.
        step::run(
            step::cargo(&["bench", "--all-features", "--package", package, "--bench", benchmark, "--"]).args(criterion),
        )?;
    }
    println!("\n{:<66} {:>7}  goal", "medians of one run, on two threads", "ratio");
    print("time of a request on the memory store", REQUESTS)?;
    print("throughput of a store / of the driver's plain statement", THROUGHPUT)?;
    print("time with many sessions / with few", SIZES)
}

fn print(heading: &str, lines: &[Ratio]) -> Result<(), String> {
    println!("\n{heading}");
    for line in lines {
        let ratio = median(line.of)? / line.requests / median(line.to)?;
        let goal = line.goal.map_or(String::new(), |goal| goal.verdict(ratio));
        println!("  {:<64} {ratio:>7.2}  {goal}", line.what);
    }
    Ok(())
}

impl Goal {
    fn verdict(self, ratio: f64) -> String {
        let (words, bound, is_met) = match self {
            Self::AtMost(most) => ("at most", most, ratio <= most),
            Self::AtLeast(least) => ("at least", least, ratio >= least),
        };
        format!("{words} {bound}: {}", if is_met { "met" } else { "missed" })
    }
}

/// The median that criterion found, in nanoseconds.
fn median(benchmark: &str) -> Result<f64, String> {
    if benchmark == IN_TURN {
        return Ok(1000.0);
    }
    let path = step::target().join("criterion").join(benchmark).join("new/estimates.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    point_estimate(&text).ok_or_else(|| format!("{} has no median", path.display()))
}

fn point_estimate(estimates: &str) -> Option<f64> {
    let (_, median) = estimates.split_once("\"median\":")?;
    let (_, estimate) = median.split_once("\"point_estimate\":")?;
    estimate.split([',', '}']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Goal, point_estimate};

    #[test]
    fn the_median_is_read_not_the_mean() {
        let estimates = r#"{"mean":{"confidence_interval":{"lower_bound":1.0},"point_estimate":2.5,"standard_error":1.0},
            "median":{"confidence_interval":{"lower_bound":1.0},"point_estimate":1.5e3,"standard_error":1.0}}"#;
        assert_eq!(point_estimate(estimates), Some(1500.0));
        assert_eq!(point_estimate("{}"), None);
    }

    #[test]
    fn a_goal_is_met_on_its_own_side_alone() {
        assert_eq!(Goal::AtMost(8.0).verdict(8.0), "at most 8: met");
        assert_eq!(Goal::AtMost(8.0).verdict(8.1), "at most 8: missed");
        assert_eq!(Goal::AtLeast(0.9).verdict(0.9), "at least 0.9: met");
        assert_eq!(Goal::AtLeast(0.9).verdict(0.89), "at least 0.9: missed");
    }
}
