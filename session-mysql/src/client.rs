//! Sends a statement, waits for its answer, and sends it again if the server says that nothing was done.

use std::time::Duration;

use session_core::StoreError;
use sqlx::{
    Error, MySql, MySqlConnection, MySqlPool, SqlStr,
    mysql::{MySqlQueryResult, MySqlRow},
    pool::PoolConnection,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    builder::set_up,
    error::{from_driver, from_wait, is_broken, is_undone},
    idle::Condemned,
    value::Value,
};

/// How much longer the store waits than the server. The server's error says that nothing was done. Silence leaves that
/// open.
const GRACE: Duration = Duration::from_millis(500);

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
    Write,
}

/// The pool, and how long to wait.
pub(crate) struct Client {
    pool: MySqlPool,
    timeout: Duration,
    condemned: Condemned,
}

impl Client {
    pub(crate) fn new(pool: MySqlPool, timeout: Duration, condemned: Condemned) -> Self {
        Self { pool, timeout, condemned }
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
        let mut broken = 0;
        loop {
            let error = match self.send_once(&mut lease, deadline, kind, sql, values).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = if lease.answered {
                is_undone(&error)
            } else {
                // An application's pool may lack the hook. Then the loop finds one cut connection after the other.
                broken += 1;
                kind == Kind::Read && broken <= self.pool.options().get_max_connections()
            };
            let now = Instant::now();
            if !again || now >= end {
                return Err(from_driver(error));
            }
            if !lease.answered {
                // The broken connection is given up first, because the pool may have no room for another.
                drop(lease);
                lease = self.lease(deadline).await?;
            } else if now + self.timeout > end + GRACE / 2 {
                // Each statement has the server's whole timeout. That would end after the store's.
                let hurry = lease.hurry(end - now);
                timeout_at(deadline, hurry).await.map_err(from_wait)?.map_err(from_driver)?;
            }
        }
    }

    /// Sends the statement once, and returns the answer or the driver's error. After an outer error it is not sent again.
    async fn send_once(
        &self,
        lease: &mut Lease,
        deadline: Instant,
        kind: Kind,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Result<Answer, Error>, StoreError> {
        lease.answered = false;
        let sent = Instant::now();
        match timeout_at(deadline, send(&mut lease.connection, kind, sql, values)).await {
            Ok(answer) => {
                lease.answered = !answer.as_ref().is_err_and(is_broken);
                if !lease.answered {
                    // The server has gone, and with it every connection that was idle until now.
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

    /// Takes a connection, and waits for it until this instant. The application's own pool may be set to wait longer.
    pub(crate) async fn lease(&self, until: Instant) -> Result<Lease, StoreError> {
        let connection = timeout_at(until, self.pool.acquire()).await.map_err(from_wait)?;
        Ok(Lease { connection: connection.map_err(from_driver)?, answered: false })
    }
}

async fn send(
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
    Ok(match kind {
        Kind::Read => Answer { rows: query.fetch_all(connection).await?, ..Answer::default() },
        Kind::Write => Answer { result: query.execute(connection).await?, ..Answer::default() },
    })
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
    async fn hurry(&mut self, left: Duration) -> Result<(), Error> {
        self.connection.close_on_drop();
        set_up(&mut self.connection, left).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
    }
}
