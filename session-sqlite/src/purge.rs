//! The purge deletes expired sessions.

use session_core::StoreError;

use crate::{SqliteStore, value::Value};

impl SqliteStore {
    /// Deletes expired sessions, at most `limit`, and returns how many.
    ///
    /// One statement does it: the index is on the expiry itself. The other stores keep a lower bound of it in an index,
    /// which a touch leaves alone. Here a bound would spare little: SQLite writes the page of an index wherever a
    /// statement names its column, even if the value stays.
    pub(crate) async fn delete_expired(&self, limit: u32) -> Result<u64, StoreError> {
        self.write(&self.0.sql.purge, &[Value::Number(limit.into())]).await
    }
}
