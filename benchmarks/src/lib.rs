//! The way in which the benchmarks of this repository measure. Two things are measured in turn, so other work of the
//! machine slows down both.

use std::{fs, path::PathBuf, time::Duration};

use criterion::Bencher;
use tokio::runtime::Runtime;

/// Measures how many times as long the first takes as the second, in short windows that take turns. Each call is one
/// window. It returns how long it took, so its preparation does not count.
///
/// It reports the median of the ratios. The mean would not do, because an interruption of a few windows would change
/// it. Criterion knows only times, so a microsecond of its report stands for a ratio of 1.
pub fn in_turn(
    bencher: &mut Bencher<'_>,
    runtime: &Runtime,
    mut first: impl AsyncFnMut() -> Duration,
    mut second: impl AsyncFnMut() -> Duration,
) {
    bencher.iter_custom(|times| {
        runtime.block_on(async {
            let mut ratios = Vec::new();
            for _ in 0..times {
                let of_first = first().await;
                ratios.push(of_first.div_duration_f64(second().await));
            }
            ratios.sort_unstable_by(f64::total_cmp);
            Duration::from_micros(times).mul_f64(ratios[ratios.len() / 2])
        })
    });
}

/// The CPU time that these processes have used, and those that they have started and that still run. Only Linux tells it.
#[must_use]
pub fn cpu_of(processes: &[u32]) -> Duration {
    family(processes).into_iter().map(cpu_of_threads).sum()
}

/// These processes, and all that they have started.
fn family(processes: &[u32]) -> Vec<u32> {
    let mut family = processes.to_vec();
    let mut next = 0;
    while let Some(process) = family.get(next) {
        // Each thread has the processes that it has started.
        for thread in folders(&format!("/proc/{process}/task")) {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    family
}

/// A thread or process that has ended in the middle counts as nothing.
fn cpu_of_threads(process: u32) -> Duration {
    let of_thread = |thread: PathBuf| {
        let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
        Duration::from_nanos(nanoseconds.unwrap_or_default())
    };
    folders(&format!("/proc/{process}/task")).map(of_thread).sum()
}

fn folders(path: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}
