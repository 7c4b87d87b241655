//! Sessions in a table of MariaDB or MySQL.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use session_mysql::MysqlStore;
//! use session_tower::{Keyring, SessionLayer, SessionManager, StoreError};
//!
//! async fn sessions(keys: Keyring) -> Result<SessionLayer, StoreError> {
//!     let store = MysqlStore::connect("mysql://app@db.example/shop").await?;
//!     store.migrate().await?; // makes the table, if it is not there
//!     let manager = SessionManager::new(store, keys);
//!     manager.purge_every(Duration::from_secs(60)); // a task
//!     Ok(SessionLayer::new(manager))
//! }
//! ```
//!
//! The layer is that of your framework, here the one of `session-tower` for axum. The keys sign the cookies:
//! `openssl rand -base64 32` makes one, and [`Key::from_base64`](session_core::Key::from_base64) reads it.
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
//! # What it needs
//!
//! MariaDB 10.6 or later, or MySQL 8 or later, and `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its table. The store is tried
//! on MariaDB 10.11, and on MySQL 8.0, 8.4 and 9.7. A server must not run with `--sysdate-is-now`. Each operation is one
//! statement and one round trip, and the server's clock decides. A load that finds nothing takes a second one, to ask whether
//! the server is a replica.
//!
//! The [operator's page](operating#for-the-operator) has the settings, TLS and backups.
//!
//! # Timeouts and errors
//!
//! An operation waits 2 seconds for a connection, and 2 seconds for its answer ([`with_timeout`](Builder::with_timeout)). A
//! page that needs its session is a 503 then.
//!
//! | [`StoreError`](session_core::StoreError) | when |
//! | --- | --- |
//! | `TimedOut` | no connection in time, no answer in time; a lock held too long |
//! | `Unavailable` | a cut connection, a wrong password, a full disk; a server that stops, is read only or has too many clients |
//! | `Corrupt` | a row that this store has not written; it is left as it is |
//! | `Schema` | the table is missing (`migrate` was not called), or is another library's |
//! | `Backend` | anything else |
//!
//! # What a crash or a failover keeps and loses
//!
//! With `innodb_flush_log_at_trx_commit=1`, a crash loses nothing that was answered. A failover to a semi-synchronous replica
//! loses nothing either. One to an asynchronous replica loses the last moments: a session that was ended in them **comes
//! back**. On the nodes of a Galera cluster the store waits for what the others have written. More is on the [operator's
//! page](operating#for-the-operator), and the guide's chapter "Choosing a store" compares the stores.
//!
//! # Features
//!
//! Neither is on by default. Use one of them, and `?ssl-mode=VERIFY_IDENTITY` in the URL.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `tls-ring` | TLS to the server, with `ring` and the system's certificates |
//! | `tls-aws-lc` | TLS to the server, with `aws-lc-rs` and Mozilla's certificates |

#![cfg_attr(docsrs, feature(doc_cfg))]

// A page of the documentation, and nothing else. Its code needs names that the reader has.
#[cfg(all(doc, not(doctest)))]
/// For those who operate the server: settings, rights, errors, backups, what a crash can lose.
///
#[doc = include_str!("../README.md")]
pub mod operating {}

mod again;
mod builder;
mod client;
mod error;
mod home;
mod idle;
mod pool;
mod purge;
mod row;
mod schema;
mod statements;
mod store;
mod tls;
mod value;

pub use sqlx;

pub use crate::{builder::Builder, schema::SCHEMA, store::MysqlStore};
