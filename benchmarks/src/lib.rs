//! The way in which the benchmarks of this repository measure. Two things are measured in turn, so other work of the
//! machine slows down both.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

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

/// The CPU time that these processes have used, and those that they have started. Only Linux tells it.
#[must_use]
pub fn cpu_of(processes: &[u32]) -> Duration {
    family(processes).into_iter().map(|process| cpu_of_threads(process) + cpu_of_ended(process)).sum()
}

/// The CPU time that they have used since they had used `before`. Of a process that ends, the system tells hundredths of a second,
/// so that the whole may be a little less than before.
#[must_use]
pub fn cpu_since(processes: &[u32], before: Duration) -> Duration {
    cpu_of(processes).saturating_sub(before)
}

/// These processes, and all that they have started. A server counts once, also if it is named together with the process that
/// has started it.
fn family(processes: &[u32]) -> BTreeSet<u32> {
    let (mut family, mut found) = (BTreeSet::new(), processes.to_vec());
    while let Some(process) = found.pop() {
        if !family.insert(process) {
            continue;
        }
        // Each thread has the processes that it has started.
        for thread in folders(&format!("/proc/{process}/task")) {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
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

/// What the children of this process had used that have ended, such as one that saved the data of Redis.
fn cpu_of_ended(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program, in brackets, may have spaces in it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let hundredths: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(hundredths * 10)
}

fn folders(path: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}
