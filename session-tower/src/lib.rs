//! Server-side sessions as a tower layer, with extractors for axum.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, routing::get};
//! use session_core::SessionManager;
//! use session_memory::MemoryStore;
//! use session_tower::{Session, SessionError, SessionLayer};
//!
//! async fn home(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! fn app() -> Router {
//!     let manager = SessionManager::development(MemoryStore::new()); // in production: SessionManager::new(store, keys)
//!     Router::new().route("/", get(home)).layer(SessionLayer::new(manager))
//! }
//! # }
//! ```
//!
//! - [`SessionLayer`] opens an exchange for each request and commits it before the response head leaves.
//! - [`Session`] is what a handler asks for. It is loaded only then: a request that never asks costs no call to the
//!   store. It derefs to [`session_core::Session`], where everything is that can be done with it.
//! - [`SessionError`] is what a handler returns with `?`: the right status, an empty body, the cause for your logs.
//! - [`Exchange`] lies in the extensions of the request and of the response, for middleware and access logs.
//!
//! # Features
//!
//! - `axum`: extractors for axum 0.8 ([`Session`], `Option<Session>`, `Result<Session, SessionError>`, `CurrentOwner`)
//!   and `IntoResponse` for [`SessionError`]. Without it the crate serves any tower service over the `http` types, and
//!   [`Session::of`] takes the extractor's place. If axum says that `Handler` is not implemented for your function, this
//!   feature is missing.
//!
//! # What it does not do
//!
//! It authenticates nobody and guards against no forged form: it keeps what your login has found out. It does not read
//! the peer's address by itself either, for servers keep it in different places: see [`SessionLayer::with_peer`].

mod body;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
mod opened;
mod session;

pub use body::ResponseBody;
pub use error::SessionError;
#[cfg(feature = "axum")]
pub use extract::CurrentOwner;
pub use future::ResponseFuture;
pub use layer::{SessionLayer, SessionService};
pub use session::{Exchange, Session};
