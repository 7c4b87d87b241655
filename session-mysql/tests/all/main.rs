//! The tests of the MySQL and MariaDB store, by theme. The contract is beside them: `--test contract`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod concurrency;
mod idle;
mod outage;
mod resend;
mod rows;
mod runtimes;
mod statements;
mod switchover;
mod words;
