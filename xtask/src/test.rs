//! `cargo xtask test`: everything that can fail.

use crate::{browser, step};

pub(crate) fn run() -> Result<(), String> {
    browser::provide()?;
    // Unit, integration and documentation tests; examples are built.
    step::run(&mut step::cargo(&["test", "--workspace", "--all-features"]))
}
