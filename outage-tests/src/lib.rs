//! Tests of outages, written once for all stores that have a server. The server is killed, is silent, or cuts its
//! connections.
//!
//! The contract says that an operation fails in its own time, with [`StoreError::Unavailable`] or [`StoreError::TimedOut`].
//! After the outage the store works again, and nobody has to restart it. The kit cannot show that: it kills no servers.
//!
//! The tests of a store implement [`Subject`], which says how to start its server and how to connect to it.
//! [`outage_tests!`] makes the tests that every store passes. The functions are for further tests, in which not every
//! server can take part.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod calls;
pub mod operations;
pub mod resend;
pub mod runtimes;
mod trial;

use std::time::Duration;

use session_conformance::servers::Server;
pub use session_core::async_trait;
use session_core::{Store, StoreError};

pub use crate::{
    calls::{HOUR, ID, MADE, REVISION, entry},
    trial::{connecting, cut, cut_between_loads, cut_under_a_write, killed, silent},
};

/// How many connections a pool has.
pub const CONNECTIONS: u32 = 4;

/// The outage that a store's connections have been through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The server was killed, every call failed, and it is back.
    Failures,
    /// The server was silent, every call timed out, and it answers again.
    Silence,
    /// Every connection was cut, and there has been no call since.
    Cut,
}

/// A store in one of its modes, whose server a test can kill, pause and cut.
#[async_trait]
pub trait Subject: Sync {
    /// The store.
    type Store: Store + Clone;

    /// The name of the backend in the store's errors.
    const BACKEND: &'static str;

    /// How long the store waits for an answer.
    const TIMEOUT: Duration = Duration::from_millis(500);

    /// Starts a server that no other test uses.
    fn server() -> Server;

    /// Connects to the server at this URL. A pool has [`CONNECTIONS`], and calls time out after
    /// [`TIMEOUT`](Self::TIMEOUT).
    async fn connect(&self, url: &str) -> Result<Self::Store, StoreError>;

    /// Makes the table, if the store has one.
    async fn prepare(&self, _store: &Self::Store) {}

    /// Further calls that ask the server, beside the methods of the contract. Each gives its name and its answer.
    async fn other_calls(&self, _store: &Self::Store) -> Vec<(&'static str, Result<(), StoreError>)> {
        Vec::new()
    }

    /// Does what the store needs before every call works again, and checks what else holds then. A driver notices a cut
    /// connection only when it uses it.
    async fn recover(&self, _store: &Self::Store, _after: After) {}
}

/// Makes a `#[test]` of each trial that every store passes. Each takes all the subjects, which are the modes of one store,
/// on one server.
#[macro_export]
macro_rules! outage_tests {
    ($($subject:expr),+ $(,)?) => {
        #[tokio::test]
        async fn a_server_that_is_killed_is_an_outage_and_works_again_when_it_is_back() {
            $crate::killed(&[$($subject),+]).await;
        }

        #[tokio::test]
        async fn a_server_that_is_silent_is_an_outage_and_works_again_when_it_speaks() {
            $crate::silent(&[$($subject),+]).await;
        }

        #[tokio::test]
        async fn where_nobody_listens_connecting_fails_in_time() {
            $crate::connecting(&[$($subject),+]).await;
        }
    };
}
