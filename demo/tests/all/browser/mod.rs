//! The demo in a real browser: Debian's Chromium, driven through its WebDriver.
//!
//! The browser decides what it stores, sends, shows again and leaves out. So the tests ask a browser.

use crate::site;

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
mod https;
mod moving;
mod pages;
mod promises;
mod tab;
mod targets;
mod warning;
