//! What a session adds to a request under axum, with the store in memory and no network, and the least that it can add.
//!
//! `cargo run --profile bench -p benchmark-site --example in_process`, with the number of rounds. It prints the CPU time of a
//! request in nanoseconds, as the median of the rounds with the quartiles:
//!
//! - what our layer adds to the same handlers without a session;
//! - what the least layer adds: it does by hand what each request is promised, over the same store;
//! - what the work takes without a framework and a store: it checks the MAC of one cookie and the hash of its secret, and finds the row. A write
//!   draws a revision, copies the row and compares it before it stores it. A login draws an id, a revision and a secret, and
//!   signs them.
//!
//! With the path of the program of `benchmarks/peers/tower-sessions` after the number, that one is measured in turn, too. Then
//! it prints both layers in parts of it.
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
    let mut arguments = env::args().skip(1);
    let first = arguments.next().unwrap_or_else(|| "9".to_owned());
    match first.as_str() {
        "ours" => return in_process::run(app::over("memory", "")),
        "bare" => return in_process::run(async { bare::site() }),
        "layer" => return in_process::run(async { least_layer::site(MemoryStore::new()) }),
        "least" => return least::run(),
        _ => {}
    }
    let rounds: usize = first.parse().unwrap();
    let own = env::current_exe().unwrap().to_str().unwrap().to_owned();
    let peer = arguments.next();
    let mut added: BTreeMap<String, [Vec<f64>; 5]> = BTreeMap::new();
    for _ in 0..rounds {
        let [bare, ours, layer, least] = ["bare", "ours", "layer", "least"].map(|site| measured(&own, &[site]));
        let theirs = peer.as_ref().map_or_else(Times::new, |peer| measured(peer, &["in-process", "memory"]));
        for (name, bare) in bare {
            let [of_ours, of_layer, of_least, to_theirs, layer_to_theirs] = added.entry(name.clone()).or_default();
            let [ours, layer] = [ours[&name] - bare, layer[&name] - bare];
            of_ours.push(ours);
            of_layer.push(layer);
            of_least.extend(least.get(&name));
            let theirs = theirs.get(&name).map(|theirs| theirs - bare);
            to_theirs.extend(theirs.map(|theirs| ours / theirs));
            layer_to_theirs.extend(theirs.map(|theirs| layer / theirs));
        }
    }
    let titles = ["ours", "the least layer", "without a framework", "ours / tower-sessions", "layer / tower-sessions"];
    println!("{:<10} {}", "", titles.map(|title| format!("{title:>24}")).join(" "));
    for (name, figures) in added {
        let digits = [0, 0, 0, 2, 2].into_iter();
        let columns: Vec<_> =
            figures.into_iter().zip(digits).map(|(values, digits)| quartiles(values, digits)).collect();
        println!("{name:<10} {}", columns.join(" "));
    }
}

/// What the program prints: a line for each operation, with its name and its time.
fn measured(program: &str, arguments: &[&str]) -> Times {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let time = |line: &str| line.split_once(' ').map(|(name, time)| (name.to_owned(), time.parse().unwrap()));
    lines.lines().filter_map(time).collect()
}

/// The median, and the lower and upper quartile.
fn quartiles(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return format!("{:>24}", "") };
    let at = |quarter: usize| format!("{:.digits$}", values[last * quarter / 4]);
    format!("{:>8} {:>15}", at(2), format!("({} to {})", at(1), at(3)))
}
