//! Sessions in a collection of MongoDB.
//!
//! ```no_run
//! use session_mongo::MongoStore;
//! use session_tower::{Keyring, SessionLayer, SessionManager, StoreError};
//!
//! async fn sessions(keys: Keyring) -> Result<SessionLayer, StoreError> {
//!     let store = MongoStore::connect("mongodb://db.example/shop").await?;
//!     store.migrate().await?; // makes the indexes, if they are not there
//!     let manager = SessionManager::new(store, keys);
//!     Ok(SessionLayer::new(manager))
//! }
//! ```
//!
//! The layer is that of your framework, here the one of `session-tower` for axum. The keys sign the cookies:
//! `openssl rand -base64 32` makes one, and [`Key::from_base64`](session_core::Key::from_base64) reads it.
//!
//! **It was tried on a stand-in for MongoDB only.** The [operator's page](operating) says on which one.
//!
//! - [`MongoStore`] is the store: [`connect`](MongoStore::connect) makes a client of its own,
//!   [`new`](MongoStore::new) takes the application's.
//! - [`Builder`] sets the collection's name and the timeout.
//! - [`MongoStore::migrate`] makes the indexes. By one of them MongoDB deletes expired sessions by itself, so there is nothing
//!   to purge.
//!
//! # What it needs
//!
//! MongoDB 4.4 or later, standalone or a replica set, and the role `readWrite`. It does **not** need a replica set,
//! transactions or change streams. Each operation is one command on one document, decided on the server's clock.
//!
//! The [operator's page](operating#for-the-operator) has the settings, the indexes and backups.
//!
//! # Timeouts and errors
//!
//! An operation waits 2 seconds for a server and its answer ([`with_timeout`](Builder::with_timeout)), and half a second more.
//! A page that needs its session is a 503 then.
//!
//! | [`StoreError`](session_core::StoreError) | when |
//! | --- | --- |
//! | `TimedOut` | no answer in time, or no majority in time |
//! | `Unavailable` | no primary, a cut connection, a server that stops or steps down, a wrong password, a full disk |
//! | `Corrupt` | a document that this store has not written; it opens nothing |
//! | `Backend` | anything else |
//!
//! # What a crash or a failover keeps and loses
//!
//! A replica set loses no write that a majority has confirmed, and the store waits for that. With an arbiter in the place of a
//! third server a session that was ended may **come back**. More is on the [operator's page](operating#for-the-operator), and
//! the guide's chapter "Choosing a store" compares the stores.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `dns-resolver` | `mongodb+srv://`. Not a default, because it brings a resolver of its own |

#![cfg_attr(docsrs, feature(doc_cfg))]

// A page of the documentation, and nothing else. Its code needs names that the reader has.
#[cfg(all(doc, not(doctest)))]
/// For those who operate the server: settings, rights, errors, backups, what a crash can lose.
///
#[doc = include_str!("../README.md")]
pub mod operating {}

mod builder;
mod client;
mod clock;
mod document;
mod error;
mod purge;
mod store;

pub use mongodb;

pub use crate::{builder::Builder, store::MongoStore};
