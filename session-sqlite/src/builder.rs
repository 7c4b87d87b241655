//! How a store is set up.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use session_core::{InvalidNamespace, Namespace, StoreError};
use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    SqliteStore,
    error::{from_driver, from_opening, no_log},
};

/// How much of the write-ahead log SQLite keeps after a checkpoint, in bytes. While a reader is open, the log may grow
/// beyond it.
const JOURNAL_SIZE_LIMIT: u32 = 16 * 1024 * 1024;

/// The settings of a [`SqliteStore`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.db");
/// use std::time::Duration;
///
/// use session_sqlite::SqliteStore;
///
/// let store = SqliteStore::builder()
///     .with_table("admin_sessions")?
///     .with_timeout(Duration::from_secs(1))
///     .open(&path)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) table: Namespace,
    pub(crate) timeout: Duration,
    readers: u32,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { table: Namespace::default(), timeout: Duration::from_secs(2), readers: 4 }
    }

    /// Keeps the sessions in the table of this name, `sessions` by default. Two stores with two tables never meet.
    ///
    /// # Errors
    ///
    /// [`InvalidNamespace`] if the name is no [`Namespace`].
    pub fn with_table(mut self, name: &str) -> Result<Self, InvalidNamespace> {
        self.table = name.try_into()?;
        Ok(self)
    }

    /// How long an operation waits for its turn, and then again for SQLite's lock, before it fails with
    /// [`TimedOut`](StoreError::TimedOut): 2 seconds by default. In the application's own pool, the pool's settings say how
    /// long it waits for the lock.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How many connections [`open`](Self::open) makes for reading, 4 by default. All writes share one more: SQLite lets only
    /// one connection write at a time, so others would just wait for its lock.
    #[must_use]
    pub fn with_readers(self, readers: u32) -> Self {
        Self { readers: readers.max(1), ..self }
    }

    /// Opens the file, and makes it and the table if they are not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the file cannot be opened, for example because its folder does not exist: a missing
    /// folder is not made. [`StoreError::Backend`] if it is no SQLite database, or can
    /// have no write-ahead log: `:memory:` has none, nor has a file on a network file system.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path.as_ref())
            .create_if_missing(true)
            .busy_timeout(self.timeout)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT.to_string())
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(self.timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            // The database is in this process, so a connection cannot break between two calls.
            .test_before_acquire(false);
        let writer = pool.clone().max_connections(1).connect_with(options.clone()).await;
        let writer = writer.map_err(|error| from_opening(path.as_ref(), error))?;
        write_ahead(&writer, self.timeout).await?;
        let readers = pool.max_connections(self.readers).connect_lazy_with(options.pragma("query_only", "ON"));
        let store = SqliteStore::from_pools(self, writer, readers);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses the application's own pool. The table must be there: see [`SqliteStore::migrate`].
    #[must_use]
    pub fn with_pool(self, pool: SqlitePool) -> SqliteStore {
        SqliteStore::from_pools(self, pool.clone(), pool)
    }
}

/// Turns on the file's write-ahead log, which then stays on. If two connections do so at once, SQLite tells one of them
/// that the file is locked, however long its busy timeout is. So this tries again.
async fn write_ahead(writer: &SqlitePool, timeout: Duration) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL").fetch_one(writer).await.map_err(from_driver)
        {
            Err(StoreError::TimedOut { .. }) if start.elapsed() < timeout => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error),
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(no_log()),
        }
    }
}
