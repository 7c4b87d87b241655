//! The store: one statement an operation.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use session_core::{
    Entry, Expiry, Loaded, Namespace, Owner, Revision, SchemaError, SessionId, SharedTrips, Store, StoreError,
    async_trait,
};
use sqlx::{PgPool, Row, postgres::PgRow};

use crate::{
    Builder,
    client::{Client, Kind},
    error::{BACKEND, from_driver, is_of_the_table},
    row::{column, count, first, is_done, is_there},
    schema::judge,
    statements::{Statement, Statements},
    value::{Value, microseconds},
};

/// How many sessions are loaded by one statement. In the pooled mode each id is 50 bytes of its text.
const AT_ONCE: usize = 64;

/// How long making the table may take: longer than an operation, because another process may be making it.
const MIGRATION: Duration = Duration::from_secs(60);

/// Sessions in a PostgreSQL table. Cloning makes another handle on the same pool.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_core::PurgeTask;
/// use session_postgres::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://app@db.example/shop").await?;
/// store.migrate().await?;
/// let purge = PurgeTask::start(store.clone(), Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    table: Arc<Table>,
    loads: SharedTrips<SessionId, Option<Loaded>>,
}

/// The table of the sessions, on its server.
pub(crate) struct Table {
    name: Namespace,
    pub(crate) sql: Statements,
    pub(crate) client: Client,
}

impl PostgresStore {
    /// Connects with the default settings. The table is `sessions`, and must be there: see [`migrate`](Self::migrate).
    ///
    /// A URL that begins with `postgres+pooled://` goes to PgBouncer in transaction mode, and selects the
    /// [pooled mode](Builder::with_pooled).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the server cannot be reached until the timeout, lets nobody in, or refuses the login.
    /// [`StoreError::TimedOut`] if it does not answer. [`StoreError::Backend`] if the URL is malformed, the database does not
    /// exist, or a pooler in between does not pass on the timeout: behind PgBouncer the URL begins with `postgres+pooled://`.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Uses the application's own pool of sqlx 0.9, and the table `sessions` in it. The table must be there: see
    /// [`migrate`](Self::migrate).
    ///
    /// The pool should have a `statement_timeout`. It should have the [hook](Builder::before_acquire) in place of a test
    /// before each use. The README says why.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self::builder().with_pool(pool)
    }

    /// The settings, to change some before [`connect`](Builder::connect).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_pool(builder: Builder, pool: PgPool) -> Self {
        let Builder { table, timeout, mode, condemned, .. } = builder;
        let sql = Statements::of(&table, mode);
        let table = Arc::new(Table { name: table, sql, client: Client::new(pool, mode, timeout, condemned) });
        let asked = Arc::clone(&table);
        let loads = SharedTrips::new(BACKEND, AT_ONCE, move |ids: Vec<SessionId>| {
            let table = Arc::clone(&asked);
            async move { table.load_all(&ids).await }
        });
        Self { table, loads }
    }

    /// Makes the table and its indexes if the table is not there: [`SCHEMA`](crate::SCHEMA), under the table's name. It may
    /// be called again, and by many processes at once. If the table is there, it needs no right to make one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if there is a table of this name that is not one of the store's. That table stays as it is.
    /// Any but [`StoreError::AlreadyExists`] if the database fails. Nothing has been made then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // The table is looked at first, because `CREATE INDEX IF NOT EXISTS` waits for every open write, even if the
        // index is there.
        match self.table.inspect().await {
            Err(StoreError::Schema(SchemaError::TableMissing { .. })) => {}
            verdict => return verdict,
        }
        self.table.client.run(&self.table.sql.migrate, MIGRATION).await?;
        self.table.inspect().await
    }
}

impl Table {
    /// Whether the table is there, and has the columns that the statements need.
    async fn inspect(&self) -> Result<(), StoreError> {
        let rows = self.client.ask(Kind::Read, &self.sql.columns, &[]).await?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            let name: Option<String> = row.try_get("name").map_err(from_driver)?;
            if let Some(name) = name {
                columns.push((name, column(row, "type")?));
            }
        }
        Ok(judge(self.name.as_str(), &columns)?)
    }

    /// The answer. If the server does not know the table or its columns, the error says what is wrong with the table.
    pub(crate) async fn ask(
        &self,
        kind: Kind,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<PgRow>, StoreError> {
        let answer = self.client.ask(kind, statement, values).await;
        if answer.as_ref().is_err_and(is_of_the_table)
            && let Err(StoreError::Schema(error)) = self.inspect().await
        {
            return Err(error.into());
        }
        answer
    }

    /// The session of each id.
    async fn load_all(&self, ids: &[SessionId]) -> Result<Vec<Result<Option<Loaded>, StoreError>>, StoreError> {
        if let [id] = ids {
            let rows = self.ask(Kind::Read, &self.sql.load, &[Value::Bytes(id.as_bytes())]).await?;
            let row = first(&rows)?;
            return Ok(vec![if is_there(row)? { self.loaded(row).map(Some) } else { Ok(None) }]);
        }
        let rows = self.ask(Kind::Read, &self.sql.load_all, &[Value::Ids(ids)]).await?;
        let mut sessions = BTreeMap::new();
        for row in &rows {
            if is_there(row)? {
                sessions.insert(self.id(row)?, self.loaded(row));
            }
        }
        // Two callers may have asked for the same session.
        Ok(ids.iter().map(|id| sessions.get(id).cloned().transpose()).collect())
    }

    /// Runs a write of one session, and returns whether it was done.
    async fn write(&self, statement: &Statement, values: &[Value<'_>]) -> Result<bool, StoreError> {
        let rows = self.ask(Kind::Write, statement, values).await?;
        is_done(first(&rows)?)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table.name.as_str()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
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
            microseconds(expires_in),
            microseconds(ends_in),
        ];
        if self.table.write(&self.table.sql.create, &values).await? { Ok(()) } else { Err(StoreError::AlreadyExists) }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.loads.ask(*id).await
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
        let sql = &self.table.sql;
        match expiry {
            Expiry::Keep => self.table.write(&sql.keep, &[id, expected, revision, payload]).await,
            Expiry::Extend(expires_in) => {
                self.table.write(&sql.extend, &[id, expected, revision, payload, microseconds(expires_in)]).await
            }
            Expiry::Restart { expires_in, ends_in } => {
                let [expires_in, ends_in] = [microseconds(expires_in), microseconds(ends_in)];
                let owner = entry.owner.map(Owner::as_bytes).into();
                self.table.write(&sql.restart, &[id, expected, revision, payload, expires_in, ends_in, owner]).await
            }
        }
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let values = [Value::Bytes(id.as_bytes()), expected.into(), microseconds(expires_in)];
        self.table.write(&self.table.sql.touch, &values).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.table.write(&self.table.sql.delete, &[Value::Bytes(id.as_bytes()), expected.into()]).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let rows = self.table.ask(Kind::Read, &self.table.sql.list, &[Value::Bytes(owner.as_bytes())]).await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            if is_there(row)? {
                sessions.push((self.table.id(row)?, self.table.loaded(row)?));
            }
        }
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let keep = keep.map(|id| &id.as_bytes()[..]).into();
        let rows = self.table.ask(Kind::Write, &self.table.sql.revoke, &[Value::Bytes(owner.as_bytes()), keep]).await?;
        count(first(&rows)?, "revoked")
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.table.delete_expired(limit).await
    }

    fn backend(&self) -> &'static str {
        BACKEND
    }
}
