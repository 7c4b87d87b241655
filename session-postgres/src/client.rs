//! Sends a statement, waits for its answer, and checks that the answer is the right one.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use session_core::StoreError;
use sqlx::{
    AssertSqlSafe, Error, PgConnection, PgPool, Postgres, Row, ValueRef, pool::PoolConnection, postgres::PgRow,
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    again::{Again, Then},
    error::{foreign_answer, from_driver, from_wait, of_a_standby},
    home::{AtHome, Home},
    idle::Condemned,
    pooled::{Mode, message, milliseconds},
    statements::{HURRY, Statement},
    value::Value,
};

/// How much longer the store waits than the server. The server's error says that nothing was done. Silence leaves that
/// open.
const GRACE: Duration = Duration::from_millis(500);

/// Whether a statement may be sent again after its connection was cut. A write may have been applied, so it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// The pool, and how to talk to the server.
pub(crate) struct Client {
    pool: PgPool,
    pub(crate) mode: Mode,
    timeout: Duration,
    nonces: AtomicU64,
    condemned: Condemned,
    /// The runtime that has made the store. `None`: it was made outside of any.
    home: Option<Home>,
}

impl Client {
    pub(crate) fn new(pool: PgPool, mode: Mode, timeout: Duration, condemned: Condemned) -> Self {
        // It starts at random, so that two stores behind one pooler do not use the same numbers.
        let nonces = AtomicU64::new(RandomState::new().hash_one(0));
        Self { pool, mode, timeout, nonces, condemned, home: Home::here() }
    }

    /// The rows of the answer, at least one. The nonce is `$1`, and the values are `$2` and so on.
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
        let mut again = Again::default();
        loop {
            let (error, then) = match self.send_once(&mut lease, statement, within, deadline, values).await? {
                Ok(rows) => return Ok(rows),
                Err(failed) => failed,
            };
            let is_again = again.after(then, kind == Kind::Write, self.pool.options().get_max_connections());
            let now = Instant::now();
            if !is_again || now >= end {
                return Err(error);
            }
            if !lease.answered {
                // The connection is given up first, because the pool may have no room for another.
                drop(lease);
                lease = self.lease(deadline).await?;
            } else if now + self.timeout > end + GRACE / 2 {
                // Each statement has the server's whole timeout. That would end after the store's.
                within = end - now;
                if self.mode == Mode::Prepared {
                    timeout_at(deadline, lease.hurry(within)).await.map_err(from_wait)?.map_err(from_driver)?;
                }
            }
        }
    }

    /// Sends the statement once, and returns the rows, or the error and what may follow it. After an outer error it is not sent
    /// again.
    async fn send_once(
        &self,
        lease: &mut Lease,
        statement: &Statement,
        within: Duration,
        deadline: Instant,
        values: &[Value<'_>],
    ) -> Result<Result<Vec<PgRow>, (StoreError, Then)>, StoreError> {
        lease.answered = false;
        let (nonce, sent) = (self.nonce(), Instant::now());
        match timeout_at(deadline, self.send(&mut lease.connection, statement, within, nonce, values)).await {
            Ok(answer) => {
                let answer = match answer {
                    Ok(rows) => {
                        verify(&rows, nonce ^ statement.tag)?;
                        if is_of_a_standby(&rows) { Err((of_a_standby(), Then::LookElsewhere)) } else { Ok(rows) }
                    }
                    Err(error) => {
                        let then = Then::after(&error);
                        Err((from_driver(error), then))
                    }
                };
                lease.answered = !answer.as_ref().is_err_and(|(_, then)| then.gives_up_the_connection());
                if !lease.answered {
                    // The server has gone or takes no writes, and so it is with every connection that was idle until now.
                    self.condemned.before(Instant::now().into_std());
                }
                Ok(answer)
            }
            Err(elapsed) => {
                // A connection that was used since then works.
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
        if self.mode == Mode::Pooled {
            let text = message(statement.sql.as_str(), within, nonce, values);
            return sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await;
        }
        let query = sqlx::query(statement.sql.clone()).bind(nonce);
        let query = values.iter().fold(query, |query, &value| match value {
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::NoBytes => query.bind(None::<&[u8]>),
            Value::Ids(ids) => query.bind(ids.iter().map(|id| &id.as_bytes()[..]).collect::<Vec<_>>()),
        });
        query.fetch_all(connection).await
    }

    /// Takes a connection, and waits for it until this instant. The application's own pool may be set to wait longer.
    async fn lease(&self, until: Instant) -> Result<Lease, StoreError> {
        let connection =
            timeout_at(until, AtHome::new(self.home.as_ref(), self.pool.acquire())).await.map_err(from_wait)?;
        Ok(Lease { connection: connection.map_err(from_driver)?, answered: false })
    }

    fn nonce(&self) -> i64 {
        self.nonces.fetch_add(1, Ordering::Relaxed).cast_signed()
    }
}

/// A connection that is closed, and not used again, unless its answer has come.
///
/// What was sent on it is done wholly or not at all, even if nobody hears the answer. The pool would wait for that answer
/// before it uses the connection again. If the server is silent, the pool would lack a connection all that time.
struct Lease {
    connection: PoolConnection<Postgres>,
    answered: bool,
}

impl Lease {
    /// Leaves the server no more time than this for what follows. The connection is closed afterwards.
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

/// Whether it is the answer of a server that takes no writes. That one tells no clock.
fn is_of_a_standby(rows: &[PgRow]) -> bool {
    let clock = rows.first().and_then(|row| row.try_get_raw("now").ok());
    clock.is_some_and(|now| now.is_null())
}

/// Behind a pooler that shares connections, the driver may take another statement's answer for this one's.
fn verify(rows: &[PgRow], expected: i64) -> Result<(), StoreError> {
    let is_ours = |row: &PgRow| row.try_get::<i64, _>(0).is_ok_and(|answered| answered == expected);
    if rows.is_empty() || !rows.iter().all(is_ours) { Err(foreign_answer()) } else { Ok(()) }
}
