//! The store: one statement an operation. A purge has two.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use session_core::{
    Entry, Expiry, Loaded, Namespace, Owner, Revision, SchemaError, SessionId, Store, StoreError, async_trait,
};
use sqlx::{SqlStr, SqlitePool, sqlite::SqliteRow};

use crate::{
    Builder,
    client::Client,
    error::{BACKEND, foreign_row, is_of_the_table},
    row::{column, loaded},
    schema::judge,
    statements::Statements,
    value::{Value, milliseconds},
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
/// use session_core::PurgeTask;
/// use session_sqlite::SqliteStore;
///
/// let store = SqliteStore::open(&path).await?;
/// let purge = PurgeTask::start(store.clone(), Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    table: Namespace,
    pub(crate) sql: Statements,
    pub(crate) client: Client,
}

impl SqliteStore {
    /// Opens the file with the default settings, and makes it and the table `sessions` if they are not there.
    ///
    /// `:memory:` is refused, because each connection would have a database of its own. Use `session-memory` instead.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder().open(path).await
    }

    /// Uses the application's own pool of sqlx 0.9, and the table `sessions` in it. The table must be there: see
    /// [`migrate`](Self::migrate).
    ///
    /// The pool should be in WAL mode, with a busy timeout and `synchronous=FULL`. The README says why.
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
        Self(Arc::new(Inner { table, sql, client: Client::new(writer, readers, timeout) }))
    }

    /// Makes the table and its indexes if they are not there: [`SCHEMA`](crate::SCHEMA), under the table's name. It may be
    /// called again, and by many processes at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if there is a table of this name that is not one of the store's. That table stays as it is.
    /// Any but [`StoreError::AlreadyExists`] if the database fails. The next call makes what is missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // The table is looked at first, so that another library's table gets no index.
        match self.inspect().await {
            Ok(()) | Err(StoreError::Schema(SchemaError::TableMissing { .. })) => {}
            Err(error) => return Err(error),
        }
        self.0.client.run(self.0.sql.schema.clone()).await?;
        self.inspect().await
    }

    /// Whether the table is there, and has the columns that the statements need.
    async fn inspect(&self) -> Result<(), StoreError> {
        let rows = self.0.client.read(&self.0.sql.columns, &[]).await?;
        let columns = rows.iter().map(|row| Ok((column(row, "name")?, column(row, "type")?)));
        Ok(judge(self.0.table.as_str(), &columns.collect::<Result<Vec<_>, StoreError>>()?)?)
    }

    /// The answer. If SQLite does not know the table or its columns, the error says what is wrong with the table.
    async fn explain<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.as_ref().is_err_and(is_of_the_table)
            && let Err(StoreError::Schema(error)) = self.inspect().await
        {
            return Err(error.into());
        }
        answer
    }

    pub(crate) async fn read(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<SqliteRow>, StoreError> {
        self.explain(self.0.client.read(sql, values).await).await
    }

    pub(crate) async fn read_one(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Option<SqliteRow>, StoreError> {
        self.explain(self.0.client.read_one(sql, values).await).await
    }

    /// Runs a write of a request, and returns how many rows it has written.
    pub(crate) async fn write(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.explain(self.0.client.write(sql, values).await).await
    }

    /// Runs a write that holds up no request by itself, and returns how many rows it has written.
    pub(crate) async fn write_alone(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.explain(self.0.client.write_alone(sql, values).await).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("table", &self.0.table.as_str()).finish_non_exhaustive()
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
        let values = [
            Value::Bytes(id.as_bytes()),
            entry.revision.into(),
            Value::Bytes(entry.payload),
            entry.owner.map(Owner::as_bytes).into(),
            milliseconds(expires_in),
            milliseconds(ends_in),
        ];
        if self.write(&self.0.sql.create, &values).await? == 1 { Ok(()) } else { Err(StoreError::AlreadyExists) }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        match self.read_one(&self.0.sql.load, &[Value::Bytes(id.as_bytes())]).await? {
            Some(row) => loaded(&row, column(&row, "now")?),
            None => Ok(None),
        }
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let [id, expected] = [Value::Bytes(id.as_bytes()), expected.into()];
        let [revision, payload] = [entry.revision.into(), Value::Bytes(entry.payload)];
        let sql = &self.0.sql;
        let written = match expiry {
            Expiry::Keep => self.write(&sql.keep, &[id, expected, revision, payload]).await?,
            Expiry::Extend(expires_in) => {
                self.write(&sql.extend, &[id, expected, revision, payload, milliseconds(expires_in)]).await?
            }
            Expiry::Restart { expires_in, ends_in } => {
                let [expires_in, ends_in] = [milliseconds(expires_in), milliseconds(ends_in)];
                let owner = entry.owner.map(Owner::as_bytes).into();
                self.write(&sql.restart, &[id, expected, revision, payload, expires_in, ends_in, owner]).await?
            }
        };
        Ok(written == 1)
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let values = [Value::Bytes(id.as_bytes()), expected.into(), milliseconds(expires_in)];
        Ok(self.write(&self.0.sql.touch, &values).await? == 1)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        Ok(self.write(&self.0.sql.delete, &[Value::Bytes(id.as_bytes()), expected.into()]).await? == 1)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let rows = self.read(&self.0.sql.list, &[Value::Bytes(owner.as_bytes())]).await?;
        // SQLite reads its clock in each step, and each row is a step. The instant of the last row counts for all.
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
        let keep = keep.map(|id| &id.as_bytes()[..]).into();
        self.write(&self.0.sql.revoke, &[Value::Bytes(owner.as_bytes()), keep]).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.delete_expired(limit).await
    }

    fn backend(&self) -> &'static str {
        BACKEND
    }
}
