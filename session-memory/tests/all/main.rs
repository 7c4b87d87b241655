//! The tests of the memory store, by theme. The contract is beside them: `--test contract`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod capacity;
mod threads;
