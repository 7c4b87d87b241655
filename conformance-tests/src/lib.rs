//! The conformance kit for session stores. One line tests every clause of the [contract](session_core::Store) on a
//! store, in whatever crate it is.
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
//! The author of a store writes a [`Subject`]. [`store_tests!`] makes one `#[test]` of each case, named by the sentence
//! that must hold. [`cases`] gives the same cases to a harness of your own. A store that cannot be reached fails. Only the
//! cases that harm the database are not run where the subject does not say how: [`Subject::lose_the_answer`],
//! [`Subject::open_unanswered`], [`Subject::open_with_little_room`]. They say `not run` and the reason, on stderr
//! (`cargo test -- --nocapture` shows it) and in the report. The features `servers` and `containers`, for Unix, find or
//! start database servers for the tests of a store.
//!
//! If `SESSION_TEST_REPORT` names a file, each test adds a line to it once its case has passed. The lines prove what
//! has run. Their fields are separated by tabs: package, module, case, start and end in milliseconds since 1970, where
//! the server comes from (`url`, `container`, `local` or `none`), and what it calls itself.
//!
//! An [`adapter`] for a framework has cases of its own, and [`adapter_tests!`] makes the tests of them.
//! A case that is not run has a line, too: `not run` in place of the server, and then the reason.
//!
//! The kit proves what can be seen through the eight methods. That includes a lost answer, silence and a full database, if
//! the subject has these methods. The kit does **not** prove what a database does when it is killed, nor
//! that the same store works again after an outage. It shows no store a row that the store has not written, which is
//! answered with [`Corrupt`](session_core::StoreError::Corrupt). It holds no lock, so it does not notice a store that
//! reads its clock before it has the lock. It does not notice a driver that blocks the runtime's thread, a wait for a lock
//! without a timeout, nor a `purge` that does nothing. A store needs tests of its own for these.
//!
//! Another process is played by another store on the same namespace, which [`Subject::open`] opens again. So a variable of
//! the program that all stores share hides what two processes would not share.
//!
//! # Write a store in an hour
//!
//! 1. Begin with a type and the eight methods. Decide how the database takes one atomic step for one id: a lock, a
//!    conditional statement, a transaction, a script. Never read first and write then without a lock.
//! 2. Let the database's clock decide. If it has none, take the system's, as milliseconds since 1970, and read it once
//!    you hold the lock. Turn the durations into instants there, and keep them as whole milliseconds,
//!    rounded up or down.
//!    Compare `expiry > now` in every read and every write, even if something sweeps the rows later. Cap a duration
//!    before you add it to anything: it may be [`Duration::MAX`].
//! 3. `create` writes where there is no row, or an expired one. `replace`, `touch` and `delete` name the expected revision in
//!    their condition, and answer `false` where nothing matched. `revoke` and `purge` ask for none. Nothing is retried.
//! 4. `Keep` leaves expiry, end and owner alone; `Extend` moves the expiry, never past the end; `Restart` sets all three.
//! 5. Put it on the kit by one line. If several tests fail, mend them in the order of [`cases`], which is not that of
//!    the alphabet. Each failure ends with its number in that order. Cases that race calls or drop them come late, and often
//!    fail for the same reason as an earlier case. The example of [`Case`] is a loop that stops at the first failure.
//!
//! This is a whole store: one sorted map behind one lock. It is `tests/stranger.rs` of this crate, and its tests run.
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
mod wrapped;

use std::time::Duration;

pub use session_core::async_trait;
use session_core::{SessionId, Store};

#[doc(hidden)]
pub use crate::report::run_test;
pub use crate::{
    case::{Case, Ran, cases, check},
    faulty::FaultyStore,
    wrapped::Wrapped,
};

/// A store under test: how to open it, and how time passes for it. The author of the store writes this.
///
/// # Examples
///
/// For a store within the process, whose clock a test can move, keep a handle on each:
///
/// ```
/// # use std::{collections::HashMap, sync::Mutex, time::Duration};
/// # use session_conformance::{Subject, async_trait};
/// # use session_memory::MemoryStore as Handle;
/// #[derive(Default)]
/// struct Mine(Mutex<HashMap<String, Handle>>);
///
/// #[async_trait]
/// impl Subject for Mine {
/// #   type Store = Handle;
///     // …
///     async fn open(&self, namespace: &str) -> Self::Store {
///         self.0.lock().unwrap().entry(namespace.to_owned()).or_default().clone()
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.lock().unwrap().values().for_each(|store| store.advance(time));
///     }
/// }
/// ```
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// The store under test.
    type Store: Store;

    /// Opens the store with this prefix, table or collection, and makes what it needs there.
    ///
    /// Two namespaces never meet. Some are opened several times, also at once. What was opened then shares its sessions, as
    /// two processes of an application do. So it shares nothing else: no connections and no cache. Only where one process
    /// alone can have the sessions, hand out the same store again, within an `Arc`.
    ///
    /// Each namespace is new in each run, and matches `[a-z_][a-z0-9_]{0,47}`. The kit never removes one, and leaves in it
    /// what the cases have written. So a server of fixed size fills up after some runs: start a new one then. Keep a
    /// temporary folder or database in the `Subject`, which is dropped after each case.
    async fn open(&self, namespace: &str) -> Self::Store;

    /// Lets at least this much time pass for all stores that were opened: by waiting, or by moving their clock. Each
    /// call asks for less than three seconds, so that a wait is no silence of the store. Most cases ask for less than one
    /// second in all. One asks for two, for processes that start one after the other, and one for a server that counts
    /// whole seconds. Two ask for six, because a server that removes expired rows by itself is seconds late. If a case fails after slow calls, it is tried again, because a
    /// session may have expired too early. From the fourth attempt on it asks for up to sixteen times as much.
    async fn pass(&self, time: Duration);

    /// Loses the answer to the next call that names this session. The database does what it is asked, but the
    /// connection is cut before the answer arrives.
    ///
    /// For a store on a network a proxy does it, such as `servers::Proxy`, which finds the request by the id in it. If your
    /// store reads before it writes, the id is in the read, too. Let the proxy look for what is in the write alone. A store
    /// that waits for a thread with a timeout does the work, and then answers as if the time were over.
    ///
    /// # Errors
    ///
    /// Why no answer can be lost, in words for the readers of the report, such as "it is a map of this process". The cases
    /// that lose one are then not run, and the report says so. By default the method is missing.
    async fn lose_the_answer(&self, _to: &SessionId) -> Result<(), &'static str> {
        Err("`Subject::lose_the_answer` is not written")
    }

    /// Opens it as [`open`](Self::open) does, with a timeout of a second at most, and then leaves each call without an answer:
    /// on the connections that are open, and on new ones.
    ///
    /// For a store on a network a proxy does it, such as `servers::Proxy`, by `silence_all`.
    ///
    /// # Errors
    ///
    /// Why no call can be left without an answer, as of [`lose_the_answer`](Self::lose_the_answer). By default the method is
    /// missing.
    async fn open_unanswered(&self, _namespace: &str) -> Result<Self::Store, &'static str> {
        Err("`Subject::open_unanswered` is not written")
    }

    /// Opens it as [`open`](Self::open) does, in a database of its own that has room for 32 MiB at most. Then it is full.
    ///
    /// For a server start one with a limit of memory. For a file limit its pages.
    ///
    /// # Errors
    ///
    /// Why there is no such database, as of [`lose_the_answer`](Self::lose_the_answer). By default the method is missing.
    async fn open_with_little_room(&self, _namespace: &str) -> Result<Self::Store, &'static str> {
        Err("`Subject::open_with_little_room` is not written")
    }

    /// How long the store may take to answer before the case fails: a minute by default. On a slow store a case goes on
    /// while there are answers, for at most twenty times this long.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// The server that the store is on, for the report: none by default.
    #[cfg(all(unix, feature = "servers"))]
    fn server(&self) -> Option<&'static servers::Server> {
        None
    }
}

/// Makes one `#[test]` of each case. The expression builds a new [`Subject`] for each.
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
