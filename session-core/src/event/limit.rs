//! How many lines a stranger can cause.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tracing::Level;

/// How many lines of one name are written in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) lines: u32,
    pub(crate) within: Duration,
}

/// Counts lines by their name, and those that were not written.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    windows: Mutex<BTreeMap<&'static str, Window>>,
    /// So that a request asks for no lock where there is nothing to tell.
    has_suppressed: AtomicBool,
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    lines_left: u32,
    level: Level,
    suppressed: u64,
}

/// Lines of one name that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suppressed {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) count: u64,
}

impl Limit {
    /// Whether a line of this name may be written now. One that may not is counted.
    pub(crate) fn admits(&self, name: &'static str, level: Level, rate: Rate) -> bool {
        let now = Instant::now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(name).or_insert(Window { ends: now, lines_left: 0, level, suppressed: 0 });
        if window.ends <= now {
            window.ends = now + rate.within;
            window.lines_left = rate.lines;
        }
        let is_admitted = window.lines_left > 0;
        if is_admitted {
            window.lines_left -= 1;
        } else {
            window.level = level;
            window.suppressed += 1;
            self.has_suppressed.store(true, Ordering::Relaxed);
        }
        is_admitted
    }

    /// What was not written in the times that are over, each told once.
    pub(crate) fn take_suppressed(&self) -> Vec<Suppressed> {
        if !self.has_suppressed.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let now = Instant::now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let over = windows.iter_mut().filter(|(_, window)| window.ends <= now && window.suppressed > 0);
        let told = |(name, window): (&&'static str, &mut Window)| Suppressed {
            name,
            level: window.level,
            count: std::mem::take(&mut window.suppressed),
        };
        let taken = over.map(told).collect();
        self.has_suppressed.store(windows.values().any(|window| window.suppressed > 0), Ordering::Relaxed);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_A_SECOND: Rate = Rate { lines: 2, within: Duration::from_secs(1) };

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_is_counted_and_told_once_when_the_second_is_over() {
        let limit = Limit::default();
        let admitted = || (0..10).filter(|_| limit.admits("a", Level::INFO, TWO_A_SECOND)).count();
        assert_eq!(admitted(), 2);
        assert!(limit.admits("b", Level::WARN, TWO_A_SECOND), "each name has its own");
        assert_eq!(limit.take_suppressed(), [], "the second is not over");
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(admitted(), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limit.take_suppressed(), [Suppressed { name: "a", level: Level::INFO, count: 18 }]);
        assert_eq!(limit.take_suppressed(), []);
        assert_eq!(admitted(), 2);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            limit.take_suppressed(),
            [Suppressed { name: "a", level: Level::INFO, count: 8 }],
            "as often as it is"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_is_told_at_the_level_of_what_was_left_out() {
        let limit = Limit::default();
        for level in [Level::DEBUG, Level::DEBUG, Level::DEBUG, Level::INFO] {
            limit.admits("a", level, TWO_A_SECOND);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.take_suppressed(), [Suppressed { name: "a", level: Level::INFO, count: 2 }]);
    }
}
