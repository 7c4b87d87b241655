//! Why a store did not answer.

use std::{error::Error as StdError, sync::Arc};

use crate::SchemaError;

/// The cause that a [`StoreError`] carries.
pub type StoreErrorSource = Arc<dyn StdError + Send + Sync>;

/// Why a store did not answer.
///
/// After any of them but [`AlreadyExists`](Self::AlreadyExists) and [`Schema`](Self::Schema) the outcome of a write is unknown.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A live session has the id that was to be created.
    #[error("a live session has this id already")]
    AlreadyExists,
    /// The database cannot be reached, refuses work or is full, or another process has its file.
    #[error("{backend} is not available")]
    Unavailable {
        /// The name of the database.
        backend: &'static str,
        /// What the driver said.
        source: StoreErrorSource,
    },
    /// The database did not answer in time.
    #[error("{backend} did not answer in time")]
    TimedOut {
        /// The name of the database.
        backend: &'static str,
        /// What the driver said.
        source: StoreErrorSource,
    },
    /// The row or its payload cannot be read. It is left as it is.
    #[error("{backend} holds a session that cannot be read")]
    Corrupt {
        /// The name of the database.
        backend: &'static str,
        /// What is wrong with it.
        source: StoreErrorSource,
    },
    /// The table is missing, or is not one of this store's. Nothing was written.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database answered with any other error.
    #[error("{backend} answered with an error")]
    Backend {
        /// The name of the database.
        backend: &'static str,
        /// What the driver said.
        source: StoreErrorSource,
    },
}

impl StoreError {
    /// The database cannot be reached, refuses work or is full.
    pub fn unavailable(backend: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Unavailable { backend, source: Arc::new(source) }
    }

    /// The database did not answer in time.
    pub fn timed_out(backend: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::TimedOut { backend, source: Arc::new(source) }
    }

    /// The row or its payload cannot be read.
    pub fn corrupt(backend: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Corrupt { backend, source: Arc::new(source) }
    }

    /// The database answered with any other error.
    pub fn backend(backend: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Backend { backend, source: Arc::new(source) }
    }
}
