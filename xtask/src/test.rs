//! `cargo xtask test`: everything that can fail.

use crate::{programs, step};

pub(crate) fn run() -> Result<(), String> {
    programs::provide(&[&programs::BROWSER[..], &programs::SERVERS, &programs::STAND_IN].concat())?;
    // Unit, integration and documentation tests; examples are built.
    step::run(&mut step::cargo(&["test", "--workspace", "--all-features"]))
}
