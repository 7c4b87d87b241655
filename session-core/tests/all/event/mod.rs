//! Events: who is told what, and how often.

mod events;
mod owners;
mod told;
