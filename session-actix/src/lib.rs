//! Server-side sessions for actix-web: a middleware, and extractors.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use session_actix::{Session, SessionError, SessionLayer, SessionManager};
//! use session_memory::MemoryStore;
//!
//! async fn home(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let manager = SessionManager::development(MemoryStore::new()); // in production: SessionManager::new(store, keys)
//!     HttpServer::new(move || {
//!         App::new().route("/", web::get().to(home)).wrap(SessionLayer::new(manager.clone()))
//!     })
//!     .bind("127.0.0.1:3000")?
//!     .run()
//!     .await
//! }
//! ```
//!
//! Make the manager **outside** of the closure that makes the `App`. The closure runs once for each worker. A manager
//! that is made inside would have a store of its own in each worker, and in development a key of its own.
//!
//! - [`SessionLayer`] opens an exchange for each request and commits it before the response head leaves.
//! - [`Session`] is what a handler asks for. It is loaded only then: a request that never asks costs no call to the
//!   store. It derefs to [`session_core::Session`], which has all its methods.
//! - [`CurrentOwner`] is the user who is logged in. It answers 401 where nobody is.
//! - [`CurrentUser`] is the application's user who is logged in, loaded once a request by the function that
//!   [`SessionLayer::with_users`] has, or as whom that one [acts](session_core::Session::act_as).
//! - [`login_required`], [`require_fresh`] and [`require`] guard routes. [`SessionGuard::or_redirect_to`] sends browsers to
//!   the [`LoginPage`], with the way back.
//! - [`SessionError`] is the error that a handler returns with `?`. Its response has the right status and an empty
//!   body, and keeps the cause for your logs.
//! - [`CsrfLayer`] refuses what a page of another origin sends in its visitor's name.
//! - [`SessionManager`], [`Keyring`], [`Policy`], [`Owner`], [`Login`], [`Field`], and everything else of
//!   `session-core` is re-exported. So an application depends on this crate and a store. [`Session`] and [`Exchange`]
//!   are this crate's own: they carry the marker of their layer.
//! - [`AccessLogLayer`] writes the access log, a line for each request.
//! - [`Exchange`] is in the extensions of the request and of the response, for middleware and access logs.
//!
//! # How to
//!
//! Log in, and remember the users who have ticked the box:
//!
//! ```
//! # use session_actix::{Login, Owner, Session, SessionError};
//! async fn log_in(session: &Session, user: &str, remember: bool) -> Result<(), SessionError> {
//!     let owner = Owner::try_from(user)?; // a number goes in as it is: `Login::new(42)`
//!     Ok(session.login(Login::new(owner).remembered(remember)).await?)
//! }
//! ```
//!
//! Say something on the next page, once:
//!
//! ```
//! # use session_actix::{Session, SessionError};
//! fn say(session: &Session, text: &str) -> Result<(), SessionError> {
//!     Ok(session.insert("flash", text)?)
//! }
//!
//! async fn said(session: &Session) -> Result<Option<String>, SessionError> {
//!     Ok(session.take("flash").await?) // of two tabs one gets it
//! }
//! ```
//!
//! Log out everywhere, this browser included. Logins that are under way elsewhere are refused:
//!
//! ```
//! # use session_actix::{Session, SessionError};
//! async fn log_out_everywhere(session: &Session) -> Result<(), SessionError> {
//!     session.revoke_others().await?;
//!     Ok(session.logout().await?) // the cookie of this browser goes, too
//! }
//! ```
//!
//! Ask in a middleware:
//!
//! ```
//! use actix_web::{
//!     Error,
//!     body::MessageBody,
//!     dev::{ServiceRequest, ServiceResponse},
//!     middleware::Next,
//! };
//! use session_actix::Session;
//!
//! async fn count(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
//!     let session = Session::of(request.request()).await?;
//!     session.update("pages", |n: &mut u64| *n += 1).map_err(session_actix::SessionError::from)?;
//!     next.call(request).await
//! }
//! ```
//!
//! Use the session in a websocket or a stream: move the [`Session`] into it. The response has left by then, so nothing
//! is loaded or saved unless the socket asks: `session.update_now(…).await` saves at once, and `session.reload().await`
//! looks again. A session cannot begin there, because no cookie can leave any more.
//!
//! # The access log
//!
//! `.wrap(AccessLogLayer::new())` after the session layer writes a line for each request, with the user, the route and
//! how the answer ended. actix has one of its own, `actix_web::middleware::Logger`. [`Exchange`] shows how its lines get
//! the owner.
//!
//! # What it does not do
//!
//! It authenticates nobody: it keeps what your login has found out. Without a [`CsrfLayer`] it guards against forged
//! requests only by the cookie's `SameSite`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod csrf;
mod error;
mod extract;
mod future;
mod guard;
mod headers;
mod layer;
mod service;
mod session;
mod users;

pub use access::{AccessLogBody, AccessLogLayer, AccessLogService};
pub use csrf::{CsrfLayer, CsrfService};
pub use error::SessionError;
pub use extract::CurrentOwner;
pub use guard::{SessionGuard, SessionGuardService, login_required, require, require_fresh};
pub use layer::SessionLayer;
pub use service::SessionService;
pub use session::{Exchange, Session};
/// The core, for the two types whose names this crate has taken: [`session_core::Session`] and
/// [`session_core::Exchange`].
pub use session_core;
#[doc(inline)]
pub use session_core::{
    adapter::{AccessEnd, AccessRecord},
    *,
};
pub use users::CurrentUser;
