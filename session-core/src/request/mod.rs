//! What a request brings: cookies and their keys, and where it comes from.

pub(crate) mod cookie;
mod forwarded;
pub(crate) mod incoming;
pub(crate) mod keyring;
pub(crate) mod origin;
pub(crate) mod proxies;
pub(crate) mod scope;
pub(crate) mod target;
pub(crate) mod token;
