//! Sessions in a table of PostgreSQL, also behind PgBouncer in transaction mode.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use session_postgres::PostgresStore;
//! use session_tower::{Keyring, SessionLayer, SessionManager, StoreError};
//!
//! async fn sessions(keys: Keyring) -> Result<SessionLayer, StoreError> {
//!     let store = PostgresStore::connect("postgres://app@db.example/shop").await?;
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
//! - [`PostgresStore`] is the store: [`connect`](PostgresStore::connect) makes a pool of its own,
//!   [`new`](PostgresStore::new) takes the application's, an ORM's included.
//! - [`Builder`] sets the table's name, the timeout, the number of connections, and the
//!   [pooled mode](Builder::with_pooled) for PgBouncer. Its [`before_acquire`](Builder::before_acquire) is the hook that an
//!   application's own pool needs: it asks a connection that was idle whether it still works.
//! - [`SCHEMA`] is the table, for an application that has migrations of its own; [`PostgresStore::migrate`] makes it.
//! - [`SessionManager::purge_every`](session_core::SessionManager::purge_every) deletes expired sessions now and then; in a
//!   process without a manager [`PurgeTask::start`](session_core::PurgeTask::start) does.
//! - [`ForeignAnswer`] is the error behind a pooler that the store was not told of.
//!
//! # What it needs
//!
//! PostgreSQL 14 or later, and `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its table. It does **not** need `LISTEN`, an
//! extension or a superuser. It refuses a standby. Each operation is one statement and one round trip, and the server's clock
//! decides.
//!
//! The [operator's page](operating#for-the-operator) has the settings, PgBouncer, TLS and backups.
//!
//! # Timeouts and errors
//!
//! An operation waits 2 seconds for a connection, and 2 seconds for its answer ([`with_timeout`](Builder::with_timeout)). A
//! page that needs its session is a 503 then.
//!
//! | [`StoreError`](session_core::StoreError) | when |
//! | --- | --- |
//! | `TimedOut` | no connection in time, also where the server has too many; no answer in time; a lock held too long |
//! | `Unavailable` | a cut connection, a server that stops or starts, a wrong password, a full disk, a standby |
//! | `Corrupt` | a row that this store has not written; it is left as it is |
//! | `Schema` | the table is missing (`migrate` was not called), or is another library's |
//! | `Backend` | anything else, such as a [`ForeignAnswer`] |
//!
//! # What a crash or a failover keeps and loses
//!
//! With `synchronous_commit=on`, a crash loses nothing that was answered. A failover to a synchronous standby loses nothing
//! either. One to an asynchronous standby loses the last moments: a session that was ended in them **comes back**. More is on
//! the [operator's page](operating#for-the-operator), and the guide's chapter "Choosing a store" compares the stores.
//!
//! # Features
//!
//! Neither is on by default. Use one of them, and `?sslmode=verify-full` in the URL.
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
mod pooled;
mod purge;
mod row;
mod schema;
mod statements;
mod store;
mod tls;
mod value;

pub use sqlx;

pub use crate::{builder::Builder, error::ForeignAnswer, schema::SCHEMA, store::PostgresStore};
