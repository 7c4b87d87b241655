//! The connections: one that writes, and some that read.

use std::time::Duration;

use session_core::StoreError;
use sqlx::{
    Error, SqlStr, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    error::{from_driver, from_wait},
    value::Value,
};

/// The connections, and how long to wait.
pub(crate) struct Client {
    writer: SqlitePool,
    readers: SqlitePool,
    /// SQLite lets one connection write at a time. Writes that wait here are served in order. A connection that waits
    /// for SQLite's own lock only tries it now and then.
    writing: Semaphore,
    timeout: Duration,
}

impl Client {
    pub(crate) fn new(writer: SqlitePool, readers: SqlitePool, timeout: Duration) -> Self {
        Self { writer, readers, writing: Semaphore::new(1), timeout }
    }

    /// Runs a statement that reads, and returns the rows of its answer.
    pub(crate) async fn read(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<SqliteRow>, StoreError> {
        query(sql, values).fetch_all(&self.readers).await.map_err(from_driver)
    }

    /// Runs a statement that writes, and returns how many rows it has written.
    ///
    /// It is one statement, and the driver hands it to the connection's thread as one message. So a future that is
    /// dropped has either sent it or not. A statement that was sent is done wholly, before the connection's next one.
    pub(crate) async fn write(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let _turn = self.turn().await?;
        let result = query(sql, values).execute(&self.writer).await.map_err(from_driver)?;
        Ok(result.rows_affected())
    }

    /// Runs several statements.
    pub(crate) async fn run(&self, sql: SqlStr) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::raw_sql(sql).execute(&self.writer).await.map(drop).map_err(from_driver)
    }

    /// Waits for the turn to write.
    async fn turn(&self) -> Result<impl Drop + '_, StoreError> {
        let turn = timeout(self.timeout, self.writing.acquire()).await.map_err(from_wait)?;
        // The semaphore is never closed.
        turn.map_err(|_| from_driver(Error::PoolClosed))
    }
}

fn query(sql: &SqlStr, values: &[Value<'_>]) -> Query<'static, Sqlite, SqliteArguments> {
    values.iter().fold(sqlx::query(sql.clone()), |query, &value| match value {
        Value::Number(number) => query.bind(number),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::NoBytes => query.bind(None::<&[u8]>),
    })
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
