//! The tests of the demo, in one program: `cargo test -p demo --test all login` runs those with this word. They start the real
//! program, and talk to it over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[macro_use]
mod site;

mod browser;
mod calls;
mod cookies;
mod guard;
mod login;
mod outage;
mod pages;
mod parallel;
mod promises;
mod readme;
mod servers;
mod time;
mod users;
