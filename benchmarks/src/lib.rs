//! The way in which the benchmarks of this repository measure. Two things are measured in turn, so other work of the
//! machine slows down both.

use std::time::Duration;

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
