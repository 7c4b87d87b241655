//! `cargo xtask bench`: one table of ratios.
//!
//! Times are worth nothing on another machine, or next to another load. So only times of one run are compared.

use std::fs;

use crate::step;

/// One line of the table: how many times as long the first takes as the second.
#[derive(Clone, Copy)]
struct Ratio {
    what: &'static str,
    of: &'static str,
    to: &'static str,
    /// Requests that `of` makes at once.
    requests: f64,
    at_most: Option<f64>,
}

const fn ratio(what: &'static str, of: &'static str, to: &'static str) -> Ratio {
    Ratio { what, of, to, requests: 1.0, at_most: None }
}

const fn parallel(what: &'static str, of: &'static str, to: &'static str) -> Ratio {
    Ratio { requests: 16.0, ..ratio(what, of, to) }
}

const fn goal(ratio: Ratio, at_most: f64) -> Ratio {
    Ratio { at_most: Some(at_most), ..ratio }
}

/// Both were measured in turn, and the benchmark reports their ratio: a microsecond is 1.
const IN_TURN: &str = "";
const FLOOR: &str = "request/floor";
const UNCHANGED: &str = "request/unchanged";
const CHANGED: &str = "request/changed";

const TABLE: [Ratio; 12] = [
    ratio("a request that never asks for its session / HMAC + SHA-256", "request/not asked for", FLOOR),
    goal(ratio("open, read, commit unchanged / HMAC + SHA-256", "request/unchanged to floor", IN_TURN), 8.0),
    ratio("open, change, commit / HMAC + SHA-256", CHANGED, FLOOR),
    ratio("unchanged, of 1 KiB / of a few bytes", "request/unchanged 1 KiB", UNCHANGED),
    ratio("changed, of 1 KiB / of a few bytes", "request/changed 1 KiB", CHANGED),
    ratio("unchanged, of 64 KiB / of a few bytes", "request/unchanged 64 KiB", UNCHANGED),
    ratio("changed, of 64 KiB / of a few bytes", "request/changed 64 KiB", CHANGED),
    parallel("16 at once unchanged, a session each / one at a time", "parallel/unchanged many", UNCHANGED),
    parallel("16 at once unchanged, on one session / one at a time", "parallel/unchanged one", UNCHANGED),
    parallel("16 at once changed, a session each / one at a time", "parallel/changed many", CHANGED),
    parallel("16 at once changed, on one session / one at a time", "parallel/changed one", CHANGED),
    goal(ratio("100000 sessions stored / 1000, p50", "stored/100000 to 1000", IN_TURN), 1.1),
];

pub(crate) fn run(criterion: &[&str]) -> Result<(), String> {
    let bench = ["bench", "--package", "session-core", "--bench", "exchange", "--"];
    step::run(step::cargo(&bench).args(criterion))?;
    println!("\n{:<66} {:>7}  goal", "time a request, medians of one run on two threads", "ratio");
    for line in &TABLE {
        let ratio = median(line.of)? / line.requests / median(line.to)?;
        let goal = line.at_most.map_or(String::new(), |at_most| {
            format!("at most {at_most}: {}", if ratio <= at_most { "met" } else { "missed" })
        });
        println!("{:<66} {ratio:>7.2}  {goal}", line.what);
    }
    Ok(())
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
    use super::point_estimate;

    #[test]
    fn the_median_is_read_not_the_mean() {
        let estimates = r#"{"mean":{"confidence_interval":{"lower_bound":1.0},"point_estimate":2.5,"standard_error":1.0},
            "median":{"confidence_interval":{"lower_bound":1.0},"point_estimate":1.5e3,"standard_error":1.0}}"#;
        assert_eq!(point_estimate(estimates), Some(1500.0));
        assert_eq!(point_estimate("{}"), None);
    }
}
