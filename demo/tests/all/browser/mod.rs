//! The demo in a real browser: Debian's Chromium, driven through its WebDriver.
//!
//! The browser decides what it stores, sends, shows again and leaves out. So the tests ask a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../site/mod.rs"]
mod site;

mod axe;
mod chromium;
mod elsewhere;
mod stall;

mod accessible;
mod back;
mod caches;
mod cookies;
mod devices;
mod forms;
mod moving;
mod pages;
mod tab;
mod targets;
mod warning;
