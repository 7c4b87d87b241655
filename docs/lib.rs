//! The guide as a package: the Rust code of each chapter is a test of its documentation. `README.md` says how a chapter is
//! written.
//!
//! [`Browser`] is for the hidden lines of the chapters, which run what the reader sees.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "it is part of tests, and a test fails by panicking"
)]

mod browser;

pub use browser::{Answer, Browser};

/// Each chapter is the documentation of a module, which only tests see.
macro_rules! chapters {
    ($($module:ident $file:literal)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("src/", $file))]
            mod $module {}
        )*
    };
}

chapters! {
    introduction "introduction.md"
    first_login "first-login.md"
    remember_me "remember-me.md"
    flash "flash.md"
    carts "carts.md"
    devices "devices.md"
    cross_site "cross-site.md"
    single_page_apps "single-page-apps.md"
    websockets "websockets.md"
    does_not_stick "does-not-stick.md"
    stores "stores.md"
    keys "keys.md"
    testing "testing.md"
    events "events.md"
    security "security.md"
    limits "limits.md"
    writing_a_store "writing-a-store.md"
    writing_an_adapter "writing-an-adapter.md"
    coming_from "coming-from.md"
    words "words.md"
}
