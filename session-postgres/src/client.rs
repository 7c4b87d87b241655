//! One statement, one answer: sending it, waiting for it, and knowing that it is the right one.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use session_core::StoreError;
use sqlx::{AssertSqlSafe, Error, PgConnection, PgPool, Postgres, Row, pool::PoolConnection, postgres::PgRow};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    error::{foreign_answer, from_driver, from_wait, is_broken, is_undone},
    idle::Condemned,
    pooled::{message, milliseconds},
    statements::{HURRY, Statement},
    value::Value,
};

/// How much longer the store waits than the server, whose word that nothing was done is worth more than silence.
const GRACE: Duration = Duration::from_millis(500);

/// Whether a statement may be sent again after a cut connection, on which it may have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// The pool, and how to talk to the server.
pub(crate) struct Client {
    pool: PgPool,
    pub(crate) pooled: bool,
    timeout: Duration,
    nonces: AtomicU64,
    condemned: Condemned,
}

impl Client {
    pub(crate) fn new(pool: PgPool, pooled: bool, timeout: Duration, condemned: Condemned) -> Self {
        // Random, so that no two stores behind one pooler count through the same numbers.
        let nonces = AtomicU64::new(RandomState::new().hash_one(0));
        Self { pool, pooled, timeout, nonces, condemned }
    }

    /// The rows of the answer, at least one. `$1` is the nonce, the values begin at `$2`.
    pub(crate) async fn ask(
        &self,
        kind: Kind,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut lease = self.lease(Instant::now() + self.timeout).await?;
        let end = Instant::now() + self.timeout;
        let deadline = end + GRACE;
        let mut within = self.timeout;
        let mut broken = 0;
        loop {
            let error = match self.send_once(&mut lease, statement, within, deadline, values).await? {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            let again = if lease.answered {
                is_undone(&error)
            } else {
                // An application's pool may not have the hook: there each idle connection is found to be cut, one after
                // the other.
                broken += 1;
                kind == Kind::Read && broken <= self.pool.options().get_max_connections()
            };
            let now = Instant::now();
            if !again || now >= end {
                return Err(from_driver(error));
            }
            if !lease.answered {
                // Its place in the pool comes first: there may be no other.
                drop(lease);
                lease = self.lease(deadline).await?;
            } else if now + self.timeout > end + GRACE / 2 {
                // The server's time begins anew with the statement, and would end after the store's.
                within = end - now;
                if !self.pooled {
                    timeout_at(deadline, lease.hurry(within)).await.map_err(from_wait)?.map_err(from_driver)?;
                }
            }
        }
    }

    /// Sends the statement once: the rows, or what the driver says instead. The outer error is the last word.
    async fn send_once(
        &self,
        lease: &mut Lease,
        statement: &Statement,
        within: Duration,
        deadline: Instant,
        values: &[Value<'_>],
    ) -> Result<Result<Vec<PgRow>, Error>, StoreError> {
        lease.answered = false;
        let (nonce, sent) = (self.nonce(), Instant::now());
        match timeout_at(deadline, self.send(&mut lease.connection, statement, within, nonce, values)).await {
            Ok(Ok(rows)) => {
                verify(&rows, nonce ^ statement.tag)?;
                lease.answered = true;
                Ok(Ok(rows))
            }
            Ok(Err(error)) => {
                lease.answered = !is_broken(&error);
                if !lease.answered {
                    // The server has gone, and has taken with it whatever was idle until now.
                    self.condemned.before(Instant::now().into_std());
                }
                Ok(Err(error))
            }
            Err(elapsed) => {
                // What was used since it was sent works.
                self.condemned.before(sent.into_std());
                Err(from_wait(elapsed))
            }
        }
    }

    /// Runs several statements, the last of which answers the nonce, in one message and one transaction.
    pub(crate) async fn run(&self, statement: &Statement, within: Duration) -> Result<(), StoreError> {
        let mut lease = self.lease(Instant::now() + self.timeout).await?;
        let nonce = self.nonce();
        let text = message(statement.sql.as_str(), within, nonce, &[]);
        let answer = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *lease.connection);
        let rows = timeout(within + GRACE, answer).await.map_err(from_wait)?.map_err(from_driver)?;
        verify(rows.last().map_or(&[], std::slice::from_ref), nonce ^ statement.tag)?;
        lease.answered = true;
        Ok(())
    }

    async fn send(
        &self,
        connection: &mut PgConnection,
        statement: &Statement,
        within: Duration,
        nonce: i64,
        values: &[Value<'_>],
    ) -> Result<Vec<PgRow>, Error> {
        if self.pooled {
            let text = message(statement.sql.as_str(), within, nonce, values);
            return sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await;
        }
        let query = sqlx::query(statement.sql.clone()).bind(nonce);
        let query = values.iter().fold(query, |query, &value| match value {
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::NoBytes => query.bind(None::<&[u8]>),
        });
        query.fetch_all(connection).await
    }

    /// A connection, until this instant. The application's own pool may be set to wait longer.
    async fn lease(&self, until: Instant) -> Result<Lease, StoreError> {
        let connection = timeout_at(until, self.pool.acquire()).await.map_err(from_wait)?;
        Ok(Lease { connection: connection.map_err(from_driver)?, answered: false })
    }

    fn nonce(&self) -> i64 {
        self.nonces.fetch_add(1, Ordering::Relaxed).cast_signed()
    }
}

/// A connection that is closed, and not used again, unless its answer has come.
///
/// What was sent on it is done wholly or not at all, whoever hears the answer. But to wait for the answer, as the pool
/// would, may take as long as a server is silent, and all that time the pool would be a connection short.
struct Lease {
    connection: PoolConnection<Postgres>,
    answered: bool,
}

impl Lease {
    /// Leaves the server no more time than this. The connection is not used for anything else afterwards.
    async fn hurry(&mut self, left: Duration) -> Result<(), Error> {
        self.connection.close_on_drop();
        let hurry = sqlx::query(HURRY).bind(milliseconds(left).to_string());
        hurry.persistent(false).execute(&mut *self.connection).await.map(drop)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
    }
}

/// Behind a pooler that shares connections, the driver may take another statement's answer for this one's.
fn verify(rows: &[PgRow], expected: i64) -> Result<(), StoreError> {
    let is_ours = |row: &PgRow| row.try_get::<i64, _>(0).is_ok_and(|answered| answered == expected);
    if rows.is_empty() || !rows.iter().all(is_ours) { Err(foreign_answer()) } else { Ok(()) }
}
