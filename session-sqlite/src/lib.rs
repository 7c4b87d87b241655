//! Sessions in a SQLite file: the embedded default that survives a restart.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("sessions.db");
//! use std::time::Duration;
//!
//! use session_core::{Entry, Revision, SessionId, Store};
//! use session_sqlite::SqliteStore;
//!
//! let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
//! let id = SessionId::from_bytes([7; 16]);
//! let entry = Entry::new(Revision::from_bytes([1; 8]), b"what core has encoded");
//!
//! let store = SqliteStore::open(&path).await?;
//! store.create(&id, entry, minute, hour).await?;
//!
//! let after_a_restart = SqliteStore::open(&path).await?;
//! assert_eq!(after_a_restart.load(&id).await?.ok_or("gone")?.payload, "what core has encoded");
//! # Ok(())
//! # }
//! ```
//!
//! - [`SqliteStore`] is the store: [`open`](SqliteStore::open) takes a file of its own, [`new`](SqliteStore::new) the
//!   application's pool.
//! - [`Builder`] sets the table's name, the timeout and the number of readers.
//! - [`SCHEMA`] is the table, for an application that has migrations of its own; [`SqliteStore::migrate`] makes it.
//! - [`SessionManager::purge_every`](session_core::SessionManager::purge_every) deletes expired sessions now and then; in a
//!   process without a manager [`PurgeTask::start`](session_core::PurgeTask::start) does.
//!
//! Several processes on one machine may share a file. Several machines may **not**: SQLite's locks do not hold on network
//! file systems. The [README](https://crates.io/crates/session-sqlite) has the operator's page: settings, backup, and
//! what a crash can lose.

#![cfg_attr(docsrs, feature(doc_cfg))]

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
