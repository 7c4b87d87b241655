//! Writes that wait at the same moment share a transaction, and so one wait for the disk.
//!
//! ```text
//! BEGIN IMMEDIATE
//! UPDATE …    1 row   ┐
//! UPDATE …    no row  ├ outcomes, told after the COMMIT
//! DELETE …    1 row   ┘
//! COMMIT
//! ```
//!
//! A write that comes alone is one statement without all this. `SharedTrips` of core says which writes go together: those
//! that have come while others were under way. They are done in the order in which they came.
//!
//! What can go wrong:
//!
//! - `BEGIN` or `COMMIT` fails. Then each write has this error for its outcome. After a `COMMIT` that failed, nobody knows
//!   what was written.
//! - A statement fails. SQLite then undoes the statement, or the whole transaction: that depends on the error. So the
//!   transaction is rolled back, and then each write is done alone. The error becomes the outcome of its own write only.
//! - The future is dropped, because its runtime shuts down. Then the connection is closed, and so SQLite rolls the
//!   transaction back. A connection with an open transaction never goes back to the pool.

use session_core::StoreError;
use sqlx::{Error, Sqlite, pool::PoolConnection};
use tokio::time::Instant;

use crate::{
    error::{from_driver, too_late},
    writer::{Outcome, Turn, Write, Writer},
};

/// How many writes go together at most.
pub(crate) const MOST: usize = 64;

/// How many bytes a transaction writes at most, unless one write alone has more.
const MOST_BYTES: usize = 1024 * 1024;

impl Writer {
    /// Does the writes in their order.
    pub(crate) async fn write_all(&self, writes: &[Write]) -> Vec<Outcome> {
        let (mut outcomes, mut left) = (Vec::with_capacity(writes.len()), writes);
        while !left.is_empty() {
            let (group, later) = left.split_at(length_of_group(left));
            match group {
                [write] => outcomes.push(self.write(write).await),
                _ => outcomes.extend(self.write_group(group).await),
            }
            left = later;
        }
        outcomes
    }

    async fn write_group(&self, group: &[Write]) -> Vec<Outcome> {
        match self.write_together(group).await {
            Ok(Some(outcomes)) => return outcomes,
            Ok(None) => {}
            Err(error) => return vec![Err(error); group.len()],
        }
        let mut outcomes = Vec::with_capacity(group.len());
        for write in group {
            let is_late = write.deadline < Instant::now();
            outcomes.push(if is_late { Err(too_late()) } else { self.write(write).await });
        }
        outcomes
    }

    /// The outcomes of one transaction. `None` if a statement has failed: then nothing was written.
    async fn write_together(&self, group: &[Write]) -> Result<Option<Vec<Outcome>>, StoreError> {
        let Some(latest) = group.iter().map(|write| write.deadline).max() else { return Ok(None) };
        let turn = self.turn(latest).await?;
        let now = Instant::now();
        let mut transaction = Transaction::begin(turn).await.map_err(from_driver)?;
        let mut outcomes = Vec::with_capacity(group.len());
        for write in group {
            if write.deadline < now {
                outcomes.push(Err(too_late()));
                continue;
            }
            let Ok(rows) = write.run(transaction.connection()).await else {
                transaction.roll_back().await;
                return Ok(None);
            };
            outcomes.push(Ok(rows));
        }
        transaction.commit().await.map_err(from_driver)?;
        Ok(Some(outcomes))
    }
}

/// How many of these writes go in one transaction.
fn length_of_group(writes: &[Write]) -> usize {
    let mut bytes = 0;
    let fitting = writes.iter().take_while(|write| {
        bytes += write.bytes;
        bytes <= MOST_BYTES
    });
    fitting.count().max(1)
}

/// A transaction of this module's own. The driver's keeps count of open transactions, and its count is wrong after SQLite
/// has rolled one back by itself. Then each later one of the connection would fail.
struct Transaction<'a> {
    turn: Turn<'a>,
    is_open: bool,
}

impl<'a> Transaction<'a> {
    async fn begin(turn: Turn<'a>) -> Result<Self, Error> {
        // It counts as open before the answer comes, because this future may be dropped.
        let mut transaction = Self { turn, is_open: true };
        let begun = transaction.run("BEGIN IMMEDIATE").await;
        transaction.is_open = begun.is_ok();
        begun.map(|()| transaction)
    }

    fn connection(&mut self) -> &mut PoolConnection<Sqlite> {
        &mut self.turn.connection
    }

    async fn commit(mut self) -> Result<(), Error> {
        let committed = self.run("COMMIT").await;
        match committed {
            Ok(()) => self.is_open = false,
            Err(_) => self.roll_back().await,
        }
        committed
    }

    /// If it fails, the transaction counts as open, though SQLite may have rolled it back by itself.
    async fn roll_back(&mut self) {
        self.is_open = self.run("ROLLBACK").await.is_err();
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Error> {
        sqlx::query(sql).execute(&mut **self.connection()).await.map(drop)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.turn.connection.close_on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::*;

    #[tokio::test]
    async fn a_transaction_that_is_dropped_never_goes_back_to_the_pool() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("a.db")).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let writer = Writer::new(pool.clone(), Duration::from_secs(30));
        let turn = writer.turn(writer.deadline()).await.unwrap();
        let mut transaction = Transaction::begin(turn).await.unwrap();
        transaction.run("CREATE TABLE written (number)").await.unwrap();
        drop(transaction);
        // In an open transaction SQLite refuses another.
        sqlx::raw_sql("BEGIN; ROLLBACK").execute(&pool).await.unwrap();
        assert!(sqlx::query("SELECT * FROM written").fetch_all(&pool).await.is_err(), "it was not rolled back");
    }
}
