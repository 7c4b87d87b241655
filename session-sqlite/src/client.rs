//! The connections: one that writes, and some that read.

use std::{sync::Arc, time::Duration};

use session_core::{SharedTrips, StoreError};
use sqlx::{
    SqlStr, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{
    error::{BACKEND, from_driver},
    group::MOST,
    value::{Value, arguments},
    writer::{Outcome, Write, Writer},
};

/// The connections, and the writes that wait.
pub(crate) struct Client {
    writer: Arc<Writer>,
    /// The writes of requests: those that wait at the same moment go together.
    writes: SharedTrips<Write, u64>,
    readers: SqlitePool,
}

impl Client {
    pub(crate) fn new(writer: SqlitePool, readers: SqlitePool, timeout: Duration) -> Self {
        let writer = Arc::new(Writer::new(writer, timeout));
        let writes = SharedTrips::new(BACKEND, MOST, {
            let writer = Arc::clone(&writer);
            move |writes: Vec<Write>| {
                let writer = Arc::clone(&writer);
                // In a task, because it holds up all other writes: a caller may leave its future alone.
                let written = tokio::spawn(async move { writer.write_all(&writes).await });
                async move { written.await.map_err(|error| StoreError::unavailable(BACKEND, error)) }
            }
        });
        Self { writer, writes, readers }
    }

    /// Runs a statement that reads, and returns the rows of its answer.
    pub(crate) async fn read(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<SqliteRow>, StoreError> {
        query(sql, values)?.fetch_all(&self.readers).await.map_err(from_driver)
    }

    /// Runs a statement whose answer has one row at most. The driver then stops at this row: it does not look for another,
    /// and the read is over before the row comes.
    pub(crate) async fn read_one(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Option<SqliteRow>, StoreError> {
        query(sql, values)?.fetch_optional(&self.readers).await.map_err(from_driver)
    }

    /// Runs a statement that writes, alone or together with others, and returns how many rows it has written.
    pub(crate) async fn write(&self, sql: &SqlStr, values: &[Value<'_>]) -> Outcome {
        self.writes.ask_once(Write::new(sql, values, self.writer.deadline())?).await
    }

    /// Runs a statement that writes, in a turn of its own.
    pub(crate) async fn write_alone(&self, sql: &SqlStr, values: &[Value<'_>]) -> Outcome {
        self.writer.write(&Write::new(sql, values, self.writer.deadline())?).await
    }

    /// Runs several statements.
    pub(crate) async fn run(&self, sql: SqlStr) -> Result<(), StoreError> {
        self.writer.run(sql).await
    }
}

fn query(sql: &SqlStr, values: &[Value<'_>]) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
    Ok(sqlx::query_with(sql.clone(), arguments(values)?))
}

#[cfg(test)]
mod tests {
    use sqlx::{Row, SqlitePool};

    use super::Client;
    use crate::SqliteStore;

    async fn pragma(pool: &SqlitePool, name: &'static str) -> String {
        let value = sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {name}"))).fetch_one(pool).await.unwrap();
        value.try_get::<i64, _>(0).map(|number| number.to_string()).or_else(|_| value.try_get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_file_of_its_own_is_written_by_one_connection_that_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("sessions.db")).await.unwrap();
        let Client { writer, readers, .. } = &store.0.client;
        let writer = &writer.pool;
        assert_eq!(writer.options().get_max_connections(), 1);
        assert_eq!(readers.options().get_max_connections(), 4);
        let settings = [
            ("journal_mode", "wal", "wal"),
            ("synchronous", "2", "2"),
            ("busy_timeout", "2000", "2000"),
            ("journal_size_limit", "16777216", "16777216"),
            ("query_only", "0", "1"),
        ];
        for (name, of_the_writer, of_a_reader) in settings {
            assert_eq!(pragma(writer, name).await, of_the_writer, "{name}");
            assert_eq!(pragma(readers, name).await, of_a_reader, "{name}");
        }
    }
}
