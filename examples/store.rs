//! A store of your own, in a table of SQLite, and the kit that proves it: `cargo test -p guide store`.

use std::time::Duration;

use session_conformance::{Subject, store_tests};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};
use session_sqlite::sqlx::{
    self, AssertSqlSafe, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;

// ANCHOR: table
const TABLE: &str = "CREATE TABLE IF NOT EXISTS sessions (
    id BLOB NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    payload BLOB NOT NULL,
    owner BLOB,
    expires_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_owner ON sessions (owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS sessions_expires_at ON sessions (expires_at)";

#[derive(Debug)]
struct TableStore {
    pool: SqlitePool, // of one connection: one statement at a time
}
// ANCHOR_END: table

// ANCHOR: helpers
/// The statement. `NOW()` is the clock of the database, in milliseconds.
fn sql(text: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.replace("NOW()", "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"))
}

/// At most 279 years, so that adding it to an instant never overflows.
fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(1 << 43)
}

fn key(id: &SessionId) -> &[u8] {
    id.as_bytes()
}

fn number(revision: Revision) -> i64 {
    i64::from_be_bytes(*revision.as_bytes())
}

/// What the columns `revision, payload, expires_at - now, ends_at - now` say.
fn loaded((revision, payload, expires_in, ends_in): (i64, Vec<u8>, i64, i64)) -> Loaded {
    let left = |milliseconds: i64| Duration::from_millis(milliseconds.unsigned_abs());
    Loaded::new(Revision::from_bytes(revision.to_be_bytes()), payload.into(), left(expires_in), left(ends_in))
}

fn failed(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::timed_out("table", error),
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => StoreError::unavailable("table", error),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::corrupt("table", error),
        _ => StoreError::backend("table", error),
    }
}

impl TableStore {
    /// Runs a statement that writes. How many rows it has written says whether it did anything.
    async fn write(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<u64, StoreError> {
        Ok(query.execute(&self.pool).await.map_err(failed)?.rows_affected())
    }
}
// ANCHOR_END: helpers

#[async_trait]
impl Store for TableStore {
    // ANCHOR: create
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let statement = sql("INSERT OR REPLACE INTO sessions
            SELECT ?1, ?2, ?3, ?4, NOW() + min(?5, ?6), NOW() + ?6
            WHERE NOT EXISTS (
                SELECT 1 FROM sessions WHERE id = ?1 AND expires_at > NOW()
            )");
        let query = sqlx::query(statement).bind(key(id)).bind(number(entry.revision));
        let query = query.bind(entry.payload).bind(entry.owner.map(Owner::as_bytes));
        let query = query.bind(milliseconds(expires_in)).bind(milliseconds(ends_in));
        match self.write(query).await? {
            1 => Ok(()),
            _ => Err(StoreError::AlreadyExists),
        }
    }
    // ANCHOR_END: create

    // ANCHOR: load
    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let statement = sql("WITH clock AS MATERIALIZED (SELECT NOW() AS now)
            SELECT revision, payload, expires_at - now, ends_at - now
            FROM clock, sessions WHERE id = ?1 AND expires_at > now");
        let query = sqlx::query_as(statement).bind(key(id));
        Ok(query.fetch_optional(&self.pool).await.map_err(failed)?.map(loaded))
    }
    // ANCHOR_END: load

    // ANCHOR: replace
    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let (expires_in, ends_in) = match expiry {
            Expiry::Keep => (None, None),
            Expiry::Extend(expires_in) => (Some(expires_in), None),
            Expiry::Restart { expires_in, ends_in } => (Some(expires_in), Some(ends_in)),
        };
        let statement = sql("UPDATE sessions SET
                revision = ?3,
                payload = ?4,
                owner = iif(?6 IS NULL, owner, ?7),
                expires_at = min(
                    coalesce(NOW() + ?5, expires_at),
                    coalesce(NOW() + ?6, ends_at)
                ),
                ends_at = coalesce(NOW() + ?6, ends_at)
            WHERE id = ?1 AND revision = ?2 AND expires_at > NOW()");
        let query = sqlx::query(statement).bind(key(id)).bind(number(expected));
        let query = query.bind(number(entry.revision)).bind(entry.payload);
        let query = query.bind(expires_in.map(milliseconds)).bind(ends_in.map(milliseconds));
        let query = query.bind(entry.owner.map(Owner::as_bytes));
        Ok(self.write(query).await? == 1)
    }
    // ANCHOR_END: replace

    // ANCHOR: rest
    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let statement = sql("UPDATE sessions SET expires_at = min(NOW() + ?3, ends_at)
            WHERE id = ?1 AND revision = ?2 AND expires_at > NOW()");
        let query = sqlx::query(statement).bind(key(id)).bind(number(expected));
        Ok(self.write(query.bind(milliseconds(expires_in))).await? == 1)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let statement = sql("DELETE FROM sessions
            WHERE id = ?1 AND revision = ?2 AND expires_at > NOW()");
        let query = sqlx::query(statement).bind(key(id)).bind(number(expected));
        Ok(self.write(query).await? == 1)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let statement = sql("WITH clock AS MATERIALIZED (SELECT NOW() AS now)
            SELECT id, revision, payload, expires_at - now, ends_at - now
            FROM clock, sessions WHERE owner = ?1 AND expires_at > now");
        let query = sqlx::query_as(statement).bind(owner.as_bytes());
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let session = |(id, revision, payload, expires_in, ends_in): (Vec<u8>, _, _, _, _)| {
            let foreign = |_| failed(sqlx::Error::Decode("an id has 16 bytes".into()));
            let id = SessionId::from_bytes(id.try_into().map_err(foreign)?);
            Ok((id, loaded((revision, payload, expires_in, ends_in))))
        };
        rows.into_iter().map(session).collect()
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let statement = sql("DELETE FROM sessions
            WHERE owner = ?1 AND id IS NOT ?2 AND expires_at > NOW()");
        self.write(sqlx::query(statement).bind(owner.as_bytes()).bind(keep.map(key))).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        let statement = sql("DELETE FROM sessions WHERE rowid IN (
                SELECT rowid FROM sessions WHERE expires_at <= NOW()
                ORDER BY expires_at LIMIT ?1
            )");
        self.write(sqlx::query(statement).bind(limit)).await
    }

    fn backend(&self) -> &'static str {
        "table"
    }
    // ANCHOR_END: rest
}

// ANCHOR: kit
struct Mine {
    folder: TempDir,
}

#[async_trait]
impl Subject for Mine {
    type Store = TableStore;

    async fn open(&self, namespace: &str) -> TableStore {
        // Two namespaces never meet. Here each is a file; on a server, make it a table.
        let path = self.folder.path().join(namespace);
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let options = options.synchronous(SqliteSynchronous::Off); // a test need not wait
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.unwrap();
        sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
        TableStore { pool }
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await; // SQLite's clock cannot be moved
    }
}

store_tests!(Mine { folder: tempfile::tempdir().unwrap() });
// ANCHOR_END: kit
