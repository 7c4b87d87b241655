//! The conformance kit for adapters. One line shows that an adapter does what its users rely on, whatever its framework
//! is.
//!
//! You bring the framework: [`Adapter::serve`] mounts a [`Site`] under your session middleware, starts a server, and
//! says where it listens. The kit brings the handler, the stores and the browsers, and talks plain HTTP/1.1 to your
//! server. For axum, this is all:
//!
//! ```
//! # mod example {
//! use axum::{
//!     RequestPartsExt, Router,
//!     body::{Body, to_bytes},
//!     extract::{Request, State},
//!     response::{IntoResponse, Response},
//! };
//! use session_conformance::adapter::{self, Adapter, Capability, Served, Site};
//! use session_conformance::{adapter_tests, async_trait};
//! use session_tower::{Session, SessionError, SessionLayer};
//!
//! struct Mine;
//!
//! #[async_trait]
//! impl Adapter for Mine {
//!     async fn serve(&self, site: Site) -> Served {
//!         let app = Router::new().fallback(handle).with_state(site.clone()).layer(SessionLayer::new(site.manager()));
//!         let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
//!         let address = listener.local_addr().unwrap();
//!         tokio::spawn(async { axum::serve(listener, app).await });
//!         Served::at(address)
//!     }
//!
//!     fn lacks(&self, capability: Capability) -> Option<&'static str> {
//!         match capability {
//!             Capability::DroppedRequests | Capability::NonTextHeaders => None,
//!             _ => Some("not mounted yet"),
//!         }
//!     }
//! }
//!
//! async fn handle(State(site): State<Site>, request: Request) -> Result<Response, SessionError> {
//!     let (mut head, body) = request.into_parts();
//!     let body = to_bytes(body, usize::MAX).await.unwrap();
//!     let asked = adapter::Request::new(head.method.as_str(), head.uri.path(), body);
//!     let answer = site.answer(asked, head.extract::<Session>()).await?;
//!     let body = match answer.body {
//!         adapter::Body::Whole(bytes) => Body::from(bytes),
//!         adapter::Body::Stream(body) => Body::from_stream(futures_util::stream::unfold(body, |mut body| async {
//!             body.next().await.map(|chunk| (Ok::<_, SessionError>(chunk), body))
//!         })),
//!         adapter::Body::Upgrade(_) => unreachable!("the adapter lacks it"),
//!     };
//!     Ok((answer.status, answer.headers, body).into_response())
//! }
//!
//! adapter_tests!(Mine);
//! # }
//! ```
//!
//! [`adapter_tests!`](crate::adapter_tests) makes one `#[test]` of each case, named by the sentence that must hold.
//! [`cases`] gives the same cases to a harness of your own. If several fail, mend the first in the order of [`cases`]: each
//! failure ends with its number there.
//!
//! If a framework cannot have a capability, the adapter says so by [`lacks`](Adapter::lacks), with a reason. The cases
//! about it are then not run. They say `not run` and the reason, on stderr (`cargo test -- --nocapture` shows it) and in
//! the file that `SESSION_TEST_REPORT` names. No other case is ever left out.
//!
//! The cases are about the parts that all adapters have in common. An adapter needs tests of its own for the parts that
//! belong to its framework, such as an extractor, a guard or the words of its errors. The kit does not see whether the
//! session is told of `Upgrade`, because only a guard asks for that: try a websocket of another origin on yours.

mod case;
mod cases;
mod client;
pub(crate) mod gate;
mod page;
mod site;
mod trial;

use std::time::Duration;

use session_core::async_trait;

#[doc(hidden)]
pub use self::case::run_test;
pub use self::{
    case::{Case, cases, check},
    site::{Answer, Body, Request, Site, Socket, Stream},
    trial::Served,
};
pub use crate::Ran;

/// An adapter under test: how it mounts and serves a site. The author of the adapter writes this. The page of the
/// [module](self) shows one.
#[async_trait]
pub trait Adapter: Send + Sync + 'static {
    /// Serves the site over plain HTTP/1.1 at a free port of 127.0.0.1, such as `127.0.0.1:0` gives.
    ///
    /// Each case calls it at least once, within a tokio runtime of several threads, which ends with the case.
    async fn serve(&self, site: Site) -> Served;

    /// Why the adapter does not have this capability, in words for the readers of the report. The cases that need it
    /// are then not run, and the report says so. By default it is `None`: the adapter has it.
    fn lacks(&self, _capability: Capability) -> Option<&'static str> {
        None
    }

    /// How long the server may take to answer before the case fails: a minute by default.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// A capability that not every framework has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// A session middleware inside another one, for a part of a site with a policy of its own.
    NestedMiddleware,
    /// Two sessions side by side, each with a cookie of its own.
    SecondSession,
    /// An answer 101, after which the connection belongs to the handler.
    Upgrade,
    /// Header lines of a request reach the adapter as bytes, also if they are no text (UTF-8). Some frameworks drop such lines.
    /// Then a cookie of the session that stands in one is not read.
    NonTextHeaders,
    /// The handler is dropped when its client hangs up. The case about it is run without this, too: then the handler has to
    /// save all of its changes in the end.
    DroppedRequests,
}

/// Makes one `#[test]` of each case. The expression builds a new [`Adapter`](crate::adapter::Adapter) for each.
///
/// # Examples
///
/// ```
/// # use session_conformance::{adapter::{Adapter, Served, Site}, adapter_tests, async_trait};
/// # struct Mine { workers: usize }
/// # #[async_trait]
/// # impl Adapter for Mine {
/// #     async fn serve(&self, _: Site) -> Served { unreachable!("{}", self.workers) }
/// # }
/// mod with_one_worker {
/// #   use super::*;
///     adapter_tests!(Mine { workers: 1 });
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! adapter_tests {
    ($adapter:expr) => {
        $crate::each_adapter_case!({ $crate::name_adapter_tests }[$adapter]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! name_adapter_tests {
    ([$adapter:expr] $($module:ident: $($name:ident $(($capability:ident))?)*;)*) => {
        $($(
            #[test]
            fn $name() {
                let package = ::core::option_env!("CARGO_PKG_NAME").unwrap_or_default();
                $crate::adapter::run_test(package, ::core::module_path!(), stringify!($name), $adapter);
            }
        )*)*
    };
}
