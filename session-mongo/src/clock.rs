//! An estimate of the server's clock that needs no question to the server. It is used for cleaning only.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How long a reading is good for. Core loads before it writes, and each load brings a new reading.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// The last time that the server told. No decision about a session depends on it.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Milliseconds since 1970.
    server: i64,
    at: Instant,
    wall: SystemTime,
}

impl ServerClock {
    /// The server has told this time just now, in milliseconds since 1970.
    pub(crate) fn told(&self, server: i64) {
        let reading = Reading { server, at: Instant::now(), wall: SystemTime::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }

    /// About now on the server's clock, in milliseconds since 1970; `None` if it must be asked.
    pub(crate) fn now(&self) -> Option<i64> {
        let reading = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let elapsed = reading.at.elapsed();
        // `Instant` may stand still while a machine sleeps; only the wall clock shows that time has passed. If the wall
        // clock was set in between, the worst is that the server is asked.
        let wall = reading.wall.elapsed().ok()?;
        if elapsed.max(wall) > GOOD_FOR {
            return None;
        }
        i64::try_from(elapsed.as_millis()).ok().map(|elapsed| reading.server.saturating_add(elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_is_missing_or_old_by_either_clock_is_asked_for() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.told(5000);
        assert!((5000..65_000).contains(&clock.now().unwrap()));
        let (at, wall) = (Instant::now(), SystemTime::now());
        let old = Duration::from_secs(601);
        for wall in [wall - old, wall + old] {
            *clock.0.lock().unwrap() = Some(Reading { server: 5000, at, wall });
            assert_eq!(clock.now(), None);
        }
        let Some(at) = at.checked_sub(old) else { return };
        *clock.0.lock().unwrap() = Some(Reading { server: 5000, at, wall });
        assert_eq!(clock.now(), None);
    }
}
