//! The tests of the actix middleware, by theme. What all adapters have in common is the kit's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actix;
mod errors;
mod kit;
mod layers;
mod site;
mod told;
