//! Events: who gets which, and how often.

mod events;
mod log_limits;
#[cfg(feature = "metrics")]
mod numbers;
mod owners;
mod spans;
mod told;
