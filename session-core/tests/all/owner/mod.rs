//! The sessions of one owner: their list and their limit.

mod devices;
mod eviction;
mod places;
