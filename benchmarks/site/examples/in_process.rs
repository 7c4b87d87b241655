//! What a session adds to a request under axum, with the store in memory and no network.
//!
//! `cargo run --profile bench -p benchmark-site --example in_process`, with the number of rounds. It prints the CPU time of a
//! request in nanoseconds, as the median of the rounds with the quartiles:
//!
//! - what our layer adds to the same handlers without a session;
//! - what the least layer adds: it does by hand what each request is promised, over the same store;
//! - what the work takes without a framework and a store: it checks the MAC of one cookie and the hash of its secret, and finds
//!   the row. A write draws a revision, copies the row and compares it before it stores it. A login draws an id, a revision
//!   and a secret, and signs them.
//!
//! `cargo xtask bench peers "in process"` has both layers in parts of tower-sessions'.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

#[path = "../src/app.rs"]
mod app;
#[path = "../src/bare.rs"]
mod bare;
#[path = "../src/in_process.rs"]
mod in_process;
#[path = "in_process/least.rs"]
mod least;
#[path = "../src/least_layer/mod.rs"]
mod least_layer;

use std::{collections::BTreeMap, env, process::Command};

use session_memory::MemoryStore;

/// The CPU times of one round, in nanoseconds, by the name of the operation.
type Times = BTreeMap<String, f64>;

fn main() {
    let first = env::args().nth(1).unwrap_or_else(|| "9".to_owned());
    match first.as_str() {
        "ours" => return in_process::run(app::over("memory", "")),
        "bare" => return in_process::run(async { bare::site() }),
        "layer" => return in_process::run(async { least_layer::site(MemoryStore::new()) }),
        "least" => return least::run(),
        _ => {}
    }
    let rounds: usize = first.parse().unwrap();
    let mut added: BTreeMap<String, [Vec<f64>; 3]> = BTreeMap::new();
    for _ in 0..rounds {
        let [bare, ours, layer, least] = ["bare", "ours", "layer", "least"].map(measured);
        for (name, bare) in bare {
            let [of_ours, of_layer, of_least] = added.entry(name.clone()).or_default();
            of_ours.push(ours[&name] - bare);
            of_layer.push(layer[&name] - bare);
            of_least.extend(least.get(&name));
        }
    }
    println!("{:<10} {:>24} {:>24} {:>24}", "", "ours", "the least layer", "without a framework");
    for (name, figures) in added {
        println!("{name:<10} {}", figures.map(quartiles).join(" "));
    }
}

/// What this program prints of a site: a line for each operation, with its name and its time.
fn measured(site: &str) -> Times {
    let output = Command::new(env::current_exe().unwrap()).arg(site).output().unwrap();
    assert!(output.status.success(), "{site}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let time = |line: &str| line.split_once(' ').map(|(name, time)| (name.to_owned(), time.parse().unwrap()));
    lines.lines().filter_map(time).collect()
}

/// The median, and the lower and upper quartile.
fn quartiles(mut values: Vec<f64>) -> String {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return format!("{:>24}", "") };
    let at = |quarter: usize| format!("{:.0}", values[last * quarter / 4]);
    format!("{:>8} {:>15}", at(2), format!("({} to {})", at(1), at(3)))
}
