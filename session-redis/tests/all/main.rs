//! The tests of the Redis store, by theme. The contract is beside them: `--test contract`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "cluster")]
mod cluster;
mod endpoint;
mod foreign;
mod index;
mod keys;
#[cfg(any(feature = "cluster", feature = "sentinel"))]
mod lost;
mod outage;
mod round_trips;
mod runtimes;
#[cfg(feature = "sentinel")]
mod sentinel;
mod shared_writes;
#[cfg(feature = "sentinel")]
mod silence;
mod staged;
#[cfg(feature = "sentinel")]
mod succession;
mod support;
mod warning;
