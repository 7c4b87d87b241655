//! Sends a statement, waits for its answer, and sends it again if the server says that nothing was done.

use std::time::Duration;

use session_core::StoreError;
use sqlx::{
    Error, MySql, MySqlConnection, MySqlPool, Row, SqlStr, ValueRef,
    mysql::{MySqlQueryResult, MySqlRow},
    pool::PoolConnection,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    again::{Again, Then},
    builder::set_up,
    error::{from_driver, from_wait, is_full, of_a_replica},
    home::{AtHome, Home},
    idle::Condemned,
    statements::ENDS_WRITES,
    value::Value,
};

/// How much longer the store waits than the server. The server's error says that nothing was done. Silence leaves that
/// open.
const GRACE: Duration = Duration::from_millis(500);

/// How long MySQL waits for a lock at least: its setting is in whole seconds, and it looks once a second.
const SHORTEST_LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long to wait before a server that has too many clients is asked again.
const WHILE_FULL: Duration = Duration::from_millis(50);

/// Whether the server can end what follows in time, and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hurry {
    InTime,
    TooLate,
}

/// An answer: the rows of a read, or the result of a write.
#[derive(Default)]
struct Answer {
    rows: Vec<MySqlRow>,
    result: MySqlQueryResult,
}

/// Whether a statement may be sent again after its connection was cut. A write may have been applied, so it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    /// A read of sessions. A replica must not answer it: it may have some that were ended, and lack some that are new.
    Sessions,
    Write,
}

/// The pool, and how long to wait.
pub(crate) struct Client {
    pool: MySqlPool,
    timeout: Duration,
    condemned: Condemned,
    /// The runtime that has made the store. `None`: it was made outside of any.
    home: Option<Home>,
    clock: SqlStr,
}

impl Client {
    pub(crate) fn new(pool: MySqlPool, timeout: Duration, condemned: Condemned, clock: SqlStr) -> Self {
        Self { pool, timeout, condemned, clock, home: Home::here() }
    }

    pub(crate) async fn sessions(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<MySqlRow>, StoreError> {
        Ok(self.ask(Kind::Sessions, sql, values).await?.rows)
    }

    pub(crate) async fn read(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<Vec<MySqlRow>, StoreError> {
        Ok(self.ask(Kind::Read, sql, values).await?.rows)
    }

    pub(crate) async fn write(&self, sql: &SqlStr, values: &[Value<'_>]) -> Result<MySqlQueryResult, StoreError> {
        Ok(self.ask(Kind::Write, sql, values).await?.result)
    }

    async fn ask(&self, kind: Kind, sql: &SqlStr, values: &[Value<'_>]) -> Result<Answer, StoreError> {
        let mut lease = self.lease(Instant::now() + self.timeout).await?;
        let end = Instant::now() + self.timeout;
        let deadline = end + GRACE;
        let mut again = Again::default();
        loop {
            let (error, then) = match self.send_once(&mut lease, deadline, kind, sql, values).await? {
                Ok(answer) => return Ok(answer),
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
                let hurry = timeout_at(deadline, lease.hurry(end - now)).await.map_err(from_wait)?;
                if hurry.map_err(from_driver)? == Hurry::TooLate {
                    return Err(error);
                }
            }
        }
    }

    /// Sends the statement once, and returns the answer, or the error and what may follow it. After an outer error it is not
    /// sent again.
    async fn send_once(
        &self,
        lease: &mut Lease,
        deadline: Instant,
        kind: Kind,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Result<Answer, (StoreError, Then)>, StoreError> {
        lease.answered = false;
        let sent = Instant::now();
        match timeout_at(deadline, self.send(&mut lease.connection, kind, sql, values)).await {
            Ok(answer) => {
                let answer = match answer {
                    Ok(answer) if is_of_a_replica(&answer) => Err((of_a_replica(), Then::LookElsewhere)),
                    Ok(answer) => Ok(answer),
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

    async fn send(
        &self,
        connection: &mut MySqlConnection,
        kind: Kind,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Answer, Error> {
        let query = values.iter().fold(sqlx::query(sql.clone()), |query, &value| match value {
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::NoBytes => query.bind(None::<&[u8]>),
        });
        if kind == Kind::Write {
            return Ok(Answer { result: query.execute(connection).await?, ..Answer::default() });
        }
        let rows = query.fetch_all(&mut *connection).await?;
        // An answer without a row tells no clock, so the same server is asked for it.
        if rows.is_empty() && kind == Kind::Sessions {
            let clock =
                Answer { rows: sqlx::query(self.clock.clone()).fetch_all(connection).await?, ..Answer::default() };
            return Ok(if is_of_a_replica(&clock) { clock } else { Answer::default() });
        }
        Ok(Answer { rows, ..Answer::default() })
    }

    /// Takes a connection, and waits for it until this instant. The application's own pool may be set to wait longer.
    pub(crate) async fn lease(&self, until: Instant) -> Result<Lease, StoreError> {
        let acquiring = unless_full(until, || AtHome::new(self.home.as_ref(), self.pool.acquire()));
        let connection = timeout_at(until, acquiring).await.map_err(from_wait)?;
        Ok(Lease { connection: connection.map_err(from_driver)?, answered: false })
    }
}

/// Connects, and tries again until this instant while the server has too many clients. The driver does not.
pub(crate) async fn unless_full<T, F>(until: Instant, connect: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match connect().await {
            Err(error) if is_full(&error) && Instant::now() + WHILE_FULL < until => sleep(WHILE_FULL).await,
            answer => return answer,
        }
    }
}

/// Whether it is the answer of a server that takes no writes. That one tells no clock.
fn is_of_a_replica(answer: &Answer) -> bool {
    let clock = answer.rows.first().and_then(|row| row.try_get_raw("now").ok());
    clock.is_some_and(|now| now.is_null())
}

/// A connection that is closed, and not used again, unless its answer has come.
///
/// What was sent on it is done wholly or not at all, even if nobody hears the answer. The pool would wait for that answer
/// before it uses the connection again. If the server is silent, the pool would lack a connection all that time.
pub(crate) struct Lease {
    pub(crate) connection: PoolConnection<MySql>,
    answered: bool,
}

impl Lease {
    /// Leaves the server no more time than this for what follows. The connection is closed afterwards.
    async fn hurry(&mut self, left: Duration) -> Result<Hurry, Error> {
        self.connection.close_on_drop();
        if left + GRACE < SHORTEST_LOCK_WAIT
            && sqlx::query_scalar::<_, i64>(ENDS_WRITES).fetch_one(&mut *self.connection).await? == 0
        {
            return Ok(Hurry::TooLate);
        }
        set_up(&mut self.connection, left).await.map(|()| Hurry::InTime)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
    }
}
