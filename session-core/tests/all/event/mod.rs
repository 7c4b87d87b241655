//! Events: who gets which, and how often.

mod events;
mod log_limits;
mod owners;
mod told;
