//! What an adapter's author mounts: the handler of every request, and the managers for the middleware around it.

use std::{fmt, future::Future, ops::Deref, pin::Pin, sync::Arc};

use http::{HeaderMap, StatusCode};
use session_core::{Error, Session, SessionManager};

use crate::{
    FaultyStore,
    adapter::{gate::Gate, page},
};

/// The site that a case asks for its pages. Cloning it is cheap.
///
/// It has one handler for every method and path, [`answer`](Self::answer). Around it stands the adapter's middleware for
/// sessions, with the managers that are named here.
#[derive(Clone)]
pub struct Site(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: FaultyStore,
    pub(crate) gate: Gate,
    pub(crate) manager: SessionManager,
    pub(crate) inside: Option<SessionManager>,
    pub(crate) second: Option<SessionManager>,
}

/// A request, as the handler of a [`Site`] takes it.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// What the handler answers: to be made a response of the framework as it is.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, of which some have several lines of one name.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is worked out while it is sent.
    Stream(Stream),
    /// There is none: the status is 101, and the connection is the socket's from then on. It is asked for only where the
    /// adapter has [`Capability::Upgrade`](crate::adapter::Capability::Upgrade).
    Upgrade(Socket),
}

type Later = Pin<Box<dyn Future<Output = String> + Send>>;

/// A body that is worked out while it is sent. It uses the session then.
pub struct Stream(Option<Later>);

/// The server's side of a connection that is no longer HTTP. It uses the session then.
#[derive(Debug)]
pub struct Socket {
    site: Site,
    session: Session,
}

impl Site {
    pub(crate) fn new(site: Inner) -> Self {
        Self(Arc::new(site))
    }

    /// The manager for the session middleware around the handler.
    #[must_use]
    pub fn manager(&self) -> SessionManager {
        self.0.manager.clone()
    }

    /// The manager for a second session middleware, inside the first one and around the handler; mostly there is none. It is a
    /// clone of the first one with another policy, so the two middlewares have one session.
    ///
    /// An adapter that has no such thing [lacks](crate::adapter::Adapter::lacks)
    /// [`Capability::NestedMiddleware`](crate::adapter::Capability::NestedMiddleware), and is never asked for it.
    #[must_use]
    pub fn manager_inside(&self) -> Option<SessionManager> {
        self.0.inside.clone()
    }

    /// The manager for a session of its own with a cookie of its own, beside the first one; mostly there is none. It is
    /// handed to [`answer_with_second`](Self::answer_with_second).
    ///
    /// An adapter that has no such thing [lacks](crate::adapter::Adapter::lacks)
    /// [`Capability::SecondSession`](crate::adapter::Capability::SecondSession), and is never asked for it.
    #[must_use]
    pub fn second_manager(&self) -> Option<SessionManager> {
        self.0.second.clone()
    }

    /// Handles a request: what the framework's handler calls, for every method and path.
    ///
    /// `session` gives the framework's own session, which derefs to [`session_core::Session`]. It is awaited only by pages
    /// that ask for their session, so that the others can be seen to cost nothing.
    ///
    /// # Errors
    ///
    /// That of `session`, or an [`Error`] of a page. The adapter makes a response of it as it does for its users.
    ///
    /// # Panics
    ///
    /// If a case wants to see what the adapter makes of a panic.
    pub async fn answer<S, E>(&self, request: Request, session: impl Future<Output = Result<S, E>>) -> Result<Answer, E>
    where
        S: Deref<Target = Session>,
        E: From<Error>,
    {
        let second = async { Err::<S, E>(Error::ResponseSent.into()) };
        self.answer_with_second(request, session, second).await
    }

    /// The same for an adapter that can have two sessions side by side: `second` gives that of
    /// [`second_manager`](Self::second_manager). It is not awaited where there is none.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer).
    ///
    /// # Panics
    ///
    /// As [`answer`](Self::answer).
    pub async fn answer_with_second<S, T, E>(
        &self,
        request: Request,
        session: impl Future<Output = Result<S, E>>,
        second: impl Future<Output = Result<T, E>>,
    ) -> Result<Answer, E>
    where
        S: Deref<Target = Session>,
        T: Deref<Target = Session>,
        E: From<Error>,
    {
        let first = async { session.await.map(|session| Session::clone(&session)) };
        let second = async { second.await.map(|session| Session::clone(&session)) };
        page::answer(self, request, first, second).await
    }

    pub(crate) fn store(&self) -> &FaultyStore {
        &self.0.store
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }
}

impl Request {
    /// A request with this method, such as `GET`, this path without its query, and this body.
    pub fn new(method: impl Into<String>, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { method: method.into(), path: path.into(), body: body.into() }
    }
}

impl Stream {
    pub(crate) fn new(later: impl Future<Output = String> + Send + 'static) -> Self {
        Self(Some(Box::pin(later)))
    }

    /// The next chunk; `None` at the end. It waits, and must be asked only once the head has been handed to the server.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        // Kept until it has answered: who drops the call and asks again loses nothing.
        let text = self.0.as_mut()?.await;
        self.0 = None;
        Some(text.into())
    }
}

impl Socket {
    pub(crate) fn new(site: Site, session: Session) -> Self {
        Self { site, session }
    }

    /// What to send back for what was received. The client sends its next message when it has the answer to the last one.
    pub async fn hear(&mut self, message: &[u8]) -> Vec<u8> {
        page::later(&self.site, &self.session, &String::from_utf8_lossy(message)).await.into()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("manager", &self.0.manager).finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
