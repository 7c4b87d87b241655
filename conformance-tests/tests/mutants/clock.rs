//! The clock of the broken stores, and how they read it wrongly.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::fault::Fault;

#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    advanced: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), advanced: AtomicU64::new(0) }
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.advanced.fetch_add(milliseconds(time), Ordering::SeqCst);
    }

    /// Now, in milliseconds. The clock does not start at 0, so that a forgotten addition shows.
    pub(crate) fn now(&self) -> u64 {
        1_000_000 + self.since_the_first()
    }

    /// Milliseconds since the first process began.
    pub(crate) fn since_the_first(&self) -> u64 {
        milliseconds(self.started.elapsed()) + self.advanced.load(Ordering::SeqCst)
    }
}

impl Fault {
    pub(crate) fn after(self, now: u64, time: Duration) -> u64 {
        let time = match milliseconds(time) {
            0 if self == Self::ZeroIsNoLimit => 1 << 43,
            time if self == Self::LongDurationsWrap => time % (1 << 32),
            time if self == Self::CutsAt400Days => time.min(400 * 24 * 3_600_000),
            time => time,
        };
        now + time
    }

    /// The expiry, capped by the end unless this is how the store is broken.
    pub(crate) fn capped(self, expires_at: u64, ends_at: u64, unless: Self) -> u64 {
        if self == unless { expires_at } else { expires_at.min(ends_at) }
    }

    /// Whether a row with this expiry is live.
    pub(crate) fn is_before(self, now: u64, expires_at: u64) -> bool {
        match self {
            Self::ExpiryReadOffByOneSecond => now < expires_at + 1000,
            Self::ExpiryReadASecondEarly => now + 1000 < expires_at,
            Self::ExpiryInWholeSeconds => now < expires_at.div_ceil(1000) * 1000,
            _ => now < expires_at,
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(1 << 43)
}
