//! The tests of the core, in one program. `cargo test -p session-core --test all rotation` runs those with this word in
//! their names.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cookie;
mod event;
mod exchange;
mod login;
mod owner;
mod record;
mod request;
mod session;
mod shared_trips;
mod support;
