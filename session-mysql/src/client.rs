//! One statement, one answer: sending it, waiting for it, and sending it again where nothing has been done.

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

/// How much longer the store waits than the server, whose word that nothing was done is worth more than silence.
const GRACE: Duration = Duration::from_millis(500);

/// What comes back: rows of a read, a result of a write.
#[derive(Default)]
struct Answer {
    rows: Vec<MySqlRow>,
    result: MySqlQueryResult,
}

/// Whether a statement may be sent again after a cut connection, on which it may have been applied.
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
                let hurry = lease.hurry(end - now);
                timeout_at(deadline, hurry).await.map_err(from_wait)?.map_err(from_driver)?;
            }
        }
    }

    /// Sends the statement once: the answer, or what the driver says instead. The outer error is the last word.
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
                    // The server has gone, and has taken with it whatever was idle until now.
                    self.condemned.before(Instant::now().into_std());
                }
                Ok(answer)
            }
            Err(elapsed) => {
                // What was used since it was sent works.
                self.condemned.before(sent.into_std());
                Err(from_wait(elapsed))
            }
        }
    }

    /// A connection, until this instant. The application's own pool may be set to wait longer.
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
/// What was sent on it is done wholly or not at all, whoever hears the answer. But to wait for the answer, as the pool
/// would, may take as long as a server is silent, and all that time the pool would be a connection short.
pub(crate) struct Lease {
    pub(crate) connection: PoolConnection<MySql>,
    answered: bool,
}

impl Lease {
    /// Leaves the server no more time than this. The connection is not used for anything else afterwards.
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
