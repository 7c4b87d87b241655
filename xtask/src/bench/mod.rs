//! `cargo xtask bench`: tables of ratios.

mod stores;

pub(crate) use self::stores::run;
