//! Sessions in Redis or Valkey: on one node, on a cluster, or on a master that sentinels watch.
//!
//! ```no_run
//! use session_redis::RedisStore;
//! use session_tower::{Keyring, SessionLayer, SessionManager, StoreError};
//!
//! async fn sessions(keys: Keyring) -> Result<SessionLayer, StoreError> {
//!     let store = RedisStore::connect("redis://127.0.0.1").await?;
//!     let manager = SessionManager::new(store, keys);
//!     Ok(SessionLayer::new(manager))
//! }
//! ```
//!
//! The layer is that of your framework, here the one of `session-tower` for axum. The keys sign the cookies:
//! `openssl rand -base64 32` makes one, and [`Key::from_base64`](session_core::Key::from_base64) reads it.
//!
//! - [`RedisStore`] is the store: [`connect`](RedisStore::connect) takes a URL, [`new`](RedisStore::new) the
//!   application's own connection.
//! - [`Builder`] sets the prefix of the keys and the timeouts.
//!
//! # What it needs
//!
//! Redis 7.0 or later, or Valkey 7.2 or later. Redis expires sessions by itself, so there is nothing to purge. It must **not**
//! evict them: `maxmemory-policy noeviction`, with room. To survive a restart it needs `appendonly yes`.
//!
//! Each operation is one round trip, except for some of a user who is logged in: the [operator's
//! page](operating#for-the-operator) has the list, the settings of the server, and the rights of its user.
//!
//! # Timeouts and errors
//!
//! A round trip may take 2 seconds ([`with_timeout`](Builder::with_timeout)), and a connection 2 seconds to be made
//! ([`with_connect_timeout`](Builder::with_connect_timeout)). A page that needs its session is a 503 then.
//!
//! | [`StoreError`](session_core::StoreError) | when |
//! | --- | --- |
//! | `Unavailable` | the server cannot be reached, or is loading, busy, full or read-only |
//! | `TimedOut` | no answer in time |
//! | `Corrupt` | a value that this store has not written; it is left as it is |
//! | `Backend` | anything else, such as a URL that needs a feature |
//!
//! # What a cluster or a failover keeps and loses
//!
//! Every promise holds until a failover. Then the last moments are lost, because replication is asynchronous: a session that
//! was ended in them may **come back**. On a cluster, "log out everywhere" may then miss a session whose node did not fail
//! over. More is on the [operator's page](operating#for-the-operator), and the guide's chapter "Choosing a store" compares the
//! stores.
//!
//! # Features
//!
//! None is on by default, and none changes what works without it.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `cluster` | Redis Cluster: `redis+cluster://host:port,host:port` |
//! | `sentinel` | a master that Redis Sentinel watches: `redis+sentinel://host:port,host:port/name-of-the-master` |
//! | `tls-ring`, `tls-aws-lc` | `rediss://`, with the cryptography of `ring` or of `aws-lc-rs` |

#![cfg_attr(docsrs, feature(doc_cfg))]

// A page of the documentation, and nothing else. Its code needs names that the reader has.
#[cfg(all(doc, not(doctest)))]
/// For those who operate the server: settings, rights, errors, backups, what a crash can lose.
///
#[doc = include_str!("../README.md")]
pub mod operating {}

mod builder;
mod call;
#[cfg(feature = "cluster")]
mod cluster;
mod connection;
mod error;
mod frame;
mod home;
mod index;
mod node;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod store;
mod tls;

pub use redis;

pub use crate::{builder::Builder, store::RedisStore};
