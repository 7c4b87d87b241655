//! What the least costs that keeps the promises, by the bare drivers. Where a goal of speed is missed, this shows where its
//! limit is.
//!
//! `cargo run --profile bench -p benchmarks --example limits`, with the number of rounds. Everything runs in turn, in short
//! windows. A line is the median of the ratios of its windows and those of the first line, with the quartiles.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

mod mysql;
mod postgres;
mod redis;

use std::{env, process, time::Duration};

use benchmarks::cpu_of;
use session_core::{Entry, Expiry, Revision, SessionId, Store};

static PAYLOAD: [u8; 300] = [b'x'; 300];
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ID: SessionId = SessionId::from_bytes([7; 16]);

/// The statements of a window.
const TIMES: u32 = 300;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = env::args().nth(1).map_or(9, |rounds| rounds.parse().unwrap());
    redis::measure(rounds).await;
    postgres::measure(rounds).await;
    mysql::measure(rounds).await;
}

/// What is measured, and the seconds that each of its windows took.
struct Line {
    name: &'static str,
    windows: Vec<f64>,
}

impl Line {
    /// A window: what many runs of this take by this clock.
    async fn window(&mut self, clock: impl Fn() -> Duration, mut run: impl AsyncFnMut()) {
        let before = clock();
        for _ in 0..TIMES {
            run().await;
        }
        self.windows.push((clock() - before).as_secs_f64());
    }
}

/// Measures a load on both sides: of the payload alone, of the least that tells a live session and its age, and of the store.
async fn measure_loads<S: Store>(
    database: &str,
    goal: f64,
    rounds: usize,
    processes: &[u32],
    session: &Session<S>,
    mut plain: impl AsyncFnMut(),
    mut least: impl AsyncFnMut(),
) {
    let processes = [processes, &[process::id()]].concat();
    let clock = || cpu_of(&processes);
    let mut reads =
        lines(["the payload by its id", "the payload, the revision, the times and the clock", "the store's load"]);
    for _ in 0..rounds {
        reads[0].window(clock, &mut plain).await;
        reads[1].window(clock, &mut least).await;
        reads[2].window(clock, async || session.load().await).await;
    }
    let title = "one client: CPU of process and server of a load, in parts of the plainest";
    print(&format!("{database}, {title}"), &reads);
    print_goal(goal);
}

fn lines<const COUNT: usize>(names: [&'static str; COUNT]) -> [Line; COUNT] {
    names.map(|name| Line { name, windows: Vec::new() })
}

/// The lines, each in parts of the first.
fn print(title: &str, lines: &[Line]) {
    println!("{title}");
    for line in lines {
        let mut ratios: Vec<_> = line.windows.iter().zip(&lines[0].windows).map(|(own, first)| own / first).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let quarter = |of: usize| ratios[(ratios.len() - 1) * of / 4];
        println!("  {:<60} {:.2}  ({:.2} to {:.2})", line.name, quarter(2), quarter(1), quarter(3));
    }
}

/// What a goal leaves. It is a throughput in parts of the first line's: so much may it cost in parts of the first line.
fn print_goal(throughput: f64) {
    println!("  {:<60} {:.2}", format!("the goal of {throughput} leaves"), 1.0 / throughput);
}

/// The one session of a store, and its revision.
struct Session<S> {
    store: S,
    revision: i64,
    payload: &'static [u8],
}

impl<S: Store> Session<S> {
    async fn new(store: S) -> Self {
        Self::with(store, &PAYLOAD).await
    }

    async fn with(store: S, payload: &'static [u8]) -> Self {
        store.create(&ID, entry(0, payload), HOUR, DAY).await.unwrap();
        Self { store, revision: 0, payload }
    }

    async fn load(&self) {
        self.store.load(&ID).await.unwrap().unwrap();
    }

    async fn replace(&mut self) {
        let expected = Revision::from_bytes(self.revision.to_be_bytes());
        self.revision += 1;
        let entry = entry(self.revision, self.payload);
        assert!(self.store.replace(&ID, expected, entry, Expiry::Extend(HOUR)).await.unwrap());
    }
}

fn entry(revision: i64, payload: &[u8]) -> Entry<'_> {
    Entry::new(Revision::from_bytes(revision.to_be_bytes()), payload)
}
