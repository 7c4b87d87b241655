//! The purge deletes expired sessions. It looks at one window at a time of the sessions that are due.

use session_core::StoreError;

use crate::{SqliteStore, value::Value};

impl SqliteStore {
    /// Deletes expired sessions, at most `limit`, and returns how many.
    pub(crate) async fn delete_expired(&self, limit: u32) -> Result<u64, StoreError> {
        if limit == 0 {
            return Ok(0);
        }
        loop {
            let window = self.sweep(limit).await?;
            // If all sessions of a window have been touched since, expired ones may lie behind it.
            if window.deleted > 0 || window.is_last {
                return Ok(window.deleted);
            }
        }
    }

    /// Goes through one window. Each of its two statements is right by itself, so nothing has to hold them together.
    async fn sweep(&self, limit: u32) -> Result<Window, StoreError> {
        let sql = &self.0.sql;
        let deleted = self.write_alone(&sql.purge, &[Value::Number(limit.into())]).await?;
        if deleted == u64::from(limit) {
            return Ok(Window { deleted, is_last: false });
        }
        let moved = self.write_alone(&sql.move_on, &[Value::Number(limit.into())]).await?;
        Ok(Window { deleted, is_last: moved == 0 })
    }
}

/// The outcome of one window: of the sessions that are due soonest.
struct Window {
    deleted: u64,
    is_last: bool,
}
