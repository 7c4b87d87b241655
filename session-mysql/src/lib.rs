//! Sessions in MySQL 8, or MariaDB 10.6 or later.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use session_core::{Entry, Revision, SessionId, Store};
//! use session_mysql::MysqlStore;
//!
//! let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
//! let id = SessionId::from_bytes([7; 16]);
//! let entry = Entry::new(Revision::from_bytes([1; 8]), b"what core has encoded");
//!
//! let store = MysqlStore::connect("mysql://app@db.example/shop").await?;
//! store.migrate().await?;
//! store.create(&id, entry, minute, hour).await?;
//! assert_eq!(store.load(&id).await?.ok_or("gone")?.payload, "what core has encoded");
//! # Ok(())
//! # }
//! ```
//!
//! - [`MysqlStore`] is the store: [`connect`](MysqlStore::connect) makes a pool of its own, [`new`](MysqlStore::new) takes
//!   the application's.
//! - [`Builder`] sets the table's name, the timeout and the number of connections. Its
//!   [`before_acquire`](Builder::before_acquire) is the hook that an application's own pool needs: it asks a connection that
//!   was idle whether it still works.
//! - [`SCHEMA`] is the table, for an application that has migrations of its own; [`MysqlStore::migrate`] makes it.
//! - [`SessionManager::purge_every`](session_core::SessionManager::purge_every) deletes expired sessions now and then; in a
//!   process without a manager [`PurgeTask::start`](session_core::PurgeTask::start) does.
//!
//! Each operation is one statement and one round trip, and the server's clock decides. The store is tried on MariaDB 10.11.
//! Its statements are valid for MySQL 8, too, but MySQL has **not** been run. The
//! [README](https://crates.io/crates/session-mysql) has the operator's page: settings, TLS, backup, and what a crash or a
//! failover can lose.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod client;
mod error;
mod idle;
mod purge;
mod row;
mod schema;
mod statements;
mod store;
mod value;

pub use sqlx;

pub use crate::{builder::Builder, schema::SCHEMA, store::MysqlStore};
