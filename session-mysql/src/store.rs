//! The store: one statement an operation.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use session_core::{
    Entry, Expiry, Loaded, Namespace, Owner, Revision, SchemaError, SessionId, SharedTrips, Store, StoreError,
    async_trait,
};
use sqlx::{
    MySqlPool, SqlStr,
    mysql::{MySqlQueryResult, MySqlRow},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    Builder,
    client::Client,
    error::{BACKEND, foreign_answer, from_driver, from_wait, is_of_the_table},
    pool,
    row::{column, id, loaded},
    schema::judge,
    statements::{AT_ONCE, FOUND, LOCK, MADE, PATIENCE, POOL, Statements},
    value::{Value, microseconds},
};

/// How long making the table may take: longer than an operation, because another process may be making it.
const MIGRATION: Duration = Duration::from_secs(90);

/// Sessions in a MySQL or MariaDB table. Cloning makes another handle on the same pool.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_core::PurgeTask;
/// use session_mysql::MysqlStore;
///
/// let store = MysqlStore::connect("mysql://app@db.example/shop").await?;
/// store.migrate().await?;
/// let purge = PurgeTask::start(store.clone(), Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MysqlStore {
    table: Arc<Table>,
    loads: SharedTrips<SessionId, Option<Loaded>>,
}

/// The table of the sessions, on its server.
pub(crate) struct Table {
    name: Namespace,
    pub(crate) sql: Statements,
    client: Client,
}

impl MysqlStore {
    /// Connects with the default settings. The table is `sessions`, and must be there: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the server cannot be reached until the timeout, lets nobody in, or refuses the login.
    /// [`StoreError::TimedOut`] if it does not answer. [`StoreError::Backend`] if the URL is malformed, or the database does
    /// not exist.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Uses the application's own pool of sqlx 0.9, and the table `sessions` in it. The table must be there: see
    /// [`migrate`](Self::migrate).
    ///
    /// The pool's connections must have `autocommit` on. They should be in `READ COMMITTED`, and wait for locks no longer than
    /// the store does. They should have the [hook](Builder::before_acquire) in place of a test before each use. The README
    /// says why.
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        Self::builder().with_pool(pool)
    }

    /// The settings, to change some before [`connect`](Builder::connect).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_pool(builder: Builder, pool: MySqlPool) -> Self {
        let Builder { table, timeout, condemned, .. } = builder;
        let sql = Statements::of(&table);
        let table =
            Arc::new(Table { name: table, client: Client::new(pool, timeout, condemned, sql.clock.clone()), sql });
        let asked = Arc::clone(&table);
        let loads = SharedTrips::new(BACKEND, AT_ONCE, move |ids: Vec<SessionId>| {
            let table = Arc::clone(&asked);
            async move { table.load_all(&ids).await }
        });
        Self { table, loads }
    }

    /// Makes the table if it is not there: [`SCHEMA`](crate::SCHEMA), under the table's name. It may be called again, and by
    /// many processes at once. If the table is there, it needs no right to make one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if there is a table of this name that is not one of the store's. That table stays as it is.
    /// [`StoreError::Backend`] if the pool is the application's own and promises would break in it: its connections have
    /// `autocommit` off, or read from a node of a Galera cluster that may lag behind. Any but [`StoreError::AlreadyExists`] if
    /// the database fails. The next call makes what is missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.table.judge_pool().await?;
        match self.table.inspect().await {
            Err(StoreError::Schema(SchemaError::TableMissing { .. })) => {}
            verdict => return verdict,
        }
        let deadline = Instant::now() + MIGRATION;
        timeout_at(deadline, self.table.make_table(deadline)).await.map_err(from_wait)??;
        self.table.inspect().await
    }
}

impl Table {
    /// Whether the connections have what the promises need. Those of an application's own pool may not.
    async fn judge_pool(&self) -> Result<(), StoreError> {
        let rows = self.client.read(&SqlStr::from_static(POOL), &[]).await?;
        let settings = rows.iter().map(|row| Ok((column::<String>(row, 0)?, column::<String>(row, 1)?)));
        let settings = settings.collect::<Result<BTreeMap<_, _>, StoreError>>()?;
        pool::judge(&settings)
    }

    /// Whether the table is there, and has the columns that the statements need.
    async fn inspect(&self) -> Result<(), StoreError> {
        let rows = self.client.read(&self.sql.columns, &[]).await?;
        // Some versions of MySQL 8 show the columns as text, some as bytes.
        let text =
            |row: &MySqlRow, at| column::<Vec<u8>>(row, at).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let columns =
            rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?))).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(judge(self.name.as_str(), &columns)?)
    }

    /// The answer. If the server does not know the table or its columns, the error says what is wrong with the table.
    async fn explain<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.as_ref().is_err_and(is_of_the_table)
            && let Err(StoreError::Schema(error)) = self.inspect().await
        {
            return Err(error.into());
        }
        answer
    }

    async fn sessions(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<MySqlRow>, StoreError> {
        self.explain(self.client.sessions(sql, values).await).await
    }

    pub(crate) async fn read(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<MySqlRow>, StoreError> {
        self.explain(self.client.read(sql, values).await).await
    }

    pub(crate) async fn write(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<MySqlQueryResult, StoreError> {
        self.explain(self.client.write(sql, values).await).await
    }

    /// The session of each id.
    async fn load_all(&self, ids: &[SessionId]) -> Result<Vec<Result<Option<Loaded>, StoreError>>, StoreError> {
        if let [id] = ids {
            let rows = self.sessions(&self.sql.load, &[Value::Bytes(id.as_bytes())]).await?;
            return Ok(vec![rows.first().map_or(Ok(None), loaded)]);
        }
        // There is a statement for each power of two. The last id fills up the places that are left.
        let power = ids.len().next_power_of_two().ilog2() as usize;
        let places = ids.iter().chain(ids.last().into_iter().cycle()).take(1 << power);
        let values: Vec<_> = places.map(|id| Value::Bytes(id.as_bytes())).collect();
        let rows = self.sessions(&self.sql.load_all[power - 1], &values).await?;
        let mut sessions = BTreeMap::new();
        for row in &rows {
            sessions.insert(id(row)?, loaded(row));
        }
        // Two callers may have asked for the same session.
        Ok(ids.iter().map(|id| sessions.get(id).cloned().unwrap_or(Ok(None))).collect())
    }

    async fn make_table(&self, deadline: Instant) -> Result<(), StoreError> {
        // The connection is closed afterwards, whatever happens, and the lock goes with it.
        let mut lease = self.client.lease(deadline).await?;
        let connection = &mut *lease.connection;
        sqlx::raw_sql(PATIENCE).execute(&mut *connection).await.map_err(from_driver)?;
        let locked = sqlx::raw_sql(LOCK).fetch_one(&mut *connection).await.map_err(from_driver)?;
        if column::<i64>(&locked, 0)? != 1 {
            return Err(from_driver(sqlx::Error::PoolTimedOut));
        }
        sqlx::raw_sql(self.sql.schema.clone()).execute(connection).await.map(drop).map_err(from_driver)
    }

    /// Runs a write. Returns whether it has found its row and has written it.
    async fn found(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<bool, StoreError> {
        Ok(self.write(sql, values).await?.last_insert_id() == FOUND)
    }

    /// Runs a statement that deletes, and returns how many rows it has deleted. No flag of the client changes that
    /// number.
    pub(crate) async fn deleted(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(self.write(sql, values).await?.rows_affected())
    }
}

impl fmt::Debug for MysqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlStore").field("table", &self.table.name.as_str()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MysqlStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let (expires_in, ends_in) = (microseconds(expires_in.min(ends_in)), microseconds(ends_in));
        let values = [
            Value::Bytes(id.as_bytes()),
            entry.revision.into(),
            Value::Bytes(entry.payload),
            entry.owner.map(Owner::as_bytes).into(),
            expires_in,
            ends_in,
            expires_in,
        ];
        match self.table.write(&self.table.sql.create, &values).await?.last_insert_id() {
            MADE => Ok(()),
            FOUND => Err(StoreError::AlreadyExists),
            _ => Err(foreign_answer("the answer does not tell whether the session was there")),
        }
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
            Expiry::Keep => self.table.found(&sql.keep, &[revision, payload, id, expected]).await,
            Expiry::Extend(expires_in) => {
                let expires_in = microseconds(expires_in);
                self.table.found(&sql.extend, &[revision, payload, expires_in, expires_in, id, expected]).await
            }
            Expiry::Restart { expires_in, ends_in } => {
                let (expires_in, ends_in) = (microseconds(expires_in.min(ends_in)), microseconds(ends_in));
                let owner = entry.owner.map(Owner::as_bytes).into();
                let values = [revision, payload, owner, expires_in, expires_in, ends_in, id, expected];
                self.table.found(&sql.restart, &values).await
            }
        }
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let expires_in = microseconds(expires_in);
        let values = [expires_in, expires_in, Value::Bytes(id.as_bytes()), expected.into()];
        self.table.found(&self.table.sql.touch, &values).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        Ok(self.table.deleted(&self.table.sql.delete, &[Value::Bytes(id.as_bytes()), expected.into()]).await? == 1)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let rows = self.table.sessions(&self.table.sql.list, &[Value::Bytes(owner.as_bytes())]).await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(loaded) = loaded(row)? {
                sessions.push((id(row)?, loaded));
            }
        }
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let keep = keep.map(|id| &id.as_bytes()[..]).into();
        self.table.deleted(&self.table.sql.revoke, &[Value::Bytes(owner.as_bytes()), keep]).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.table.delete_expired(limit).await
    }

    fn backend(&self) -> &'static str {
        BACKEND
    }
}
