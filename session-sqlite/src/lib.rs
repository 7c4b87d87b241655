//! Sessions in a SQLite file: for one machine, with nothing to install. They survive a restart.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use session_sqlite::SqliteStore;
//! use session_tower::{Keyring, SessionLayer, SessionManager, StoreError};
//!
//! async fn sessions(keys: Keyring) -> Result<SessionLayer, StoreError> {
//!     let store = SqliteStore::open("sessions.db").await?; // with its table
//!     let manager = SessionManager::new(store, keys);
//!     manager.purge_every(Duration::from_secs(60)); // a task
//!     Ok(SessionLayer::new(manager))
//! }
//! ```
//!
//! The layer is that of your framework, here the one of `session-tower` for axum. The keys sign the cookies:
//! `openssl rand -base64 32` makes one, and [`Key::from_base64`](session_core::Key::from_base64) reads it.
//!
//! - [`SqliteStore`] is the store: [`open`](SqliteStore::open) takes a file of its own, [`new`](SqliteStore::new) the
//!   application's pool.
//! - [`Builder`] sets the table's name, the timeout and the number of readers.
//! - [`SCHEMA`] is the table, for an application that has migrations of its own; [`SqliteStore::migrate`] makes it in the
//!   application's pool.
//! - [`SessionManager::purge_every`](session_core::SessionManager::purge_every) deletes expired sessions now and then; in a
//!   process without a manager [`PurgeTask::start`](session_core::PurgeTask::start) does.
//!
//! # What it needs
//!
//! A local disk. SQLite itself is compiled in. Several processes on one machine may share a file. Several machines may **not**:
//! SQLite's locks do not hold on network file systems. A folder that does not exist is not made.
//!
//! The [operator's page](operating#for-the-operator) has the settings and backups.
//!
//! # Timeouts and errors
//!
//! An operation waits 2 seconds for its turn, and 2 seconds for SQLite's lock ([`with_timeout`](Builder::with_timeout)). A page
//! that needs its session is a 503 then.
//!
//! | [`StoreError`](session_core::StoreError) | when |
//! | --- | --- |
//! | `TimedOut` | a lock that is held longer than the timeout, or a turn to write that comes too late |
//! | `Unavailable` | a runtime that ends while it writes, a full disk, a folder that does not exist, a file that cannot be opened or written |
//! | `Corrupt` | a row that this store has not written; it is left as it is |
//! | `Schema` | the table is missing (`migrate` was not called), or is another library's |
//! | `Backend` | anything else |
//!
//! # What a crash keeps and loses
//!
//! `open` sets `synchronous=FULL`, so neither a killed process nor a power cut loses what was answered. An application's own
//! pool may have `synchronous=NORMAL`: then a power cut may undo the last writes, and a session that was ended in them **comes
//! back**. There is no clustering. More is on the [operator's page](operating#for-the-operator), and the guide's chapter
//! "Choosing a store" compares the stores.

#![cfg_attr(docsrs, feature(doc_cfg))]

// A page of the documentation, and nothing else. Its code needs names that the reader has.
#[cfg(all(doc, not(doctest)))]
/// For those who operate the file: settings, rights, errors, backups, what a crash can lose.
///
#[doc = include_str!("../README.md")]
pub mod operating {}

mod builder;
mod client;
mod error;
mod group;
mod purge;
mod row;
mod schema;
mod statements;
mod store;
mod value;
mod writer;

pub use sqlx;

pub use crate::{builder::Builder, schema::SCHEMA, store::SqliteStore};
