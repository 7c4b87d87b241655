//! The driver's errors, in the terms of the contract.

use session_core::StoreError;
use sqlx::Error;

use crate::again::Then;

pub(crate) const BACKEND: &str = "postgres";

/// The store's error for the driver's.
pub(crate) fn from_driver(error: Error) -> StoreError {
    match &error {
        Error::PoolTimedOut => StoreError::timed_out(BACKEND, error),
        Error::PoolClosed | Error::WorkerCrashed | Error::Io(_) | Error::Tls(_) => {
            StoreError::unavailable(BACKEND, error)
        }
        // The store has chosen the columns' types. A row with others is not its own.
        Error::ColumnDecode { .. } | Error::Decode(_) => StoreError::corrupt(BACKEND, error),
        Error::Database(answer) => {
            // The classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
            let code = answer.code().unwrap_or_default().into_owned();
            match (code.get(..2).unwrap_or_default(), &*code) {
                // The time for the statement or for the lock is over, or conflicts have used up the store's timeout.
                (_, "57014" | LOCK_TIMEOUT | TRANSACTION_TIMEOUT | SERIALIZATION_FAILURE | DEADLOCK | TOO_LATE) => {
                    StoreError::timed_out(BACKEND, error)
                }
                // No connection, no access, no space or memory, a server that stops or starts, a broken disk, a standby.
                ("08" | "28" | "53" | "57" | "58", _) | (_, READ_ONLY) => StoreError::unavailable(BACKEND, error),
                // The server reports corruption itself, or a number or an instant is out of range. Only the row can
                // have such a value.
                ("XX", _) | (_, "22003" | "22008") => StoreError::corrupt(BACKEND, error),
                _ => StoreError::backend(BACKEND, error),
            }
        }
        _ => StoreError::backend(BACKEND, error),
    }
}

const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK: &str = "40P01";
/// The server's `lock_timeout` may be shorter than the store's timeout.
const LOCK_TIMEOUT: &str = "55P03";
/// From PostgreSQL 17 on. The server ends the connection, too.
const TRANSACTION_TIMEOUT: &str = "25P04";
const READ_ONLY: &str = "25006";
/// Division by zero: a write has waited for its row until after the expiry. See the statements.
const TOO_LATE: &str = "22012";

/// The store's error for an address that cannot be used. It must not have the address in it, because that has a password.
pub(crate) fn not_a_url(source: Option<Error>) -> StoreError {
    StoreError::backend(BACKEND, NotAUrl { source })
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the address is not a URL like postgres://user:password@host:5432/database; in the password write %2F for /, %3F for ?, \
     %23 for # and %25 for %"
)]
struct NotAUrl {
    source: Option<Error>,
}

impl Then {
    /// What may follow this error.
    ///
    /// It does not prove that it belongs to this statement. It need not: whichever statement has failed, it was undone, and
    /// the answer to the next one proves itself.
    pub(crate) fn after(error: &Error) -> Self {
        match error.as_database_error().and_then(|answer| answer.code()).as_deref() {
            Some(SERIALIZATION_FAILURE | DEADLOCK | LOCK_TIMEOUT | TOO_LATE) => Self::SendAgain,
            Some(READ_ONLY) => Self::LookElsewhere,
            Some(TRANSACTION_TIMEOUT) => Self::Reconnect,
            Some(code) if code.starts_with("57P") || code.starts_with("08") => Self::Reconnect,
            _ if matches!(error, Error::Io(_) | Error::WorkerCrashed | Error::Protocol(_)) => Self::Reconnect,
            _ => Self::Answer,
        }
    }
}

/// Whether the server does not know the table, or one of its columns: class 42. A missing right is of the same class.
/// It is left out, because it says nothing of the table.
pub(crate) fn is_of_the_table(error: &StoreError) -> bool {
    let StoreError::Backend { source, .. } = error else { return false };
    let answer = source.downcast_ref::<Error>().and_then(Error::as_database_error);
    answer.and_then(|answer| answer.code()).is_some_and(|code| code.starts_with("42") && code != "42501")
}

/// The store's error for a wait that has taken too long.
pub(crate) fn from_wait(elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::timed_out(BACKEND, elapsed)
}

/// The answer of a server that takes no writes. It may lag behind.
pub(crate) fn of_a_standby() -> StoreError {
    StoreError::unavailable(BACKEND, Standby)
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the server is a standby, which may still have sessions that were ended; the address has to lead to the server that \
     takes writes"
)]
struct Standby;

/// A new connection cannot have its `statement_timeout`. The source says so, or else the setting was dropped.
pub(crate) fn without_settings(source: Option<Error>) -> StoreError {
    StoreError::backend(BACKEND, WithoutSettings { source })
}

#[derive(Debug, thiserror::Error)]
#[error(
    "a pooler in between does not pass on the store's statement_timeout; behind PgBouncer, in any mode of it, connect to \
     postgres+pooled://"
)]
struct WithoutSettings {
    source: Option<Error>,
}

/// Whether PgBouncer has refused a setting. It has one code, `protocol_violation`, for all that it refuses.
pub(crate) fn is_of_a_setting(error: &Error) -> bool {
    let is_ours = |code: &str, message: &str| code == "08P01" && message.contains("startup parameter");
    error.as_database_error().is_some_and(|answer| is_ours(&answer.code().unwrap_or_default(), answer.message()))
}

/// A row that this store cannot have written.
pub(crate) fn foreign_row(why: &'static str) -> StoreError {
    StoreError::corrupt(BACKEND, ForeignRow(why))
}

/// An answer that belongs to another statement.
pub(crate) fn foreign_answer() -> StoreError {
    StoreError::backend(BACKEND, ForeignAnswer)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ForeignRow(&'static str);

/// The server's answer belongs to another statement. The cause is a pooler that shares connections, of which the store
/// was not told. It is the source of a [`StoreError::Backend`].
///
/// # Examples
///
/// ```
/// use session_core::StoreError;
/// use session_postgres::ForeignAnswer;
///
/// fn needs_the_pooled_mode(error: &StoreError) -> bool {
///     matches!(error, StoreError::Backend { source, .. } if source.is::<ForeignAnswer>())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the answer belongs to another statement; behind PgBouncer in transaction mode the store needs its pooled mode"
)]
#[non_exhaustive]
pub struct ForeignAnswer;
