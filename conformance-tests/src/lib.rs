//! The conformance kit for session stores: whatever crate a store lives in, one line runs every clause of the
//! [contract](session_core::Store) against it.
//!
//! ```
//! # mod example {
//! use std::time::Duration;
//!
//! use session_conformance::{Subject, async_trait, store_tests};
//! # use session_core::Store;
//! # type MyStore = Box<dyn Store>;
//! # fn my_store(_: &str) -> MyStore { Box::new(session_memory::MemoryStore::new()) }
//!
//! struct Mine;
//!
//! #[async_trait]
//! impl Subject for Mine {
//!     type Store = MyStore;
//!
//!     async fn open(&self, namespace: &str) -> MyStore {
//!         my_store(namespace)
//!     }
//!
//!     async fn pass(&self, time: Duration) {
//!         tokio::time::sleep(time).await;
//!     }
//! }
//!
//! store_tests!(Mine);
//! # }
//! ```
//!
//! [`Subject`] is what a store's author writes, [`store_tests!`] makes one `#[test]` of each case, named by the sentence
//! that must hold, and [`cases`] gives the same cases to a harness of one's own. The kit never skips a case: a store that
//! cannot be reached fails. The features `servers` and `containers`, for Unix, find or start database servers for the tests
//! of a store.
//!
//! Where `SESSION_TEST_REPORT` names a file, each test adds a line to it once its case has passed, fields separated by
//! tabs: package, module, case, start and end in milliseconds since 1970, where the server comes from (`url`, `container`,
//! `local` or `none`), and what it calls itself. They tell what has run, for those who have to prove it.
//!
//! An [`adapter`] for a framework has cases of its own, and [`adapter_tests!`] makes the tests of them.
//!
//! It proves what can be seen through the eight methods, also where an answer is lost, if [`Subject::lose_the_answer`] can
//! lose one. It does **not** prove what a database does when it is killed, nor that a foreign row is answered with [`Corrupt`](session_core::StoreError::Corrupt). It opens each namespace
//! once: so it does not prove either that sessions survive a restart, nor that two processes on one database keep the
//! contract. A store tests these itself.
//!
//! # Write a store in an hour
//!
//! 1. Begin with a type and the eight methods. Decide how the database takes one atomic step for one id: a lock, a
//!    conditional statement, a script. Never read first and write then.
//! 2. Let the database's clock decide. Turn the durations into instants there, keep them as whole milliseconds, and
//!    compare `expiry > now` in every read and every write, whatever sweeps the rows later. Cap a duration before you add
//!    it to anything: it may be [`Duration::MAX`].
//! 3. `create` writes where there is no row, or an expired one. Every other write names the expected revision in its
//!    condition, and answers `false` where nothing matched. Nothing is retried.
//! 4. `Keep` leaves expiry, end and owner alone; `Extend` moves the expiry, never past the end; `Restart` sets all three.
//! 5. Mount it on the kit by one line. Where several tests fail, mend them in the order of [`cases`], which is not that of
//!    the alphabet: those that race calls or drop them come late, and often fail for the reason of an earlier one. The
//!    example of [`Case`] is a loop that stops at the first.
//!
//! This is all of it, for a store that is one sorted map behind one lock: `tests/stranger.rs` of this crate, and its
//! tests run.
//!
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../tests/stranger.rs")]
//! ```

#![allow(clippy::unwrap_used, reason = "the kit is a test: it fails by panicking")]

pub mod adapter;
mod case;
mod cases;
mod faulty;
mod history;
mod report;
#[cfg(all(unix, feature = "servers"))]
pub mod servers;
mod trial;
mod watched;

use std::time::Duration;

pub use session_core::async_trait;
use session_core::{SessionId, Store};

#[doc(hidden)]
pub use crate::report::run_test;
pub use crate::{
    case::{Case, cases, check},
    faulty::FaultyStore,
};

/// What a store's author writes for the kit: how to open a store, and how time passes for it.
///
/// # Examples
///
/// For a store whose clock a test can move, keep a handle on each store that was opened:
///
/// ```
/// # use std::{sync::Mutex, time::Duration};
/// # use session_conformance::{Subject, async_trait};
/// # use session_memory::MemoryStore as Handle;
/// #[derive(Default)]
/// struct Mine(Mutex<Vec<Handle>>);
///
/// #[async_trait]
/// impl Subject for Mine {
/// #   type Store = Handle;
///     // …
///     async fn open(&self, _namespace: &str) -> Self::Store {
///         let store = Handle::new();
///         self.0.lock().unwrap().push(store.clone());
///         store
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.lock().unwrap().iter().for_each(|store| store.advance(time));
///     }
/// }
/// ```
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// The store under test.
    type Store: Store;

    /// Opens the store with this prefix, table or collection, and makes what it needs there.
    ///
    /// Two namespaces never meet. Each is opened once, is new in each run, and matches `[a-z_][a-z0-9_]{0,47}`. Nothing
    /// closes or removes one: a temporary folder or database is kept in the `Subject`, which is dropped after each case.
    async fn open(&self, namespace: &str) -> Self::Store;

    /// Lets time pass for all stores that were opened: by waiting, or by moving their clock. At least that much; the cases
    /// ask for less than three seconds each. After slow calls a case that has failed is tried again, because a session may have
    /// expired before its time. From the fourth attempt on it asks for up to sixteen times as much.
    async fn pass(&self, time: Duration);

    /// Loses the answer to the next call that names this session: the database does what it is asked, and the connection is
    /// cut before the answer is through.
    ///
    /// Nothing is lost unless this is overridden, which is right for a store within the process: it has no answer to lose.
    /// Where a network is in between a proxy does it, such as `servers::Proxy`, which finds the request by the id in it.
    async fn lose_the_answer(&self, _to: &SessionId) {}

    /// How long the store may take to answer before the case fails: a minute, unless overridden. A case on a slow store
    /// goes on while there are answers, for twenty times as long.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// The server that the store is on, for the report: none, unless overridden.
    #[cfg(all(unix, feature = "servers"))]
    fn server(&self) -> Option<&'static servers::Server> {
        None
    }
}

/// Makes one `#[test]` of each case, on a [`Subject`] that the expression builds for each.
///
/// # Examples
///
/// ```
/// # use session_conformance::{Subject, async_trait, store_tests};
/// # #[derive(Default)] struct Mine;
/// # #[async_trait]
/// # impl Subject for Mine {
/// #     type Store = Box<dyn session_core::Store>;
/// #     async fn open(&self, _: &str) -> Self::Store { Box::new(session_memory::MemoryStore::new()) }
/// #     async fn pass(&self, _: std::time::Duration) {}
/// # }
/// mod on_a_single_node {
/// #   use super::*;
///     store_tests!(Mine::default());
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_tests {
    ($subject:expr) => {
        $crate::each_case!({ $crate::name_tests }[$subject]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! name_tests {
    ([$subject:expr] $($module:ident: $($name:ident)*;)*) => {
        $($(
            #[test]
            fn $name() {
                let package = ::core::option_env!("CARGO_PKG_NAME").unwrap_or_default();
                $crate::run_test(package, ::core::module_path!(), stringify!($name), $subject);
            }
        )*)*
    };
}
