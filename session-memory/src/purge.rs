//! The purge deletes expired sessions, one shard after the other.

use std::sync::Mutex;

use crate::{Sessions, enter, shard::Shard};

/// How many rows a sweep looks at before it gives the lock back.
const STEPS_UNDER_ONE_LOCK: usize = 64;

impl Sessions {
    /// Deletes expired sessions, at most `limit`, and returns how many.
    pub(crate) fn delete_expired(&self, limit: u32) -> u64 {
        let mut left = limit;
        for shard in &self.shards {
            left -= self.sweep(shard, left);
        }
        u64::from(limit - left)
    }

    /// Deletes one expired session, wherever it is. The caller holds no lock.
    pub(crate) fn make_room(&self) -> bool {
        self.shards.iter().any(|shard| self.sweep(shard, 1) == 1)
    }

    /// Deletes at most this many expired sessions of one shard. It gives the lock back after a few steps, so that
    /// nobody waits long.
    fn sweep(&self, shard: &Mutex<Shard>, limit: u32) -> u32 {
        let mut deleted = 0;
        loop {
            let mut shard = enter(shard);
            let now = self.now();
            for _ in 0..STEPS_UNDER_ONE_LOCK {
                let due = if deleted < limit { shard.due(now) } else { None };
                let Some(id) = due else { return deleted };
                if shard.live(&id, now).is_some() {
                    shard.postpone(&id);
                } else {
                    self.remove(&mut shard, &id);
                    deleted += 1;
                }
            }
        }
    }
}
