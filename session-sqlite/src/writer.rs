//! The connection that writes.

use std::time::Duration;

use session_core::StoreError;
use sqlx::{Error, SqlStr, Sqlite, SqlitePool, pool::PoolConnection, sqlite::SqliteArguments};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use crate::{
    error::{from_driver, from_wait},
    value::{Value, arguments},
};

/// A longer timeout is as good as none. With one of `Duration::MAX` no instant could be told.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How many rows a statement has written.
pub(crate) type Outcome = Result<u64, StoreError>;

/// A statement that writes, and until when it waits for its turn.
pub(crate) struct Write {
    sql: SqlStr,
    arguments: SqliteArguments,
    pub(crate) bytes: usize,
    pub(crate) deadline: Instant,
}

impl Write {
    pub(crate) fn new(sql: &SqlStr, values: &[Value<'_>], deadline: Instant) -> Result<Self, StoreError> {
        let bytes = values.iter().map(Value::length).sum();
        Ok(Self { sql: sql.clone(), arguments: arguments(values)?, bytes, deadline })
    }

    /// The driver hands the statement to the connection's thread as one message. So a future that is dropped has either
    /// sent it or not. A statement that was sent is done wholly, before the connection's next one.
    pub(crate) async fn run(&self, connection: &mut PoolConnection<Sqlite>) -> Result<u64, Error> {
        let query = sqlx::query_with(self.sql.clone(), self.arguments.clone());
        Ok(query.execute(&mut **connection).await?.rows_affected())
    }
}

/// The connection that writes, and who waits for it.
pub(crate) struct Writer {
    pub(crate) pool: SqlitePool,
    /// SQLite lets one connection write at a time. Writes that wait here are served in order. A connection that waits
    /// for SQLite's own lock only tries it now and then.
    writing: Semaphore,
    timeout: Duration,
}

impl Writer {
    pub(crate) fn new(pool: SqlitePool, timeout: Duration) -> Self {
        Self { pool, writing: Semaphore::new(1), timeout }
    }

    /// Until when a write that comes now waits for its turn.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout.min(LONGEST_WAIT)
    }

    /// Waits for the turn to write, and for the connection.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<Turn<'_>, StoreError> {
        let turn = async {
            // The semaphore is never closed.
            let permit = self.writing.acquire().await.map_err(|_| Error::PoolClosed)?;
            Ok(Turn { connection: self.pool.acquire().await?, _permit: permit })
        };
        timeout_at(deadline, turn).await.map_err(from_wait)?.map_err(from_driver)
    }

    /// Does one write, as one statement.
    pub(crate) async fn write(&self, write: &Write) -> Outcome {
        let mut turn = self.turn(write.deadline).await?;
        write.run(&mut turn.connection).await.map_err(from_driver)
    }

    /// Runs several statements.
    pub(crate) async fn run(&self, sql: SqlStr) -> Result<(), StoreError> {
        let mut turn = self.turn(self.deadline()).await?;
        sqlx::raw_sql(sql).execute(&mut *turn.connection).await.map(drop).map_err(from_driver)
    }
}

/// The turn to write. The connection goes back before the next turn.
pub(crate) struct Turn<'a> {
    pub(crate) connection: PoolConnection<Sqlite>,
    _permit: SemaphorePermit<'a>,
}
