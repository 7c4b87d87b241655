//! The tests of the tower layer, by theme. Without the feature `axum`, only those that need no framework are left.
//!
//! `failures` is a program of its own beside them, because the lines are counted for a whole program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "axum")]
mod access;
#[cfg(feature = "axum")]
mod access_line;
#[cfg(feature = "axum")]
mod access_record;
#[cfg(feature = "axum")]
mod acting;
#[cfg(feature = "axum")]
mod around;
#[cfg(feature = "axum")]
mod axum;
mod bare;
#[cfg(feature = "axum")]
mod caches;
#[cfg(feature = "axum")]
mod csrf;
#[cfg(feature = "axum")]
mod guards;
#[cfg(feature = "axum")]
mod header_clients;
#[cfg(feature = "axum")]
mod hosts;
#[cfg(feature = "axum")]
mod how_to;
#[cfg(feature = "axum")]
mod https;
#[cfg(feature = "axum")]
mod ids;
#[cfg(feature = "axum")]
mod layers;
#[cfg(feature = "axum")]
mod log;
#[cfg(feature = "axum")]
mod nested;
#[cfg(all(feature = "axum", unix))]
mod proxies;
#[cfg(feature = "axum")]
mod routes;
#[cfg(feature = "axum")]
mod site;
#[cfg(feature = "axum")]
mod unreadable;
#[cfg(feature = "axum")]
mod withheld;
