//! The purge deletes expired sessions. It looks at one window at a time of the sessions that are due.

use session_core::StoreError;
use sqlx::Row;

use crate::{error::from_driver, row::column, store::Table, value::Value};

impl Table {
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

    /// Goes through one window.
    async fn sweep(&self, limit: u32) -> Result<Window, StoreError> {
        let sql = &self.sql;
        let rows = self.read(&sql.window, &[]).await?;
        let window = rows.first().ok_or_else(|| from_driver(sqlx::Error::RowNotFound))?;
        let last: Option<i64> = window.try_get("sweep_at").map_err(from_driver)?;
        let until = Value::Number(last.map_or_else(|| column(window, "now"), Ok)?);
        let deleted = self.deleted(&sql.purge, &[until, Value::Number(limit.into())]).await?;
        if deleted < limit.into() {
            self.write(&sql.move_on, &[until]).await?;
        }
        Ok(Window { deleted, is_last: last.is_none() })
    }
}

/// The outcome of one window: of the sessions that are due soonest.
struct Window {
    deleted: u64,
    is_last: bool,
}
