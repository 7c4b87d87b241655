//! The tests of the poem middleware, by theme. What all adapters have in common is the kit's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod errors;
mod kit;
mod layers;
mod poem;
mod site;
mod told;
