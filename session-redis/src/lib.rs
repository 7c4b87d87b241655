//! Sessions in Redis or Valkey: on one node, on a cluster, or on a master that sentinels watch. An operation is one
//! round trip.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use session_core::{Entry, Revision, SessionId, Store};
//! use session_redis::RedisStore;
//!
//! let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
//! let id = SessionId::from_bytes([7; 16]);
//! let entry = Entry::new(Revision::from_bytes([1; 8]), b"what core has encoded");
//!
//! let store = RedisStore::connect("redis://127.0.0.1").await?;
//! store.create(&id, entry, minute, hour).await?;
//! assert_eq!(store.load(&id).await?.ok_or("gone")?.payload, "what core has encoded");
//! # Ok(())
//! # }
//! ```
//!
//! - [`RedisStore`] is the store: [`connect`](RedisStore::connect) takes a URL, [`new`](RedisStore::new) the
//!   application's own connection.
//! - [`Builder`] sets the prefix of the keys and the timeouts.
//!
//! Redis expires sessions by itself, so there is nothing to purge. It must **not** evict them: `maxmemory-policy
//! noeviction`. The [README](https://crates.io/crates/session-redis) has the operator's page: settings, and what a crash
//! or a failover can lose.
//!
//! # Features
//!
//! None is on by default, and none changes what works without it.
//!
//! - `cluster`: Redis Cluster, as `redis+cluster://host:port,host:port`.
//! - `sentinel`: a master that Redis Sentinel watches, as `redis+sentinel://host:port,host:port/name-of-the-master`.
//! - `tls-ring`, `tls-aws-lc`: `rediss://`, with the cryptography of `ring` or of `aws-lc-rs`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod call;
#[cfg(feature = "cluster")]
mod cluster;
mod connection;
mod error;
mod frame;
mod index;
mod node;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod store;

pub use redis;

pub use crate::{builder::Builder, store::RedisStore};
