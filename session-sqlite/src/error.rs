//! The driver's errors, in the terms of the contract.

use std::path::{Path, PathBuf};

use session_core::StoreError;
use sqlx::Error;

pub(crate) const BACKEND: &str = "sqlite";

/// Primary result codes (<https://www.sqlite.org/rescode.html>); an extended code has them in its lowest byte.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
}

/// The store's error for the driver's.
pub(crate) fn from_driver(error: Error) -> StoreError {
    match &error {
        Error::PoolTimedOut => StoreError::timed_out(BACKEND, error),
        Error::PoolClosed | Error::WorkerCrashed | Error::Io(_) => StoreError::unavailable(BACKEND, error),
        // The store has chosen the columns' types. A row with others is not its own.
        Error::ColumnDecode { .. } | Error::Decode(_) => StoreError::corrupt(BACKEND, error),
        Error::Database(_) => match primary_code(&error) {
            // The busy timeout was over.
            Some(code::BUSY | code::LOCKED) => StoreError::timed_out(BACKEND, error),
            Some(code::CANTOPEN | code::FULL | code::IOERR | code::READONLY | code::PERM | code::NOMEM) => {
                StoreError::unavailable(BACKEND, error)
            }
            // A damaged file too: it is more than one row, and the sessions may be there.
            _ => StoreError::backend(BACKEND, error),
        },
        _ => StoreError::backend(BACKEND, error),
    }
}

/// Whether SQLite cannot make sense of the statement. That is what it says if the table or a column is missing.
pub(crate) fn is_of_the_table(error: &StoreError) -> bool {
    let StoreError::Backend { source, .. } = error else { return false };
    source.downcast_ref::<Error>().and_then(primary_code) == Some(code::ERROR)
}

fn primary_code(error: &Error) -> Option<i32> {
    let code = error.as_database_error().and_then(|answer| answer.code());
    code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
}

/// The store's error for a wait that has taken too long.
pub(crate) fn from_wait(elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::timed_out(BACKEND, elapsed)
}

/// The store's error for a write whose turn comes after its deadline.
pub(crate) fn too_late() -> StoreError {
    StoreError::timed_out(BACKEND, TooLate)
}

#[derive(Debug, thiserror::Error)]
#[error("other writes took too long")]
struct TooLate;

/// The store's error for a file that was not opened.
///
/// SQLite says only "unable to open database file". It makes a file that is missing, but no folder. So a missing folder is
/// named here.
pub(crate) fn from_opening(path: &Path, error: Error) -> StoreError {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    match folder {
        Some(folder) if primary_code(&error) == Some(code::CANTOPEN) => {
            StoreError::unavailable(BACKEND, MissingFolder { folder: folder.to_owned(), source: error })
        }
        _ => from_driver(error),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the folder {} does not exist: make it first", folder.display())]
struct MissingFolder {
    folder: PathBuf,
    source: Error,
}

/// A database without a write-ahead log.
pub(crate) fn no_log() -> StoreError {
    StoreError::backend(BACKEND, NoLog)
}

#[derive(Debug, thiserror::Error)]
#[error("the database can have no write-ahead log: is it in memory (see session-memory), or on a network file system?")]
struct NoLog;

/// A row that this store cannot have written.
pub(crate) fn foreign_row(why: &'static str) -> StoreError {
    StoreError::corrupt(BACKEND, ForeignRow(why))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ForeignRow(&'static str);
