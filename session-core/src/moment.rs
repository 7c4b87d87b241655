//! How much time has passed on this machine since the store answered. No decision needs this machine's clock to be right.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// An instant on both clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// The larger of what both clocks say: the monotonic one stands still while a virtual machine is suspended, the wall
    /// clock can be set back.
    pub(crate) fn elapsed_at_most(&self) -> Duration {
        self.monotonic.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

/// What the store said of a session's time, and when it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLeft {
    pub(crate) asked: Instant,
    /// When it was asked: until the expiry.
    pub(crate) expires_in: Duration,
    /// When it was asked: until the end.
    pub(crate) ends_in: Duration,
}

impl TimeLeft {
    /// The same, now.
    pub(crate) fn now(self) -> Self {
        let now = Instant::now();
        let elapsed = now.duration_since(self.asked);
        let left = |then: Duration| then.saturating_sub(elapsed);
        Self { asked: now, expires_in: left(self.expires_in), ends_in: left(self.ends_in) }
    }

    /// The same after a use of the session, now: its idle timeout begins again, and never goes past the end.
    pub(crate) fn extended(self, idle: Duration) -> Self {
        let now = self.now();
        Self { expires_in: idle.min(now.ends_in), ..now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_much_has_passed_as_the_clock_says_that_says_more() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let suspended = Moment { wall: SystemTime::now() - hour, ..Moment::now() };
        assert!(suspended.elapsed_at_most() >= hour);
        let set_back = Moment { wall: SystemTime::now() + hour, ..Moment::now() };
        tokio::time::advance(minute).await;
        assert_eq!(set_back.elapsed_at_most(), minute);
    }
}
