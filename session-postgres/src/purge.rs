//! The purge deletes expired sessions. It looks at one window at a time of the sessions that are due.

use session_core::StoreError;

use crate::{client::Kind, row, store::Table, value::Value};

impl Table {
    /// Deletes expired sessions, at most `limit`, and returns how many.
    pub(crate) async fn delete_expired(&self, limit: u32) -> Result<u64, StoreError> {
        loop {
            let window = self.sweep(limit).await?;
            // If all sessions of a window have been touched since, expired ones may lie behind it.
            if window.deleted > 0 || window.is_last {
                return Ok(window.deleted);
            }
        }
    }

    /// Goes through one window.
    async fn sweep(&self, limit: u32) -> Result<Window, StoreError> {
        let rows = self.ask(Kind::Write, &self.sql.purge, &[Value::Number(limit.into())]).await?;
        let row = row::first(&rows)?;
        Ok(Window { deleted: row::count(row, "deleted")?, is_last: row::count(row, "moved")? == 0 })
    }
}

/// The outcome of one window: of the sessions that are due soonest.
struct Window {
    deleted: u64,
    is_last: bool,
}
