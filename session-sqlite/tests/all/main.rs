//! The tests of the SQLite store, by theme. The contract is beside them: `--test contract`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod concurrency;
mod file;
mod gate;
mod group;
mod killed;
mod sweep;
