//! The store: one statement an operation.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use session_core::{
    Entry, Expiry, Loaded, Owner, PurgeTask, Revision, SchemaError, SessionId, Store, StoreError, async_trait,
};
use sqlx::{
    Decode, PgPool, Postgres, Row, Type, ValueRef,
    error::BoxDynError,
    postgres::{PgRow, PgTypeInfo, PgValueRef},
};

use crate::{
    Builder,
    client::{Client, Kind, Value},
    error::{foreign_row, from_driver, is_of_the_table},
    pooled::from_hex,
    schema::judge,
    statements::{Statement, Statements},
};

/// How long making the table may take: longer than an operation, since others may be making it.
const MIGRATION: Duration = Duration::from_secs(60);

/// Sessions in a PostgreSQL table. Cloning makes another handle on the same pool.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_postgres::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://app@db.example/shop").await?;
/// store.migrate().await?;
/// let purge = store.purge_every(Duration::from_secs(60));
/// // … at shutdown:
/// purge.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    table: String,
    sql: Statements,
    client: Client,
}

impl PostgresStore {
    /// Connects with the default settings; the table is `sessions`, and must be there: see [`migrate`](Self::migrate).
    ///
    /// A URL that begins with `postgres+pooled://` goes to PgBouncer in transaction mode, and selects the
    /// [pooled mode](Builder::with_pooled).
    ///
    /// # Errors
    ///
    /// [`StoreError::TimedOut`] if the server refuses connections for longer than the time-out, [`StoreError::Unavailable`]
    /// if it cannot be reached or lets nobody in, [`StoreError::Backend`] if the URL is none or there is no such database.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Uses the application's own pool, and the table `sessions` in it. The table must be there: see
    /// [`migrate`](Self::migrate).
    ///
    /// The pool should have a `statement_timeout`, and the [hook](Builder::before_acquire) in place of a test before each
    /// use; the README says why.
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
        let Builder { table, timeout, pooled, condemned, .. } = builder;
        let sql = Statements::of(&table, pooled);
        Self(Arc::new(Inner { table, sql, client: Client::new(pool, pooled, timeout, condemned) }))
    }

    /// Makes the table and its indexes if the table is not there: [`SCHEMA`](crate::SCHEMA), under the table's name. It may
    /// be called again, and by many processes at once. Where the table is there, it needs no right to make one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if there is a table of this name that is not one of the store's, which stays as it is. Any
    /// but [`StoreError::AlreadyExists`], if the database fails; nothing has been made then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Asked first, because making an index that is there waits for everybody who is writing.
        match self.inspect().await {
            Err(StoreError::Schema(SchemaError::TableMissing { .. })) => {}
            verdict => return verdict,
        }
        self.0.client.run(&self.0.sql.migrate, MIGRATION).await?;
        self.inspect().await
    }

    /// Whether the table is there, and has the columns that the statements need.
    async fn inspect(&self) -> Result<(), StoreError> {
        let rows = self.0.client.ask(Kind::Read, &self.0.sql.columns, &[]).await?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            let name: Option<String> = row.try_get("name").map_err(from_driver)?;
            if let Some(name) = name {
                columns.push((name, column(row, "type")?));
            }
        }
        Ok(judge(&self.0.table, &columns)?)
    }

    /// The answer. Where the server does not know the table or its columns, the error says what is wrong with it.
    async fn ask(&self, kind: Kind, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<PgRow>, StoreError> {
        let answer = self.0.client.ask(kind, statement, values).await;
        if answer.as_ref().is_err_and(is_of_the_table)
            && let Err(StoreError::Schema(error)) = self.inspect().await
        {
            return Err(error.into());
        }
        answer
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

    /// How many rows the statement has written.
    async fn write(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let rows = self.ask(Kind::Write, statement, values).await?;
        count(first(&rows)?, "written")
    }

    /// What the row holds.
    fn loaded(&self, row: &PgRow) -> Result<Loaded, StoreError> {
        let now = self.instant(row, "now")?;
        let left = |at: i64| at.checked_sub(now).and_then(|left| u64::try_from(left).ok());
        let (live, lives) = (left(self.instant(row, "expires_at")?), left(self.instant(row, "ends_at")?));
        let (Some(live), Some(lives)) = (live, lives) else {
            return Err(foreign_row("the session has ended before its expiry"));
        };
        if live > lives {
            return Err(foreign_row("the expiry is past the end"));
        }
        Ok(Loaded::new(
            Revision::from_bytes(column::<i64>(row, "revision")?.to_be_bytes()),
            Bytes::from(self.bytes(row, "payload")?),
            Duration::from_micros(live),
            Duration::from_micros(lives),
        ))
    }

    /// In microseconds since a day that is the same in all columns of a row.
    fn instant(&self, row: &PgRow, name: &'static str) -> Result<i64, StoreError> {
        if self.0.client.pooled { column(row, name) } else { column(row, name).map(|Instant(at)| at) }
    }

    fn bytes(&self, row: &PgRow, name: &'static str) -> Result<Vec<u8>, StoreError> {
        if !self.0.client.pooled {
            return column(row, name);
        }
        from_hex(column(row, name)?).ok_or_else(|| foreign_row("a column is not of bytes"))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.0.table).finish_non_exhaustive()
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
            number(entry.revision),
            Value::Bytes(entry.payload),
            entry.owner.map(Owner::as_bytes).into(),
            microseconds(expires_in),
            microseconds(ends_in),
        ];
        if self.write(&self.0.sql.create, &values).await? == 1 { Ok(()) } else { Err(StoreError::AlreadyExists) }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let rows = self.ask(Kind::Read, &self.0.sql.load, &[Value::Bytes(id.as_bytes())]).await?;
        let row = first(&rows)?;
        if is_there(row)? { self.loaded(row).map(Some) } else { Ok(None) }
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let [id, expected] = [Value::Bytes(id.as_bytes()), number(expected)];
        let [revision, payload] = [number(entry.revision), Value::Bytes(entry.payload)];
        let sql = &self.0.sql;
        let written = match expiry {
            Expiry::Keep => self.write(&sql.keep, &[id, expected, revision, payload]).await?,
            Expiry::Extend(expires_in) => {
                self.write(&sql.extend, &[id, expected, revision, payload, microseconds(expires_in)]).await?
            }
            Expiry::Restart { expires_in, ends_in } => {
                let [expires_in, ends_in] = [microseconds(expires_in), microseconds(ends_in)];
                let owner = entry.owner.map(Owner::as_bytes).into();
                self.write(&sql.restart, &[id, expected, revision, payload, expires_in, ends_in, owner]).await?
            }
        };
        Ok(written == 1)
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let values = [Value::Bytes(id.as_bytes()), number(expected), microseconds(expires_in)];
        Ok(self.write(&self.0.sql.touch, &values).await? == 1)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        Ok(self.write(&self.0.sql.delete, &[Value::Bytes(id.as_bytes()), number(expected)]).await? == 1)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let rows = self.ask(Kind::Read, &self.0.sql.list, &[Value::Bytes(owner.as_bytes())]).await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            if is_there(row)? {
                let id = self.bytes(row, "id")?.try_into().map_err(|_| foreign_row("an id is not of 16 bytes"))?;
                sessions.push((SessionId::from_bytes(id), self.loaded(row)?));
            }
        }
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let keep = keep.map(|id| &id.as_bytes()[..]).into();
        self.write(&self.0.sql.revoke, &[Value::Bytes(owner.as_bytes()), keep]).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        loop {
            let limit = Value::Number(i64::from(limit));
            let rows = self.ask(Kind::Write, &self.0.sql.purge, &[limit]).await?;
            let row = first(&rows)?;
            let deleted = count(row, "deleted")?;
            // Where all that were looked at have been touched meanwhile, expired ones may come behind them.
            if deleted > 0 || count(row, "moved")? == 0 {
                return Ok(deleted);
            }
        }
    }
}

/// An answer has a row: one without was refused.
fn first(rows: &[PgRow]) -> Result<&PgRow, StoreError> {
    rows.first().ok_or_else(|| from_driver(sqlx::Error::RowNotFound))
}

/// Whether the row has a session in it: one without says that there is none.
fn is_there(row: &PgRow) -> Result<bool, StoreError> {
    row.try_get_raw("id").map(|id| !id.is_null()).map_err(from_driver)
}

/// The driver reads NULL as an error of its own; here it is a row of somebody else's.
fn column<'r, T>(row: &'r PgRow, name: &'static str) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get::<Option<T>, _>(name).map_err(from_driver)?.ok_or_else(|| foreign_row("a column is null"))
}

/// A `count(*)`, which is never below nought.
fn count(row: &PgRow, name: &'static str) -> Result<u64, StoreError> {
    column::<i64>(row, name).map(i64::unsigned_abs)
}

/// What the server keeps of an instant: microseconds.
struct Instant(i64);

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("TIMESTAMPTZ")
    }
}

impl Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match i64::from_be_bytes(value.as_bytes()?.try_into()?) {
            i64::MIN | i64::MAX => Err("the instant is infinite".into()),
            at => Ok(Self(at)),
        }
    }
}

fn number(revision: Revision) -> Value<'static> {
    Value::Number(i64::from_be_bytes(*revision.as_bytes()))
}

/// Whole microseconds, at most 2^43 milliseconds (279 years): as much as the server's multiplication keeps exact.
fn microseconds(time: Duration) -> Value<'static> {
    const LONGEST: i64 = (1 << 43) * 1000;
    Value::Number(i64::try_from(time.as_micros()).unwrap_or(LONGEST).min(LONGEST))
}
