//! One request with its response: open, load, commit.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::{
    Error, EventKind, Incoming, Session, SessionId, SessionManager, SignedToken,
    incoming::Resource,
    keyring::Forged,
    manager::Site,
    merge::{Delta, Overlay, Write},
    moment::Moment,
    record::{Found, Header},
    rotation,
    token::{SessionSecret, SessionToken},
};

/// One request with its response. Cloning it is cheap and gives the same exchange.
///
/// An adapter opens it, hands it to the handler, commits it before the response head leaves, and adds its headers to the
/// response, whatever the commit answered.
///
/// # Examples
///
/// ```
/// use session_core::{Error, SessionManager};
///
/// async fn answer(manager: &SessionManager, request: http::Request<()>) -> Result<http::Response<String>, Error> {
///     let exchange = manager.open(&request);
///     let session = exchange.session().await?;
///     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
///     let mut response = http::Response::new(format!("visit {visits}"));
///     let outcome = exchange.commit().await;
///     exchange.apply(response.headers_mut());
///     outcome.map(|_| response)
/// }
/// ```
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) manager: SessionManager,
    pub(crate) resource: Resource,
    pub(crate) opened: Moment,
    /// The genuine token that the request presented.
    pub(crate) presented: Option<SessionToken>,
    /// Whether the request had cookies of our name at all.
    cookie_present: bool,
    /// Whether the client takes the token in a header of its own.
    header_client: bool,
    loaded: OnceCell<Result<(), Error>>,
    /// Puts the exchange's own writes one after the other.
    pub(crate) writing: AsyncMutex<()>,
    state: Mutex<State>,
}

/// What the exchange knows and has yet to do. Never locked while a closure of the application runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) standing: Standing,
    /// Changes that no write carries yet.
    pub(crate) pending: Delta,
    /// The one write whose outcome is not known.
    pub(crate) in_flight: Option<InFlight>,
    /// The changed values, as this request sees them.
    pub(crate) seen: Overlay,
    /// Counts the changes, so that a closure that ran unlocked can tell whether it was alone.
    pub(crate) version: u64,
    pub(crate) answer: Answer,
    pub(crate) skip_touch: bool,
    /// The response head has left.
    pub(crate) sent: bool,
    forgotten: bool,
}

/// What this exchange has to do with a session.
#[derive(Clone, Debug, Default)]
pub(crate) enum Standing {
    /// There is none; inserting a value makes one.
    #[default]
    Absent,
    /// There is one.
    Live(Live),
    /// The token was late or stolen: only a login makes a session, a new one.
    Barred(Lost),
    /// It was lost to another request: nothing is created or sent any more.
    Lost(Lost),
}

/// Why there is no session to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Gone,
    Superseded,
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone => Self::Gone,
            Lost::Superseded => Self::Superseded,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) found: Arc<Found>,
    /// The secret that the client holds, unless it is a retired one.
    pub(crate) secret: Option<SessionSecret>,
    /// When the store was asked for what the token was judged by.
    pub(crate) judged: Moment,
    pub(crate) is_new: bool,
}

impl Live {
    /// The client's secret, if it is the one that the session has now.
    pub(crate) fn current_secret(&self) -> Option<&SessionSecret> {
        self.secret.as_ref().filter(|secret| secret.hash() == self.found.header().secret)
    }
}

/// Changes on their way to the store, until the outcome is known.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) carried: Delta,
    /// What has to be settled before anything else is written. `None`: a creation or a change of generation, which is
    /// abandoned if its future was dropped or failed.
    pub(crate) write: Option<Arc<Write>>,
}

/// What the response tells the client.
#[derive(Clone, Debug, Default)]
pub(crate) enum Answer {
    #[default]
    Nothing,
    Token {
        token: SessionToken,
        max_age: Option<Duration>,
    },
    Removal,
    /// A logout has failed: not even what succeeded before is sent.
    Silence,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// There was nothing to save.
    Unchanged,
    /// The changes are saved.
    Saved,
    /// The session has been ended meanwhile: nothing was saved, and no cookie is sent.
    Gone,
    /// A login or renewal has overtaken this request: nothing was saved, and no cookie is sent.
    Superseded,
}

impl Outcome {
    /// An error where the session was lost, for a caller who has to know.
    pub(crate) fn kept(self) -> Result<(), Error> {
        match self {
            Self::Gone => Err(Error::Gone),
            Self::Superseded => Err(Error::Superseded),
            Self::Unchanged | Self::Saved => Ok(()),
        }
    }
}

impl From<Lost> for Outcome {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone => Self::Gone,
            Lost::Superseded => Self::Superseded,
        }
    }
}

impl Exchange {
    pub(crate) fn open(manager: SessionManager, mut incoming: Incoming) -> Self {
        let opened = Moment::now();
        let site = manager.site();
        let token = incoming.token.take();
        let cookies = std::mem::take(&mut incoming.cookies);
        let resource = incoming.resource(&site.trusted_proxies);
        let mut read = match &token {
            None => site.cookie.read(cookies.iter().map(Bytes::as_ref), &site.keys),
            Some(_) => Default::default(),
        };
        if let Some(token) = token.as_ref().filter(|token| !token.is_empty()) {
            match site.keys.verify(site.cookie.name(), token) {
                Ok(token) => read.token = Some(token),
                Err(Forged::Malformed) => read.malformed = 1,
                Err(Forged::Signature) => read.wrongly_signed = 1,
            }
        }
        if read.malformed + read.wrongly_signed > 0 {
            let kind = EventKind::BadCookie { malformed: read.malformed, wrongly_signed: read.wrongly_signed };
            site.tell(&resource, kind, None, None);
        }
        Self(Arc::new(Inner {
            resource,
            opened,
            presented: read.token,
            cookie_present: read.present,
            header_client: token.is_some(),
            loaded: OnceCell::new(),
            writing: AsyncMutex::new(()),
            state: Mutex::default(),
            manager,
        }))
    }

    /// The session of this request: loaded when this is first called, the same later.
    ///
    /// Where there is none, the handle is an empty new session, stored when it is no longer empty.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store fails, also each later time.
    pub async fn session(&self) -> Result<Session, Error> {
        if !self.0.state().forgotten {
            self.0.loaded.get_or_init(|| self.0.load()).await.clone()?;
        }
        Ok(Session::of(self.clone()))
    }

    /// The session, if somebody asked for it and it could be loaded. No I/O.
    #[must_use]
    pub fn loaded(&self) -> Option<Session> {
        let is_loaded = self.0.state().forgotten || matches!(self.0.loaded.get(), Some(Ok(())));
        is_loaded.then(|| Session::of(self.clone()))
    }

    /// Starts afresh where the session cannot be read: the handle is then an empty new session. What is stored stays as
    /// it is.
    pub fn forget(&self) {
        let mut state = self.0.state();
        let State { sent, version, .. } = *state;
        *state = State { forgotten: true, sent, version: version + 1, ..State::default() };
    }

    /// Saves what is to be saved. After that the response counts as sent.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::OutcomeUnknown`], [`Error::Contended`]: the changes may not have been saved, so the
    /// response must not say that they are. [`Error::TooLarge`], [`Error::Decode`] or [`Error::Encode`] after merging
    /// with what others saved: they are not.
    pub async fn commit(&self) -> Result<Outcome, Error> {
        let outcome = self.0.commit().await;
        self.0.state().sent = true;
        outcome
    }

    /// The headers for the response: to be asked for after the commit, whatever it answered.
    ///
    /// At most one `Set-Cookie`; with one, `Cache-Control: no-store`; if the session was read, `Vary: Cookie`.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.apply(&mut headers);
        headers
    }

    /// Adds [`headers`](Self::headers) to those of a response.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let site = self.0.site();
        let answer = self.0.state().answer.clone();
        let is_secret = matches!(answer, Answer::Token { .. });
        let set_cookie = match answer {
            _ if self.0.header_client => None,
            Answer::Nothing | Answer::Silence => None,
            Answer::Token { token, max_age } => {
                let signed = site.keys.sign(site.cookie.name(), &token).ok();
                signed.and_then(|signed| site.cookie.set(&signed, max_age))
            }
            Answer::Removal => site.cookie.remove(),
        };
        if set_cookie.is_some() || is_secret {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(set_cookie) = set_cookie {
            if site.cookie.is_secure() && self.0.resource.https == Some(false) {
                self.0.tell(EventKind::InsecureTransport, None);
            }
            headers.append(header::SET_COOKIE, set_cookie);
        }
        if self.0.loaded.get().is_some() && !self.0.header_client {
            headers.append(header::VARY, HeaderValue::from_static("Cookie"));
        }
    }

    /// The id in the request's genuine cookie, before anything is loaded: for logs. It proves nothing about the session.
    #[must_use]
    pub fn request_cookie(&self) -> Option<SessionId> {
        self.0.presented.as_ref().map(|token| token.id)
    }

    /// The token to send to a client without cookies, after the commit, if it gets a new one. See
    /// [`Incoming::with_token`].
    #[must_use]
    pub fn token(&self) -> Option<SignedToken> {
        match &self.0.state().answer {
            Answer::Token { token, .. } if self.0.header_client => {
                self.0.site().keys.sign(self.0.site().cookie.name(), token).ok()
            }
            _ => None,
        }
    }

    /// Whether this exchange was opened by this manager or a clone of it.
    #[must_use]
    pub fn is_of(&self, manager: &SessionManager) -> bool {
        self.0.manager.is_same(manager)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("id", &self.request_cookie()).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn site(&self) -> &Site {
        self.manager.site()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, kind: EventKind, found: Option<&Found>) {
        let owner = found.and_then(|found| found.header().owner.as_ref());
        self.site().tell(&self.resource, kind, found.map(|found| found.id), owner);
    }

    /// The session is another request's now: nothing is created or sent any more.
    pub(crate) fn lose(&self, lost: Lost) -> Lost {
        let mut state = self.state();
        state.standing = Standing::Lost(lost);
        state.answer = Answer::Nothing;
        state.in_flight = None;
        lost
    }

    /// Takes over a state of the session that the store has now; `None`: it has none. It is lost unless it is of the
    /// generation that this exchange loaded.
    pub(crate) fn adopt(&self, found: Option<Found>) -> Result<(), Lost> {
        let Some(found) = found else { return Err(self.lose(Lost::Gone)) };
        let mut state = self.state();
        if let Standing::Live(live) = &mut state.standing
            && live.found.header().generation == found.header().generation
        {
            live.found = Arc::new(found);
            state.version += 1;
            return Ok(());
        }
        drop(state);
        Err(self.lose(Lost::Superseded))
    }

    /// Takes over a session that this exchange has just created, logged in or renewed, and sends its token.
    pub(crate) fn begin(&self, found: Found, secret: SessionSecret, is_new: bool) {
        let token = SessionToken { id: found.id, generation: found.header().generation, secret: secret.clone() };
        let max_age = max_age(&found);
        let judged = found.left.asked;
        let mut state = self.state();
        state.standing = Standing::Live(Live { found: Arc::new(found), secret: Some(secret), judged, is_new });
        state.in_flight = None;
        state.answer = Answer::Token { token, max_age };
        state.version += 1;
    }

    /// The session has ended by the client's own will: the handle is an empty new one, the browser forgets its cookie.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        let answer = if self.cookie_present || self.presented.is_some() { Answer::Removal } else { Answer::Nothing };
        let State { skip_touch, sent, version, forgotten, .. } = *state;
        *state = State { answer, skip_touch, sent, version: version + 1, forgotten, ..State::default() };
    }

    /// Sends the successor to whom the session's token is still the old one.
    ///
    /// A response whose load is longer ago than a rotation interval carries none: the browser may have moved on.
    pub(crate) fn send_successor(&self) {
        let mut state = self.state();
        let Standing::Live(live) = &state.standing else { return };
        if state.sent || !matches!(state.answer, Answer::Nothing) {
            return;
        }
        let Header { pending: Some(pending), generation, .. } = live.found.header() else { return };
        let is_fresh = live.judged.elapsed() < self.site().policy.rotation;
        let successor = live.current_secret().filter(|_| is_fresh).and_then(|s| rotation::derive(s, &pending.salt));
        let Some(secret) = successor else { return };
        let token = SessionToken { id: live.found.id, generation: *generation, secret };
        let max_age = max_age(&live.found);
        state.answer = Answer::Token { token, max_age };
    }
}

/// How long a browser should keep the cookie: to the end of a persistent session.
fn max_age(found: &Found) -> Option<Duration> {
    found.header().lifetime.persistent.then(|| found.left.to_end())
}
