//! Events: who is told what, and how often.

mod events;
mod log_limits;
mod owners;
mod told;
