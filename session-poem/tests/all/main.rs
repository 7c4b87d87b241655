//! The tests of the poem middleware, by theme. The kit has the tests of what all adapters have in common.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod acting;
mod csrf;
mod errors;
mod guards;
mod hosts;
mod kit;
mod layers;
mod poem;
mod site;
mod told;
