//! The tests of the MongoDB store, by theme. The contract is beside them: `--test contract`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod foreign;
mod outage;
mod support;
