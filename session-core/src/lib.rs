//! Server-side HTTP sessions: the logic, over any store and under any framework.
//!
//! ```
//! use session_core::{Error, SessionManager};
//! use session_memory::MemoryStore;
//!
//! # async fn handle(request: http::Request<()>) -> Result<http::HeaderMap, Error> {
//! // On your own machine. In production: SessionManager::new(store, keys)
//! let manager = SessionManager::development(MemoryStore::default());
//! // No I/O: a forged cookie never reaches the store.
//! let exchange = manager.open(&request);
//! // One load, when somebody asks.
//! let session = exchange.session().await?;
//! // Runs again on what others have saved.
//! let visits = session.update("visits", |n: &mut u64| *n += 1)?;
//! // A fresh token; the old one is dead.
//! session.login(42).await?;
//! // Merged, never overwritten.
//! exchange.commit().await?;
//! // At most one Set-Cookie.
//! Ok(exchange.headers())
//! # }
//! ```
//!
//! - [`SessionManager`] holds what a site decides once: the [`Store`], the [`Keyring`], the [`CookieConfig`], the
//!   [`Policy`].
//! - [`Exchange`] is one request with its response: what an adapter for a framework opens and commits. That is done
//!   for `tower` and axum (`session-tower`), for actix-web (`session-actix`) and for poem (`session-poem`).
//! - [`Session`] is what a handler touches.
//! - [`Store`] is what a database crate implements: eight methods. `session-conformance` proves that it keeps the
//!   contract.
//! - [`Hosts`] lists the hosts of a program that serves several sites, with the manager of each.
//! - [`LoginPage`] is where users log in, with the way back in its query. [`is_local_target`] decides where a browser may be
//!   sent after a login.
//! - [`SessionEvent`] tells what happens: to `tracing`, under the target `session`, and to each [`Observer`] of yours.
//!   [`EventKind`] has a table of their names and levels.
//!
//! How it works, rule by rule, and which test shows each rule: [`protocol`].
//!
//! It authenticates nobody, keeps no users and knows no web framework. Its tokens are random, and mean nothing to another
//! service: what such a service can verify by itself is an access token, which `session-access-token` mints from a
//! session. It needs a tokio runtime with its timer enabled, as the database drivers do.
//!
//! # Words
//!
//! | word | what it means here |
//! | --- | --- |
//! | token | what the cookie holds: the id of the session, a secret and a generation, all signed |
//! | rotation | a login's token gets a *successor*, which leaves in a `Set-Cookie` |
//! | proven | the browser has sent the successor, so it has it; this is the *promotion*, and the old token is *retired* |
//! | grace | how long a retired token is still accepted, for the requests that were on their way |
//! | generation | a number that a login and a renewal raise: the tokens of an earlier one open nothing any more |
//! | renewal | [`Session::renew`]: the session goes on under a fresh token |
//! | proof | the user has proven who they are: by their login, or again in a step-up, after which the site calls [`Session::proved`] |
//! | acting | the user who is logged in acts as another one, such as support as a customer: [`Session::act_as`] |
//! | note | what [`Session::begin_login`] stores, so that "log out everywhere" also stops a login that has begun |
//! | epoch | when an owner last logged out everywhere, kept for a day: a login that began before is refused |
//!
//! # Numbers
//!
//! With the feature `metrics`, a manager counts through the facade of the crate `metrics`. The application installs a recorder
//! before it makes the manager, such as that of `metrics-exporter-prometheus`. Without the feature there is nothing to pay.
//!
//! | name | kind, unit | labels | what |
//! | --- | --- | --- | --- |
//! | `session.store.calls` | counter | `method`, `outcome`, `backend` | calls of the store |
//! | `session.store.duration` | histogram, seconds | the same | how long each of them took |
//! | `session.merges` | counter | | two requests changed one session at once, so a change was worked out again on the other one |
//! | `session.events` | counter | `event`, and `reason` where it has one of a fixed list | what [`EventKind`] tells: logins, rotations, thefts, purges. A logout is `session.ended` for the reason `logout` |
//! | `session.purged` | counter | | expired sessions that a purge has deleted. How many it has left, a [`Store`] does not tell |
//!
//! - `method` is the name of a method of [`Store`], `backend` what [`Store::backend`] says, `event` what
//!   [`EventKind::name`] says.
//! - `outcome` is `ok`; `none` (a load found no session); `refused` (the session has another revision by now, or is gone);
//!   `exists`, `unavailable`, `timed_out`, `corrupt`, `schema` or `error`, as in [`StoreError`]; `dropped` (nobody waits for
//!   the answer any more: the client has hung up, or the request has no time left).
//! - `create_then_load` is the login of a new visitor. If the session was made and the load failed, `outcome` is the load's.
//! - No label is an owner, an id, a path, or anything else that a request brings. So there are never more of them than these
//!   lists have.
//! - A [`PurgeTask`] that was started without a manager counts what it has purged, and not its calls.
//!
//! [`SessionManager::with_store_spans`] puts a span of `tracing` around each call of the store. It needs no feature.
//!
//! # Features
//!
//! None is on by default, and none changes what works without it. The adapters hand on some of them.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `messagepack` | `Format::MessagePack`: smaller than JSON, and it holds bytes as they are |
//! | `bincode` | `Format::Bincode`: the smallest. No version of its crate is maintained (RUSTSEC-2025-0141) |
//! | `metrics` | the [numbers](#numbers) |
//! | `uuid` | an [`Owner`] from a `Uuid`, and back |
//!
//! # What it cannot see or save
//!
//! A stolen token is found out when it is used after its owner's browser has proven the successor. That leaves:
//!
//! - **Thieves who are not seen.** A thief uses the token only before its successor is proven, or within the grace. Or the
//!   thief makes one request in each rotation, and so keeps up with it. Or the victim never comes back. Or the thief logs in
//!   or out with the token, or passes a step-up. Or the victim's own login or renewal locks the thief out, without an alarm.
//!   Device-bound sessions are the answer to these.
//! - **A thief who writes without a pause.** The old token stays good until a promotion gets between two of the writes.
//! - **Anonymous sessions.** They never rotate.
//! - **False alarms.** A browser was restored from a backup that is older than the grace. Or the database lost a rotation in a
//!   failover. Or a request took too long: see below.
//! - **Users who must log in again.** The answer to their login or renewal was lost, or the server or database failed just
//!   then. Or an older response with a cookie arrived after that answer. Or a login in the same session was refused.
//!
//! An honest request is safe while it takes less than the rotation interval and less than half the grace, until the browser
//! has stored its answer: see [`Policy`].

#![cfg_attr(docsrs, feature(doc_cfg))]

// A page of the documentation, and nothing else.
#[cfg(doc)]
#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

pub mod adapter;
mod error;
mod event;
mod exchange;
mod few;
mod manager;
mod moment;
#[cfg(feature = "metrics")]
mod numbers;
mod owner;
mod policy;
mod record;
mod request;
mod response;
mod session;
mod site;
mod store;

pub use async_trait::async_trait;
pub use error::{ConfigError, Error, RandomnessError, ValueError};
pub use event::{EndReason, EventKind, Observer, SessionEvent, fit_for_log};
pub use exchange::{Exchange, JoinError, Outcome};
pub use manager::SessionManager;
pub use owner::{Device, InvalidOwner, Owner, UnexpectedOwner};
pub use policy::{AtLimit, Lifetime, Policy, PolicyBuilder, WhenUnreadable};
pub use record::Format;
pub use request::{
    CookieConfig, CookieConfigBuilder, CookieScope, Hosts, Incoming, InvalidSessionId, Key, Keyring, LoginPage, Peer,
    ProxyHeader, SameSite, SessionId, SignedToken, TokenHeader, TrustedOrigins, TrustedProxies, WithheldReason,
    is_local_target,
};
pub use response::{HeaderChange, PlainHttp, SiteData};
pub use session::{CurrentLogin, Field, Login, Session, StoredSession};
pub use store::{
    Entry, Expiry, InvalidNamespace, Loaded, Namespace, PurgeTask, Purpose, Revision, SchemaError, SharedTrips, Store,
    StoreError, StoreErrorSource,
};
