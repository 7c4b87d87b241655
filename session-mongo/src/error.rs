//! The driver's errors, sorted into those of the contract.

use mongodb::error::{Error, ErrorKind, WriteFailure};
use session_core::StoreError;

pub(crate) const BACKEND: &str = "mongodb";

/// <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>
mod code {
    pub(super) const HOST_UNREACHABLE: i32 = 6;
    pub(super) const HOST_NOT_FOUND: i32 = 7;
    pub(super) const AUTHENTICATION_FAILED: i32 = 18;
    pub(super) const MAX_TIME_EXPIRED: i32 = 50;
    pub(super) const COMMAND_NOT_FOUND: i32 = 59;
    pub(super) const WRITE_CONCERN_FAILED: i32 = 64;
    pub(super) const NETWORK_TIMEOUT: i32 = 89;
    pub(super) const SHUTDOWN_IN_PROGRESS: i32 = 91;
    pub(super) const PRIMARY_STEPPED_DOWN: i32 = 189;
    pub(super) const EXCEEDED_TIME_LIMIT: i32 = 262;
    pub(super) const SOCKET_EXCEPTION: i32 = 9001;
    pub(super) const NOT_WRITABLE_PRIMARY: i32 = 10107;
    pub(super) const DUPLICATE_KEY: i32 = 11000;
    pub(super) const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;
    pub(super) const INTERRUPTED_BY_STATE_CHANGE: i32 = 11602;
    pub(super) const NOT_PRIMARY_NO_SECONDARY_OK: i32 = 13435;
    pub(super) const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;
    pub(super) const OUT_OF_DISK_SPACE: i32 = 14031;
}

/// The store's error for the driver's.
pub(crate) fn from_driver(error: Error) -> StoreError {
    match (&*error.kind, number(&error)) {
        (ErrorKind::BsonDeserialization(_), _) => StoreError::corrupt(BACKEND, error),
        (_, Some(code::MAX_TIME_EXPIRED | code::EXCEEDED_TIME_LIMIT | code::NETWORK_TIMEOUT)) => {
            StoreError::timed_out(BACKEND, error)
        }
        // The primary has written it, but the other servers have not confirmed it in time.
        (_, Some(code::WRITE_CONCERN_FAILED)) => StoreError::timed_out(BACKEND, error),
        (
            ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Authentication { .. }
            | ErrorKind::Shutdown,
            _,
        )
        | (
            _,
            Some(
                code::HOST_UNREACHABLE
                | code::HOST_NOT_FOUND
                | code::AUTHENTICATION_FAILED
                | code::SHUTDOWN_IN_PROGRESS
                | code::PRIMARY_STEPPED_DOWN
                | code::SOCKET_EXCEPTION
                | code::NOT_WRITABLE_PRIMARY
                | code::INTERRUPTED_AT_SHUTDOWN
                | code::INTERRUPTED_BY_STATE_CHANGE
                | code::NOT_PRIMARY_NO_SECONDARY_OK
                | code::NOT_PRIMARY_OR_SECONDARY
                | code::OUT_OF_DISK_SPACE,
            ),
        ) => StoreError::unavailable(BACKEND, error),
        _ => StoreError::backend(BACKEND, error),
    }
}

/// Whether there is a document with this id.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    number(error) == Some(code::DUPLICATE_KEY)
}

/// Whether the server is too old for this command.
pub(crate) fn is_unknown_command(error: &Error) -> bool {
    number(error) == Some(code::COMMAND_NOT_FOUND)
}

fn number(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(answer) => Some(answer.code),
        ErrorKind::Write(WriteFailure::WriteError(answer)) => Some(answer.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(answer)) => Some(answer.code),
        _ => None,
    }
}

/// The store's error for a wait that took too long.
pub(crate) fn from_wait(elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::timed_out(BACKEND, elapsed)
}

/// The store's error for a task that did not finish, because its runtime is being shut down.
pub(crate) fn from_task(error: tokio::task::JoinError) -> StoreError {
    StoreError::unavailable(BACKEND, error)
}

/// A document that this store cannot have written.
pub(crate) fn foreign_document(why: &'static str) -> StoreError {
    StoreError::corrupt(BACKEND, ForeignDocument(why))
}

/// An answer that lacks the server's time.
pub(crate) fn foreign_answer() -> StoreError {
    StoreError::backend(BACKEND, ForeignDocument("the server does not tell its time"))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ForeignDocument(&'static str);
