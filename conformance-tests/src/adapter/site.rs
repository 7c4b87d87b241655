//! The site that the author of an adapter mounts: the handler of every request, and the managers for the middleware
//! around it.

use std::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

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
    pub(crate) gate: Arc<Gate>,
    pub(crate) handled: AtomicUsize,
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

/// The answer of the handler. Make a response of the framework of it, and change nothing.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers. Some have several lines of one name.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub enum Body {
    /// The whole body.
    Whole(Vec<u8>),
    /// A body that is made while it is sent.
    Stream(Stream),
    /// No body: the status is 101, and from then on the connection belongs to the socket. Bytes go both ways as they are: the
    /// kit speaks no websocket frames, and asks for no `Sec-WebSocket-Accept`. Only an adapter that has
    /// [`Capability::Upgrade`](crate::adapter::Capability::Upgrade) is asked for it.
    Upgrade(Socket),
}

type Later = Pin<Box<dyn Future<Output = String> + Send>>;

/// A body that is made while it is sent. It uses the session then.
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

    /// The manager for a second session middleware, inside the first one and around the handler. Usually there is none.
    /// It is a clone of the first manager with another policy, so the two middlewares share one session.
    ///
    /// An adapter without such a middleware [lacks](crate::adapter::Adapter::lacks)
    /// [`Capability::NestedMiddleware`](crate::adapter::Capability::NestedMiddleware), and is never asked for it.
    #[must_use]
    pub fn manager_inside(&self) -> Option<SessionManager> {
        self.0.inside.clone()
    }

    /// The manager for a second session with a cookie of its own, beside the first one. Usually there is none. The
    /// session goes to [`answer_with_second`](Self::answer_with_second). For one case, the cookie is that of the first. Then
    /// the middleware refuses each request.
    ///
    /// An adapter without a second session [lacks](crate::adapter::Adapter::lacks)
    /// [`Capability::SecondSession`](crate::adapter::Capability::SecondSession), and is never asked for it.
    #[must_use]
    pub fn second_manager(&self) -> Option<SessionManager> {
        self.0.second.clone()
    }

    /// Handles a request. The framework's handler calls this for every method and path.
    ///
    /// `session` gives the framework's own session, which derefs to [`session_core::Session`]. Only pages that ask for
    /// their session await it. So a case can see that other pages cost nothing. An adapter that hands out that type itself
    /// puts it into a `Box`.
    ///
    /// # Errors
    ///
    /// That of `session`, or an [`Error`] of a page. The adapter makes a response of it, as it does for its users.
    ///
    /// # Panics
    ///
    /// If a case tests what the adapter does with a panic.
    pub async fn answer<S, E>(&self, request: Request, session: impl Future<Output = Result<S, E>>) -> Result<Answer, E>
    where
        S: Deref<Target = Session>,
        E: From<Error>,
    {
        let second = async { Err::<S, E>(Error::ResponseSent.into()) };
        self.answer_with_second(request, session, second).await
    }

    /// The same for an adapter that can have two sessions side by side. `second` gives the session of
    /// [`second_manager`](Self::second_manager). If there is no such manager, it is not awaited.
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
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        let first = async { session.await.map(|session| Session::clone(&session)) };
        let second = async { second.await.map(|session| Session::clone(&session)) };
        page::answer(self, request, first, second).await
    }

    pub(crate) fn store(&self) -> &FaultyStore {
        &self.0.store
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.0.gate
    }

    /// How many requests the handler has got since this was asked last.
    pub(crate) fn handled(&self) -> usize {
        self.0.handled.swap(0, Ordering::Relaxed)
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
        // The step is kept until it has answered. So nothing is lost if the call is dropped and made again.
        let text = self.0.as_mut()?.await;
        self.0 = None;
        Some(text.into())
    }
}

impl Socket {
    pub(crate) fn new(site: Site, session: Session) -> Self {
        Self { site, session }
    }

    /// The answer to send back for a received message. The client sends its next message when it has the answer to the
    /// last one.
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
