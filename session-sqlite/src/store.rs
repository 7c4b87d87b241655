//! The store: one statement an operation.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use session_core::{
    Entry, Expiry, Loaded, Owner, PurgeTask, Revision, SchemaError, SessionId, Store, StoreError, async_trait,
};
use sqlx::{
    Decode, Row, Sqlite, SqlitePool, Type,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    Builder,
    error::{foreign_row, from_driver, from_wait, is_of_the_statement},
    schema::judge,
    statements::Statements,
};

/// Sessions in a SQLite file. Cloning makes another handle on the same connections.
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
/// let store = SqliteStore::open(&path).await?;
/// let purge = store.purge_every(Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    table: String,
    sql: Statements,
    writer: SqlitePool,
    readers: SqlitePool,
    /// SQLite lets one at a time write. Who waits here waits in order; who waits for SQLite's lock tries now and then.
    writing: Semaphore,
    timeout: Duration,
}

type Statement<'a> = Query<'a, Sqlite, SqliteArguments>;

impl SqliteStore {
    /// Opens the file with the default settings, and makes it and the table `sessions` if they are not there.
    ///
    /// `:memory:` is refused, for each connection would have one of its own: that is what `session-memory` is for.
    ///
    /// # Errors
    ///
    /// As [`Builder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder().open(path).await
    }

    /// Uses the application's own pool, and the table `sessions` in it. The table must be there: see
    /// [`migrate`](Self::migrate).
    ///
    /// The pool should be in WAL mode with a busy time-out and `synchronous=FULL`; the README says why.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self::builder().with_pool(pool)
    }

    /// The settings, to change some before [`open`](Builder::open).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_pools(builder: Builder, writer: SqlitePool, readers: SqlitePool) -> Self {
        let Builder { table, timeout, .. } = builder;
        let sql = Statements::of(&table);
        Self(Arc::new(Inner { table, sql, writer, readers, writing: Semaphore::new(1), timeout }))
    }

    /// Makes the table and its indexes if they are not there: [`SCHEMA`](crate::SCHEMA), under the table's name. It may be
    /// called again, and by many processes at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if there is a table of this name that is not one of the store's, which stays as it is. Any
    /// but [`StoreError::AlreadyExists`], if the database fails; what is missing is made by the next call.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Looked at first, so that a table of somebody else's gets no index.
        match self.inspect().await {
            Ok(()) | Err(StoreError::Schema(SchemaError::TableMissing { .. })) => {}
            Err(error) => return Err(error),
        }
        {
            let _turn = self.turn().await?;
            let schema = sqlx::raw_sql(self.0.sql.schema.clone());
            schema.execute(&self.0.writer).await.map_err(from_driver)?;
        }
        self.inspect().await
    }

    /// Whether the table is there, and has the columns that the statements need.
    async fn inspect(&self) -> Result<(), StoreError> {
        let rows = sqlx::query(self.0.sql.columns.clone()).fetch_all(&self.0.readers).await.map_err(from_driver)?;
        let columns = rows.iter().map(|row| Ok((column(row, "name")?, column(row, "type")?)));
        Ok(judge(&self.0.table, &columns.collect::<Result<Vec<_>, StoreError>>()?)?)
    }

    /// The driver's error. Where SQLite does not know the table or its columns, it says what is wrong with it.
    async fn explain(&self, error: sqlx::Error) -> StoreError {
        if is_of_the_statement(&error)
            && let Err(StoreError::Schema(error)) = self.inspect().await
        {
            return error.into();
        }
        from_driver(error)
    }

    /// Starts a task that purges now, and then each time so much time has passed. It tells the log of an error and goes
    /// on.
    ///
    /// # Panics
    ///
    /// If it is not called within a tokio runtime.
    #[allow(clippy::must_use_candidate, reason = "dropping the handle lets the task run on")]
    pub fn purge_every(&self, interval: Duration) -> PurgeTask {
        PurgeTask::start(self.clone(), interval)
    }

    /// Waits for the turn to write.
    async fn turn(&self) -> Result<impl Drop + '_, StoreError> {
        let turn = timeout(self.0.timeout, self.0.writing.acquire()).await.map_err(from_wait)?;
        // The semaphore is never closed.
        turn.map_err(|_| from_driver(sqlx::Error::PoolClosed))
    }

    /// How many rows the statement has written.
    ///
    /// It is one statement, and the driver hands it to the connection's thread as one message. So a future that is
    /// dropped has sent it or not, and what it has sent is done wholly, before the connection's next statement.
    async fn write(&self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let _turn = self.turn().await?;
        match statement.execute(&self.0.writer).await {
            Ok(result) => Ok(result.rows_affected()),
            Err(error) => Err(self.explain(error).await),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("table", &self.0.table).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let create = sqlx::query(self.0.sql.create.clone())
            .bind(&id.as_bytes()[..])
            .bind(number(entry.revision))
            .bind(entry.payload)
            .bind(entry.owner.map(Owner::as_bytes))
            .bind(milliseconds(expires_in))
            .bind(milliseconds(ends_in));
        if self.write(create).await? == 1 { Ok(()) } else { Err(StoreError::AlreadyExists) }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let load = sqlx::query(self.0.sql.load.clone()).bind(&id.as_bytes()[..]);
        match load.fetch_optional(&self.0.readers).await {
            Ok(Some(row)) => loaded(&row, column(&row, "now")?),
            Ok(None) => Ok(None),
            Err(error) => Err(self.explain(error).await),
        }
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let sql = match expiry {
            Expiry::Keep => &self.0.sql.keep,
            Expiry::Extend(_) => &self.0.sql.extend,
            Expiry::Restart { .. } => &self.0.sql.restart,
        };
        let replace = sqlx::query(sql.clone())
            .bind(&id.as_bytes()[..])
            .bind(number(expected))
            .bind(number(entry.revision))
            .bind(entry.payload);
        let replace = match expiry {
            Expiry::Keep => replace,
            Expiry::Extend(expires_in) => replace.bind(milliseconds(expires_in)),
            Expiry::Restart { expires_in, ends_in } => replace
                .bind(milliseconds(expires_in))
                .bind(milliseconds(ends_in))
                .bind(entry.owner.map(Owner::as_bytes)),
        };
        Ok(self.write(replace).await? == 1)
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let touch = sqlx::query(self.0.sql.touch.clone())
            .bind(&id.as_bytes()[..])
            .bind(number(expected))
            .bind(milliseconds(expires_in));
        Ok(self.write(touch).await? == 1)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let delete = sqlx::query(self.0.sql.delete.clone()).bind(&id.as_bytes()[..]).bind(number(expected));
        Ok(self.write(delete).await? == 1)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let list = sqlx::query(self.0.sql.list.clone()).bind(owner.as_bytes());
        let rows = match list.fetch_all(&self.0.readers).await {
            Ok(rows) => rows,
            Err(error) => return Err(self.explain(error).await),
        };
        // SQLite reads its clock once a step, and each row is a step: the last one's instant counts for all.
        let Some(last) = rows.last() else { return Ok(Vec::new()) };
        let now = column(last, "now")?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: Vec<u8> = column(row, "id")?;
            let id = id.try_into().map_err(|_| foreign_row("an id is not of 16 bytes"))?;
            sessions.extend(loaded(row, now)?.map(|loaded| (SessionId::from_bytes(id), loaded)));
        }
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let keep = keep.map(|id| &id.as_bytes()[..]);
        self.write(sqlx::query(self.0.sql.revoke.clone()).bind(owner.as_bytes()).bind(keep)).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.write(sqlx::query(self.0.sql.purge.clone()).bind(i64::from(limit))).await
    }
}

/// What the row holds, if it is live at this instant.
fn loaded(row: &SqliteRow, now: i64) -> Result<Option<Loaded>, StoreError> {
    let left = |at: i64| u64::try_from(at.saturating_sub(now)).ok().map(Duration::from_millis);
    let (expires_in, ends_in) = (left(column(row, "expires_at")?), left(column(row, "ends_at")?));
    let Some(expires_in) = expires_in.filter(|left| !left.is_zero()) else { return Ok(None) };
    let Some(ends_in) = ends_in.filter(|ends_in| expires_in <= *ends_in) else {
        return Err(foreign_row("the expiry is past the end"));
    };
    let (revision, payload): (i64, Vec<u8>) = (column(row, "revision")?, column(row, "payload")?);
    let revision = Revision::from_bytes(revision.to_be_bytes());
    Ok(Some(Loaded::new(revision, Bytes::from(payload), expires_in, ends_in)))
}

/// The driver reads NULL as nought or as no bytes unless it is asked for an option.
fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get::<Option<T>, _>(name).map_err(from_driver)?.ok_or_else(|| foreign_row("a column is null"))
}

fn number(revision: Revision) -> i64 {
    i64::from_be_bytes(*revision.as_bytes())
}

/// Whole milliseconds, at most 2^43 of them (279 years), so that adding them to any instant never overflows.
fn milliseconds(time: Duration) -> i64 {
    const LONGEST: i64 = 1 << 43;
    i64::try_from(time.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(pool: &SqlitePool, name: &'static str) -> String {
        let value = sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {name}"))).fetch_one(pool).await.unwrap();
        value.try_get::<i64, _>(0).map(|number| number.to_string()).or_else(|_| value.try_get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_file_of_its_own_is_written_by_one_connection_that_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("sessions.db")).await.unwrap();
        let Inner { writer, readers, .. } = &*store.0;
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
