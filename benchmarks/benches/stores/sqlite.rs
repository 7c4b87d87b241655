//! SQLite, in a file on the disk. Each write waits for the disk.

use session_core::SessionId;
use session_sqlite::SqliteStore;
use sqlx::{
    ConnectOptions, Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;

use crate::{
    session::PAYLOAD,
    table::{Backend, Disk, Life, Plain, Table},
};

pub(crate) struct Sqlite {
    folder: TempDir,
}

/// The store and the driver share one connection that writes and some that read. They are made as the store makes them.
#[derive(Clone)]
pub(crate) struct SqliteTable {
    writing: SqliteStore,
    reading: SqliteStore,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Backend for Sqlite {
    const NAME: &'static str = "sqlite";

    type Table = SqliteTable;

    async fn start(_: Disk) -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A file of its own.
    async fn table(&self, name: &str) -> SqliteTable {
        let options = SqliteConnectOptions::new()
            .filename(self.folder.path().join(name))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", "16777216")
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        let writer = pool.clone().max_connections(1).connect_with(options.clone()).await.unwrap();
        let readers = pool.max_connections(4).connect_lazy_with(options.pragma("query_only", "ON"));
        let (writing, reading) = (SqliteStore::new(writer.clone()), SqliteStore::new(readers.clone()));
        writing.migrate().await.unwrap();
        SqliteTable { writing, reading, writer, readers }
    }
}

const READ: &str = "SELECT payload FROM sessions WHERE id = ?1";

const WRITE: &str = "UPDATE sessions SET payload = ?2 WHERE id = ?1";

/// Sessions that expire this many milliseconds from now.
const FILL: &str = "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s LIMIT ?1)
INSERT INTO sessions (id, revision, payload, owner, expires_at, ends_at, sweep_at)
SELECT randomblob(16), n, zeroblob(?2), CAST('owner ' || n / 10 AS BLOB), at, at, at
FROM s, (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?3 AS at)";

impl Table for SqliteTable {
    type Store = SqliteStore;

    fn store(&self) -> &SqliteStore {
        &self.writing
    }

    fn reading(&self) -> &SqliteStore {
        &self.reading
    }

    async fn fill(&self, sessions: u32, life: Life) {
        let fill = sqlx::query(FILL).bind(sessions).bind(PAYLOAD as i64).bind(life.milliseconds());
        fill.execute(&self.writer).await.unwrap();
    }

    async fn settle(&self) {
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await.unwrap();
    }
}

impl Plain for SqliteTable {
    async fn read(&self, id: &SessionId) -> Vec<u8> {
        sqlx::query(READ).bind(&id.as_bytes()[..]).fetch_one(&self.readers).await.unwrap().get(0)
    }

    async fn write(&self, id: &SessionId, payload: &[u8]) {
        sqlx::query(WRITE).bind(&id.as_bytes()[..]).bind(payload).execute(&self.writer).await.unwrap();
    }
}
