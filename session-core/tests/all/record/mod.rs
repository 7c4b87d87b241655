//! What is stored: records of every version, and those that cannot be read.

mod unreadable;
mod versions;
