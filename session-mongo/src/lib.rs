//! Sessions in MongoDB 4.4 or later.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use session_core::{Entry, Revision, SessionId, Store};
//! use session_mongo::MongoStore;
//!
//! let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
//! let id = SessionId::from_bytes([7; 16]);
//! let entry = Entry::new(Revision::from_bytes([1; 8]), b"what core has encoded");
//!
//! let store = MongoStore::connect("mongodb://db.example/shop").await?;
//! store.migrate().await?;
//! store.create(&id, entry, minute, hour).await?;
//! assert_eq!(store.load(&id).await?.ok_or("gone")?.payload, "what core has encoded");
//! # Ok(())
//! # }
//! ```
//!
//! - [`MongoStore`] is the store: [`connect`](MongoStore::connect) makes a client of its own,
//!   [`new`](MongoStore::new) takes the application's.
//! - [`Builder`] sets the collection's name and the timeout.
//! - [`MongoStore::migrate`] makes the indexes. By one of them MongoDB deletes expired sessions by itself.
//!
//! Each operation is one command on one document, decided on the server's clock. It does **not** need a replica set,
//! transactions or change streams.
//!
//! It was tried on a stand-in for MongoDB only. The [README](https://crates.io/crates/session-mongo) says on which one.
//! It also has the operator's page: settings, backup, and what a crash or a failover can lose.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod client;
mod clock;
mod document;
mod error;
mod purge;
mod store;

pub use mongodb;

pub use crate::{builder::Builder, store::MongoStore};
