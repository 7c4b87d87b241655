//! Server-side sessions for poem: a middleware, and extractors.
//!
//! ```
//! use poem::{Endpoint, EndpointExt, Route, get, handler, post, web::Redirect};
//! use session_poem::{
//!     CurrentOwner, Keyring, Session, SessionError, SessionLayer, SessionManager, Store,
//! };
//!
//! /// Check the password first.
//! #[handler]
//! async fn login(session: Session) -> Result<Redirect, SessionError> {
//!     session.login(42).await?;
//!     Ok(Redirect::see_other("/account"))
//! }
//!
//! /// Without a login the answer is a 401.
//! #[handler]
//! async fn account(CurrentOwner(user): CurrentOwner) -> String {
//!     format!("the account of user {user}")
//! }
//!
//! /// A request that is still under way cannot bring the session back.
//! #[handler]
//! async fn logout(session: Session) -> Result<Redirect, SessionError> {
//!     session.logout().await?;
//!     Ok(Redirect::see_other("/"))
//! }
//!
//! fn app(store: impl Store, keys: Keyring) -> impl Endpoint {
//!     Route::new()
//!         .at("/login", post(login))
//!         .at("/account", get(account))
//!         .at("/logout", post(logout))
//!         .with(SessionLayer::new(SessionManager::new(store, keys)))
//! }
//! ```
//!
//! The store is a crate of its own, such as `session-postgres`. The keys sign the cookies: `openssl rand -base64 32` makes one,
//! and [`Key::from_base64`] reads it. On your own machine, over plain http, take
//! `SessionManager::development(MemoryStore::new())` of `session-memory`.
//!
//! # Tasks
//!
//! | you want | take |
//! | --- | --- |
//! | to log in and out | [`login`](session_core::Session::login), [`logout`](session_core::Session::logout); [`begin_login`](session_core::Session::begin_login) for two factors or an identity provider |
//! | the user of a page | [`CurrentOwner`], their id; [`CurrentUser`], your own user type. For many routes at once: [`login_required`], [`require`] |
//! | the way back after a login | [`LoginPage`], [`SessionGuard::or_redirect_to`] |
//! | remember me | [`Login::remembered`]: [below](#remember-me) |
//! | a flash message | [`insert`](session_core::Session::insert), then [`take`](session_core::Session::take): [below](#a-flash-message) |
//! | the list of a user's devices, and to end one | [`devices`](session_core::Session::devices), [`end`](session_core::Session::end): [below](#devices) |
//! | to log out everywhere | [`revoke_others`](session_core::Session::revoke_others): [below](#log-out-everywhere). From a job: [`SessionManager::revoke_all`] |
//! | a cart that two tabs change at once | [`update`](session_core::Session::update), which loses nothing |
//! | support that acts as a customer | [`act_as`](session_core::Session::act_as), [`stop_acting`](session_core::Session::stop_acting) |
//! | the password again before what matters | [`require_fresh`], [`proved`](session_core::Session::proved) |
//! | to refuse forged requests (CSRF) | [`CsrfLayer`]: [below](#forged-requests) |
//! | websockets and streams | [`update_now`](session_core::Session::update_now), [`current_login`](session_core::Session::current_login): [below](#websockets-and-streams) |
//! | to be behind a proxy, with https | [`SessionManager::with_trusted_proxies`]: [below](#behind-a-proxy) |
//! | other timeouts, a limit of sessions | [`Policy`], [`Lifetime`], [`Login::lasting`] |
//! | another cookie | [`CookieConfig`]; a second session beside the first: [`SessionLayer::named`] |
//! | mobile apps and programs, without cookies | [`TokenHeader`] |
//! | several sites in one program | [`SessionLayer::by_host`] |
//! | an access log | [`AccessLogLayer`] |
//! | to know what has happened | [`EventKind`], which is told to `tracing` and to each [`Observer`] |
//! | a session in a webhook or a job | [`SessionManager::session_of`] |
//! | to log in within a test | [`SessionManager::login_for_tests`] |
//! | another store | `session-sqlite`, `session-postgres`, `session-redis`, `session-mysql`, `session-mongo` |
//!
//! # The types
//!
//! - [`SessionLayer`] opens an exchange for each request and commits it before the response head leaves.
//! - [`Session`] is what a handler asks for. It is loaded only then: a request that never asks costs no call to the
//!   store. All its methods are listed there.
//! - [`SessionError`] is the error that a handler returns with `?`. Its response has the right status and an empty
//!   body, and keeps the cause for your logs.
//! - [`Exchange`] is the request with its response, for middleware. It is in the extensions of the request and of the response.
//! - [`SessionManager`], [`Keyring`], [`Policy`], [`Owner`], [`Login`], [`Field`], and everything else of
//!   `session-core` is re-exported. So an application depends on this crate and a store.
//!
//! # How to
//!
//! ## Remember me
//!
//! ```
//! # use session_poem::{Login, Owner, Session, SessionError};
//! async fn log_in(session: &Session, user: &str, remember: bool) -> Result<(), SessionError> {
//!     // A number goes in as it is: `Login::new(42)`.
//!     let owner = Owner::try_from(user)?;
//!     Ok(session.login(Login::new(owner).remembered(remember)).await?)
//! }
//! ```
//!
//! By default such a login lasts 14 days without use, and 30 days in all. If you give it times of your own
//! ([`PolicyBuilder::remembered`]), say [`Lifetime::persistent`], too. Without it the browser drops the cookie when it is
//! closed, and nothing tells you.
//!
//! ## A flash message
//!
//! The next page says it, once. After a logout this makes a new session without an owner:
//!
//! ```
//! # use session_poem::{Session, SessionError};
//! fn say(session: &Session, text: &str) -> Result<(), SessionError> {
//!     Ok(session.insert("flash", text)?)
//! }
//!
//! /// Of two tabs one gets it.
//! async fn said(session: &Session) -> Result<Option<String>, SessionError> {
//!     Ok(session.take("flash").await?)
//! }
//! ```
//!
//! ## Devices
//!
//! A label is a value of the session. The handler of the login inserts it after
//! [`login`](session_core::Session::login):
//!
//! ```
//! # use session_poem::{Session, SessionError, SessionId};
//! async fn list(session: &Session) -> Result<String, SessionError> {
//!     let mut list = String::new();
//!     for device in session.devices().await? {
//!         let label = device.get::<String>("browser")?.unwrap_or_default();
//!         list += &format!("{} {label}, {} s ago\n", device.id, device.idle_for.as_secs());
//!     }
//!     Ok(list)
//! }
//!
//! /// The id comes from a form. Another user's session is not ended by it.
//! async fn end(session: &Session, id: &str) -> Result<bool, SessionError> {
//!     Ok(session.end(&id.parse::<SessionId>()?).await?)
//! }
//! ```
//!
//! ## Log out everywhere
//!
//! This browser included. Logins that are under way elsewhere are refused:
//!
//! ```
//! # use session_poem::{Session, SessionError};
//! async fn log_out_everywhere(session: &Session) -> Result<(), SessionError> {
//!     session.revoke_others().await?;
//!     // The cookie of this browser goes, too.
//!     Ok(session.logout().await?)
//! }
//! ```
//!
//! ## Websockets and streams
//!
//! Move the [`Session`] into the socket or the stream. The response has left by then, so nothing is loaded or saved unless the
//! socket asks:
//!
//! ```
//! # use session_poem::{Error, Session};
//! /// The answer to a message; `None`: close the socket.
//! async fn on_message(session: &Session) -> Option<String> {
//!     // Saved at once, over what others have saved.
//!     match session.update_now("messages", |count: &mut u64| *count += 1).await {
//!         Ok(count) => Some(count.to_string()),
//!         // The user has logged out, or in again.
//!         Err(Error::Gone | Error::Superseded) => None,
//!         // The store is down for a moment. No layer tells a log of this.
//!         Err(error) => {
//!             eprintln!("a message was not counted: {error}");
//!             Some("try again".to_owned())
//!         }
//!     }
//! }
//! ```
//!
//! - A socket hears of a logout only when it asks. So while it waits, call `session.current_login(Duration::ZERO).await`
//!   now and then, for example each minute. That is one load. Its errors mean the same as above.
//! - `update` is refused there, because its answer would be a value from before the response left. Before a `get`, call
//!   `session.reload().await`.
//! - A save counts as use of the session, even `session.save().await` with nothing to save. A question does not. So if
//!   a socket only shows news, its user is logged out after the idle timeout.
//! - A session cannot begin in a socket, because no cookie can leave any more. Insert something on a page before, or ask
//!   for [`CurrentOwner`] in the handler.
//! - Any page can open a websocket with its visitor's cookies. See [forged requests](#forged-requests).
//!
//! ## Forged requests
//!
//! [`CsrfLayer`] refuses what a page of another origin sends in its visitor's name, websockets included. It stands inside of
//! the session layer. Without it only the cookie's `SameSite` guards, and not against a sibling domain or another port. Routes
//! that other sites send forms to stand outside of it.
//!
//! ## Behind a proxy
//!
//! Two things belong together:
//!
//! 1. The proxy sends `X-Forwarded-For`, `X-Forwarded-Proto` and `Host`.
//! 2. The manager believes this proxy: [`SessionManager::with_trusted_proxies`]. poem tells the peer by itself, also that of a
//!    Unix socket. Name such a proxy as `unix:`.
//!
//! ```
//! use session_poem::{ConfigError, SessionLayer, SessionManager, TrustedProxies};
//!
//! /// `proxies`: their addresses, such as `10.4.0.0/16`. Nobody else is believed.
//! fn sessions(manager: SessionManager, proxies: &str) -> Result<SessionLayer, ConfigError> {
//!     let proxies = TrustedProxies::at([proxies])?;
//!     Ok(SessionLayer::new(manager.with_trusted_proxies(proxies)))
//! }
//! ```
//!
//! ## A middleware
//!
//! ```
//! use std::sync::Arc;
//!
//! use poem::{Endpoint, IntoResponse, Request, Response};
//! use session_poem::{Session, SessionError};
//!
//! /// For `EndpointExt::around`.
//! async fn count<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
//!     let session = Session::of(&request).await?;
//!     session.update("pages", |n: &mut u64| *n += 1).map_err(SessionError::from)?;
//!     Ok(next.call(request).await?.into_response())
//! }
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `metrics` | counters and durations: see [the numbers](session_core#numbers) |
//! | `uuid` | an [`Owner`] from a `Uuid`, and back |
//!
//! # What it does not do
//!
//! It authenticates nobody: it keeps what your login has found out.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod csrf;
mod error;
mod extract;
mod future;
mod guard;
mod layer;
mod service;
mod session;
mod users;

pub use access::{AccessLogEndpoint, AccessLogLayer};
pub use csrf::{CsrfEndpoint, CsrfLayer};
pub use error::SessionError;
pub use extract::CurrentOwner;
pub use guard::{SessionGuard, SessionGuardEndpoint, login_required, require, require_fresh};
pub use layer::SessionLayer;
pub use service::SessionEndpoint;
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
