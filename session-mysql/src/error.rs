//! The driver's errors, in the terms of the contract.

use session_core::StoreError;
use sqlx::{Error, mysql::MySqlDatabaseError};

use crate::again::Then;

pub(crate) const BACKEND: &str = "mysql";

/// The numbers of the servers' errors: <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
/// <https://mariadb.com/kb/en/mariadb-error-code-reference/>. Below 1900 they are the same in both.
mod number {
    /// MariaDB: another transaction has changed the row since this one began. So it is with `innodb_snapshot_isolation`, which
    /// is on from 11.6.2, in `SERIALIZABLE`.
    pub(super) const CHANGED: u16 = 1020;
    pub(super) const TOO_MANY_CLIENTS: u16 = 1040;
    /// A node of a cluster that the others have left behind.
    pub(super) const NOT_READY: u16 = 1047;
    pub(super) const SHUTDOWN: u16 = 1053;
    pub(super) const NO_SUCH_COLUMN: u16 = 1054;
    pub(super) const NO_SUCH_TABLE: u16 = 1146;
    pub(super) const TOO_MANY_OF_A_USER: u16 = 1203;
    pub(super) const LOCK_WAIT: u16 = 1205;
    pub(super) const DEADLOCK: u16 = 1213;
    /// MySQL asks a user whom it does not know for a password of some kind, so that nobody learns which names there are. From
    /// 8.4 on the kind may be `mysql_native_password`, which is not there.
    pub(super) const NO_SUCH_PLUGIN: u16 = 1524;
    pub(super) const READ_ONLY: u16 = 1290;
    pub(super) const INTERRUPTED: u16 = 1317;
    pub(super) const READ_ONLY_TRANSACTION: u16 = 1792;
    pub(super) const READ_ONLY_INNODB: u16 = 1836;
    pub(super) const KILLED_MARIADB: u16 = 1927;
    pub(super) const STATEMENT_TIME_MARIADB: u16 = 1969;
    pub(super) const STATEMENT_TIME_MYSQL: u16 = 3024;
    pub(super) const IDLE_TOO_LONG_MYSQL: u16 = 4031;
}

/// The store's error for the driver's.
pub(crate) fn from_driver(error: Error) -> StoreError {
    match &error {
        Error::PoolTimedOut => StoreError::timed_out(BACKEND, error),
        Error::PoolClosed | Error::WorkerCrashed | Error::Io(_) | Error::Tls(_) => {
            StoreError::unavailable(BACKEND, error)
        }
        // The store has chosen the columns' types. A row with others is not its own.
        Error::ColumnDecode { .. } | Error::Decode(_) => StoreError::corrupt(BACKEND, error),
        Error::Database(_) => match answered(&error) {
            // The time for the statement or for the lock is over, or conflicts have used up the store's timeout.
            number::LOCK_WAIT
            | number::DEADLOCK
            | number::CHANGED
            | number::STATEMENT_TIME_MARIADB
            | number::STATEMENT_TIME_MYSQL => StoreError::timed_out(BACKEND, error),
            // The server stops, or somebody has ended the connection or the statement.
            number::SHUTDOWN | number::INTERRUPTED | number::KILLED_MARIADB | number::IDLE_TOO_LONG_MYSQL
            // No memory or space; too many connections; hosts and users that are not let in.
            | 1021 | 1037 | 1038 | 1041 | 1114 | number::TOO_MANY_CLIENTS | number::TOO_MANY_OF_A_USER | 1226 | 1129
            | 1130 | 1044 | 1045 | 1698 | number::NO_SUCH_PLUGIN | 1820 | 1862 | 3118 | 3955 | 4151
            // Only over TLS; MySQL's `offline_mode`.
            | 3159 | 3032
            | number::READ_ONLY | number::READ_ONLY_TRANSACTION | number::READ_ONLY_INNODB
            | number::NOT_READY => StoreError::unavailable(BACKEND, error),
            // The server reports corruption itself, or a number is out of range. Only the row can have such a number.
            1034 | 1194 | 1712 | 1690 => StoreError::corrupt(BACKEND, error),
            _ => StoreError::backend(BACKEND, error),
        },
        _ => StoreError::backend(BACKEND, error),
    }
}

/// The answer of a server that takes no writes. It may lag behind.
pub(crate) fn of_a_replica() -> StoreError {
    StoreError::unavailable(BACKEND, Replica)
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the server is read-only, as a replica is, and may still have sessions that were ended; the address has to lead to the \
     server that takes writes"
)]
struct Replica;

/// The store's error for an address that cannot be used. It must not have the address in it, because that has a password.
pub(crate) fn not_a_url(source: Option<Error>) -> StoreError {
    StoreError::backend(BACKEND, NotAUrl { source })
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the address is not a URL like mysql://user:password@host:3306/database; in the password write %2F for /, %3F for ?, \
     %23 for # and %25 for %"
)]
struct NotAUrl {
    source: Option<Error>,
}

impl Then {
    /// What may follow this error. The victim of a deadlock or of a change is rolled back as a whole. After a wait for a lock,
    /// only the statement is rolled back, but it is the only one of its transaction.
    pub(crate) fn after(error: &Error) -> Self {
        match answered(error) {
            number::DEADLOCK | number::LOCK_WAIT | number::CHANGED => Self::SendAgain,
            number::SHUTDOWN | number::KILLED_MARIADB | number::IDLE_TOO_LONG_MYSQL => Self::Reconnect,
            number::READ_ONLY | number::READ_ONLY_TRANSACTION | number::READ_ONLY_INNODB | number::NOT_READY => {
                Self::LookElsewhere
            }
            _ if matches!(error, Error::Io(_) | Error::WorkerCrashed | Error::Protocol(_)) => Self::Reconnect,
            _ => Self::Answer,
        }
    }
}

/// Whether the server has too many clients, or the user too many connections.
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(answered(error), number::TOO_MANY_CLIENTS | number::TOO_MANY_OF_A_USER)
}

/// Whether the server does not know the table, or one of its columns.
pub(crate) fn is_of_the_table(error: &StoreError) -> bool {
    let StoreError::Backend { source, .. } = error else { return false };
    let answered = source.downcast_ref::<Error>().map(answered);
    matches!(answered, Some(number::NO_SUCH_COLUMN | number::NO_SUCH_TABLE))
}

/// The number of the server's error; 0 if it is not the server's.
fn answered(error: &Error) -> u16 {
    let answer = error.as_database_error().and_then(|answer| answer.try_downcast_ref::<MySqlDatabaseError>());
    answer.map_or(0, MySqlDatabaseError::number)
}

/// The store's error for a wait that has taken too long.
pub(crate) fn from_wait(elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::timed_out(BACKEND, elapsed)
}

/// The application's own pool has a setting with which promises break.
pub(crate) fn unsafe_setting(what_to_do: &'static str) -> StoreError {
    StoreError::backend(BACKEND, Foreign(what_to_do))
}

/// A row that this store cannot have written.
pub(crate) fn foreign_row(why: &'static str) -> StoreError {
    StoreError::corrupt(BACKEND, Foreign(why))
}

/// An answer that no statement of this store can have.
pub(crate) fn foreign_answer(why: &'static str) -> StoreError {
    StoreError::backend(BACKEND, Foreign(why))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Foreign(&'static str);
