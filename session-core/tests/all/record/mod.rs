//! What is stored: records of every version, and those that cannot be read.

#[cfg(all(feature = "bincode", feature = "messagepack"))]
mod formats;
mod unreadable;
mod versions;
