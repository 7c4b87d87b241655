//! Server-side HTTP sessions.

mod error;
mod owner;
mod store;
mod token;

pub use async_trait::async_trait;
pub use error::{ConfigError, Error, Randomness, ValueError};
pub use owner::{InvalidOwner, Owner};
pub use store::{Entry, Expiry, Loaded, Revision, Store, StoreError, StoreErrorSource};
pub use token::{InvalidSessionId, SessionId};
