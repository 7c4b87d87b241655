//! The driver's errors, sorted into those of the contract.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use session_core::StoreError;

pub(crate) const BACKEND: &str = "redis";

/// The store's error for the driver's.
pub(crate) fn from_driver(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => StoreError::timed_out(BACKEND, error),
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel => StoreError::unavailable(BACKEND, error),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => StoreError::unavailable(BACKEND, error),
        _ => match error.code() {
            // A script that does not end; no memory, no disk or no replica to write to.
            Some("BUSY" | "OOM" | "MISCONF" | "NOREPLICAS") => StoreError::unavailable(BACKEND, error),
            Some("WRONGTYPE") => StoreError::corrupt(BACKEND, error),
            _ => StoreError::backend(BACKEND, error),
        },
    }
}

/// The store's error for a URL that cannot be used. The sentence says what to do. It must not have the URL in it, because
/// that has a password.
pub(crate) fn unusable_url(what_to_do: &'static str, source: Option<RedisError>) -> StoreError {
    StoreError::backend(BACKEND, UnusableUrl { what_to_do, source })
}

#[derive(Debug, thiserror::Error)]
#[error("{what_to_do}")]
struct UnusableUrl {
    what_to_do: &'static str,
    source: Option<RedisError>,
}

/// The store's error for a wait that took too long.
pub(crate) fn from_wait(elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::timed_out(BACKEND, elapsed)
}

/// A value that this store cannot have written.
pub(crate) fn foreign_value(why: &'static str) -> StoreError {
    StoreError::corrupt(BACKEND, Sentence(why))
}

/// An answer that does not fit the command.
pub(crate) fn foreign_answer() -> StoreError {
    StoreError::backend(BACKEND, Sentence("the answer does not fit the command"))
}

/// Both tries came too late: the entry in the owner's index was over a minute old, so the server did nothing.
pub(crate) fn too_late() -> StoreError {
    StoreError::unavailable(BACKEND, Sentence("the session arrived over a minute after its entry in the owner's index"))
}

/// The staged frame of a write is gone, so the server did nothing.
pub(crate) fn staged_frame_gone() -> StoreError {
    StoreError::unavailable(BACKEND, Sentence("the staged value of a write was gone before its script ran"))
}

/// `connect` was led to a server that takes no writes. It may lag behind.
pub(crate) fn of_a_replica() -> StoreError {
    let why =
        "the server is a replica, which may still have sessions that were ended; the address has to lead to its master";
    StoreError::unavailable(BACKEND, Sentence(why))
}

/// The system has no randomness to give.
pub(crate) fn no_randomness(error: getrandom::Error) -> StoreError {
    StoreError::backend(BACKEND, error)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Sentence(&'static str);
