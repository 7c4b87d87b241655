//! The parts of an adapter that are the same under each framework.
//!
//! An application does not need this module; the author of an adapter does. An adapter is
//!
//! 1. a layer. Its request [enters](Opened::enter), and the exchange goes into the extensions of the request. After the
//!    handler, and before the response head leaves, the exchange is [committed](commit()), and its headers are
//!    [put into the response](apply()).
//! 2. an extractor, which asks that exchange for its [`session`](crate::Exchange::session).
//! 3. an error type around [`Failure`], which becomes a response as [`answer`](Failure::answer) says.
//! 4. if you like, a layer for the access log outside of it, around [`AccessLog`].
//!
//! What it must do:
//!
//! - **Commit whatever the status.** If a handler's error becomes a response, that response is committed, too, because
//!   a login before the error has a cookie to send. Some frameworks make the response of an error only after the layer
//!   has run. Under these the layer makes the response of the error, commits it, and only then turns it back into an
//!   error.
//! - **Commit nothing after a panic**, nor where no response follows. If the framework answers a panic, for example with an
//!   error page, leave out the commit, and apply the [changes](changes()) all the same. A login before the panic was saved at
//!   once, and has a cookie to send. The page may show the session, so caches must be told.
//! - **Let the future be dropped at any point.** If a client hangs up, the framework drops the future. Then either all
//!   changes that wait for the commit are saved, or none.
//! - **Answer with the failure if the commit fails**, together with the cookies that others have set. This holds for an
//!   extractor, too. If the framework puts an error page of its own in the place of an extractor's failure, the layer adds
//!   the `Retry-After` and `Cache-Control` of the failure's [`answer`](Failure::answer).
//! - **Commit the inner one of two sessions first**, where one hook ends both. Commit each, whatever became of the other, and
//!   apply its changes after its own commit.
//! - **Read the header of clients without cookies**, if the site has one: [`Incoming::with_token_header`].
//! - **Tell the method on the wire.** Some frameworks put a form field such as `_method` in its place. A form of another
//!   site then passes for a `GET`.
//! - **Tell the host**, if the request's target names one, as in HTTP/2: [`Incoming::with_host`].
//! - **Choose the manager by the host**, if the application gives a list of [`Hosts`](crate::Hosts): the layer keeps
//!   [`Managers`], and asks [`Opened::choose`] before a request enters.
//! - **Tell the peer**, if the framework knows it: [`Incoming::with_peer`], and for TLS [`Incoming::with_https`]. It is the
//!   address of the connection. Beware of a framework's helper that reads a header, such as `X-Real-IP`.
//!
//! An adapter whose framework has no guard against forged requests offers one: a middleware inside of the layer that
//! calls [`Opened::refuse_other_origins`].
//!
//! # Examples
//!
//! A whole adapter, over the types of the `http` crate:
//!
//! ```
//! use std::{net::SocketAddr, panic::Location};
//!
//! use http::{Request, Response};
//! use session_core::{
//!     Exchange, Incoming, Session, SessionManager,
//!     adapter::{self, Failure, LayerName, Opened, SaidToCaches},
//! };
//!
//! struct Layer {
//!     manager: SessionManager,
//!     made_at: &'static Location<'static>,
//! }
//!
//! impl Layer {
//!     async fn call(&self, mut request: Request<()>, handler: impl AsyncFn(Request<()>) -> Response<String>) -> Response<String> {
//!         let layer = LayerName::new::<()>(self.made_at);
//!         let mut opened = request.extensions_mut().remove::<Opened>().unwrap_or_default();
//!         let entered = match opened.enter(layer, &self.manager, || self.incoming(&request)) {
//!             Ok(entered) => entered,
//!             Err(failure) => return failure.answer([]).map(|()| String::new()),
//!         };
//!         request.extensions_mut().insert(opened);
//!         request.extensions_mut().insert(entered.exchange().clone());
//!         let mut response = handler(request).await;
//!         let Some(exchange) = entered.to_commit() else { return response };
//!         match adapter::commit(&exchange).await {
//!             Ok(None) => {}
//!             Ok(Some(outcome)) => drop(response.extensions_mut().insert(outcome)),
//!             Err(failure) => response = failure.answer(pairs(&response)).map(|()| String::new()),
//!         }
//!         let inside = response.extensions_mut().remove::<SaidToCaches>();
//!         if let Some(said) = adapter::apply(&exchange, response.headers_mut(), inside) {
//!             response.extensions_mut().insert(said);
//!         }
//!         response
//!     }
//!
//!     fn incoming(&self, request: &Request<()>) -> Incoming {
//!         let mut incoming = Incoming::from(request);
//!         // Where this server has put it. Without it no proxy is believed.
//!         if let Some(peer) = request.extensions().get::<SocketAddr>() {
//!             incoming = incoming.with_peer(*peer);
//!         }
//!         match self.manager.token_header() {
//!             Some(header) => {
//!                 let values = request.headers().get_all(header.request_name());
//!                 incoming.with_token_header(header, values.iter().map(|value| value.as_bytes()))
//!             }
//!             None => incoming,
//!         }
//!     }
//! }
//!
//! /// What the handlers call.
//! async fn session(request: &Request<()>) -> Result<Session, Failure> {
//!     let exchange = request.extensions().get::<Exchange>();
//!     let exchange = exchange.ok_or_else(|| Failure::no_layer::<()>("the handler has to be inside of the layer"))?;
//!     Ok(exchange.session().await?)
//! }
//!
//! fn pairs(response: &Response<String>) -> impl Iterator<Item = (&str, &[u8])> {
//!     response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
//! }
//!
//! # async fn handler(request: Request<()>) -> Response<String> {
//! #     match session(&request).await {
//! #         Ok(session) => Response::new(session.update("visits", |n: &mut u64| *n += 1).unwrap().to_string()),
//! #         Err(failure) => failure.answer([]).map(|()| failure.to_string()),
//! #     }
//! # }
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # let manager = SessionManager::development(session_memory::MemoryStore::new());
//! # let layer = Layer { manager, made_at: Location::caller() };
//! # let response = runtime.block_on(layer.call(Request::new(()), handler));
//! # assert_eq!((response.body().as_str(), response.headers().len()), ("1", 3));
//! # assert_eq!(runtime.block_on(handler(Request::new(()))).status(), 500);
//! ```
//!
//! A site's [`Users`] go into the layer, which attaches them to each exchange that it enters. An extractor asks for the
//! [`user`], and a middleware lets a [`Guard`] judge.
//!
//! For a framework with other types, [`incoming`] takes the headers of a request as pairs. [`answer`](Failure::answer)
//! and [`changes`] take those of a response.

mod access;
mod answer;
mod failure;
mod guard;
mod incoming;
mod log;
mod managers;
mod opened;
mod users;

pub use self::{
    access::{AccessEnd, AccessLine, AccessLog, AccessNote, AccessRecord},
    answer::{Commit, SaidToCaches, apply, begin_commit, changes, commit},
    failure::Failure,
    guard::Guard,
    incoming::incoming,
    managers::Managers,
    opened::{Entered, LayerName, Opened},
    users::{LoadedUser, Users, user},
};
#[cfg(doc)]
use crate::Incoming;
pub use crate::request::Navigation;
pub(crate) use users::AttachedUsers;
