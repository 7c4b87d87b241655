//! Sessions in PostgreSQL 14 or later, also behind PgBouncer in transaction mode.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use session_core::{Entry, Revision, SessionId, Store};
//! use session_postgres::PostgresStore;
//!
//! let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
//! let id = SessionId::from_bytes([7; 16]);
//! let entry = Entry::new(Revision::from_bytes([1; 8]), b"what core has encoded");
//!
//! let store = PostgresStore::connect("postgres://app@db.example/shop").await?;
//! store.migrate().await?;
//! store.create(&id, entry, minute, hour).await?;
//! assert_eq!(store.load(&id).await?.ok_or("gone")?.payload, "what core has encoded");
//! # Ok(())
//! # }
//! ```
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
//! Each operation is one statement and one round trip, and the server's clock decides. The store does **not** need `LISTEN`,
//! an extension or a superuser. The [README](https://crates.io/crates/session-postgres) has the operator's page: settings,
//! PgBouncer, backup, and what a crash or a failover can lose.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod client;
mod error;
mod idle;
mod pooled;
mod purge;
mod row;
mod schema;
mod statements;
mod store;
mod value;

pub use sqlx;

pub use crate::{builder::Builder, error::ForeignAnswer, schema::SCHEMA, store::PostgresStore};
