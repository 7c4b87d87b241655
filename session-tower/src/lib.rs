//! Server-side sessions as a tower layer, with extractors for axum.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, routing::get};
//! use session_memory::MemoryStore;
//! use session_tower::{Session, SessionError, SessionLayer, SessionManager};
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
//!   store. It derefs to [`session_core::Session`], which has all its methods.
//! - [`CurrentUser`] is the application's user who is logged in, loaded once a request by the function that
//!   [`SessionLayer::with_users`] has, or as whom that one [acts](session_core::Session::act_as).
//! - [`login_required`], [`require_fresh`] and [`require`] guard routes. [`SessionGuard::or_redirect_to`] sends browsers to
//!   the [`LoginPage`], with the way back.
//! - [`SessionError`] is the error that a handler returns with `?`. Its response has the right status and an empty
//!   body, and keeps the cause for your logs.
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
//! # use session_tower::{Login, Owner, Session, SessionError};
//! async fn log_in(session: &Session, user: &str, remember: bool) -> Result<(), SessionError> {
//!     let owner = Owner::try_from(user)?; // a number goes in as it is: `Login::new(42)`
//!     Ok(session.login(Login::new(owner).remembered(remember)).await?)
//! }
//! ```
//!
//! Say something on the next page, once. After a logout this makes a new session without an owner:
//!
//! ```
//! # use session_tower::{Session, SessionError};
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
//! # use session_tower::{Session, SessionError};
//! async fn log_out_everywhere(session: &Session) -> Result<(), SessionError> {
//!     session.revoke_others().await?;
//!     Ok(session.logout().await?) // the cookie of this browser goes, too
//! }
//! ```
//!
//! List the user's devices, and end one or all others. A label is a value of the session. The handler of the login
//! inserts it after [`login`](session_core::Session::login):
//!
//! ```
//! # use session_tower::{Session, SessionError, SessionId};
//! async fn list(session: &Session) -> Result<String, SessionError> {
//!     let mut list = String::new();
//!     for device in session.devices().await? {
//!         let label = device.get::<String>("browser")?.unwrap_or_default();
//!         list += &format!("{} {label}, {} s ago\n", device.id, device.idle_for.as_secs());
//!     }
//!     Ok(list)
//! }
//!
//! async fn end(session: &Session, one: Option<SessionId>) -> Result<(), SessionError> {
//!     match one {
//!         Some(id) => drop(session.end(&id).await?),
//!         None => drop(session.revoke_others().await?),
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Use the session in a websocket. Its handler takes a [`Session`] beside `WebSocketUpgrade`, and moves it into
//! `on_upgrade`. The response has left by then, so nothing is loaded or saved unless the socket asks:
//!
//! ```
//! # use session_tower::{Error, Session};
//! /// The answer to a message; `None`: close the socket.
//! async fn on_message(session: &Session) -> Option<String> {
//!     // Saved at once, over what others have saved.
//!     match session.update_now("messages", |count: &mut u64| *count += 1).await {
//!         Ok(count) => Some(count.to_string()),
//!         Err(Error::Gone | Error::Superseded) => None, // the user has logged out, or in again
//!         Err(error) => {
//!             tracing::error!(error = &error as &dyn std::error::Error, "message not counted"); // no layer sees this one
//!             Some("try again".to_owned()) // the store is down for a moment
//!         }
//!     }
//! }
//! ```
//!
//! - A socket hears of a logout only when it asks. So while it waits, call `session.reload().await` now and then, for
//!   example each minute in a `tokio::select!`. That is one load. Its errors mean the same as above.
//! - `update` is refused there, because its answer would be a value from before the response left. Before a `get`, call
//!   `session.reload().await`.
//! - A save counts as use of the session, even `session.save().await` with nothing to save. A `reload` does not. So if
//!   a socket only shows news, its user is logged out after the idle timeout.
//!
//! A session cannot begin in a socket, because no cookie can leave any more. Insert something on a page before, or ask
//! for `CurrentOwner` in the handler.
//!
//! # Guard against forged requests
//!
//! `SameSite` keeps the session's cookie out of many requests that pages of other sites send, but not out of those of a
//! sibling domain or of another port. tower-http's `CsrfLayer` refuses the others (feature `csrf`, 0.7.1 or later). It goes
//! by `Sec-Fetch-Site` and `Origin`:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, routing::post};
//! use session_tower::{SessionLayer, SessionManager};
//! use tower_http::csrf::CsrfLayer;
//!
//! fn app(manager: SessionManager) -> Router {
//!     let guarded = Router::new().route("/transfer", post(transfer)).layer(CsrfLayer::new());
//!     let open = Router::new().route("/paid", post(paid)); // the payment service sends its form here
//!     guarded.merge(open).layer(SessionLayer::new(manager))
//! }
//! # async fn transfer() {}
//! # async fn paid() {}
//! # }
//! ```
//!
//! - It lets every `GET` pass, so no `GET` may change anything. A websocket begins with one, and any page can open it
//!   with the user's cookies. So its handler asks [`is_cross_origin`](session_core::Exchange::is_cross_origin):
//!
//!   ```
//!   # use session_tower::{Exchange, TrustedOrigins};
//!   # use http::StatusCode;
//!   fn judge(request: &http::Request<()>) -> Result<(), StatusCode> {
//!       let exchange = request.extensions().get::<Exchange>().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
//!       match exchange.is_cross_origin(&TrustedOrigins::default()) {
//!           true => Err(StatusCode::FORBIDDEN),
//!           false => Ok(()),
//!       }
//!   }
//!   ```
//! - It knows nothing of header clients, so a [`TokenHeader`] carries nothing past it. Mobile apps and programs send neither
//!   of the two headers, and pass. A single-page app of another origin has to be named by `add_trusted_origin`, beside the
//!   CORS rules that [`TokenHeader`] asks for. Pages of a trusted origin may use the cookies, too, as far as `SameSite` lets
//!   them. If that is too much, write a middleware in its place that asks `is_cross_origin`.
//!
//! # Features
//!
//! - `axum`, a default: extractors for axum 0.8 ([`Session`], `Option<Session>`, `Result<Session, SessionError>`,
//!   `CurrentOwner`) and `IntoResponse` for [`SessionError`]. Without it (`default-features = false`) the crate serves
//!   any tower service over the `http` types, and [`Session::of`] takes the extractor's place. If the feature is
//!   missing, the compiler cannot say so, because the trait is axum's. It says that a function with a [`Session`] is no
//!   `Handler`.
//!
//! - `messagepack`, `bincode`: formats of values beside JSON, see [`Format`].
//! - `uuid`: an [`Owner`] from a `Uuid`, and back.
//!
//! # What it does not do
//!
//! It authenticates nobody: it keeps what your login has found out. It does not read the peer's address by itself, because
//! servers keep it in different places: see [`SessionLayer::with_peer`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod body;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod guard;
mod layer;
mod service;
mod session;
mod users;

pub use access::{AccessLogBody, AccessLogFuture, AccessLogLayer, AccessLogService};
pub use body::ResponseBody;
pub use error::SessionError;
#[cfg(feature = "axum")]
pub use extract::CurrentOwner;
pub use future::ResponseFuture;
pub use guard::{SessionGuard, SessionGuardFuture, SessionGuardService, login_required, require, require_fresh};
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
