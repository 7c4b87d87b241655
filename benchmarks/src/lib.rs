//! How the benchmarks of this repository measure: two things in turn, so that whatever else the machine does meets both.

use std::time::Duration;

use criterion::Bencher;
use tokio::runtime::Runtime;

/// Measures how many times as long the first takes as the second: window by window in turn. Each is one window, and says
/// how long it took, so that what it has to prepare does not count.
///
/// It reports the median of the windows' ratios: what interrupts some windows lengthens the mean of all, and never by the
/// same for both. Criterion knows times only: a microsecond of its report is 1.
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
