//! The tests of access tokens, in one program. They mint the tokens that they verify.
#![cfg(feature = "issue")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod issuing;
mod key_sets;
mod owners;
mod refusals;
mod standard;
mod support;
mod times;
