//! What an exchange knows and has yet to do, and how that changes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::{
    Error, EventKind,
    incoming::Resource,
    merge::{Delta, Overlay, Write},
    moment::Moment,
    record::{Data, Found, Header},
    rotation,
    site::Site,
    token::{SessionSecret, SessionToken},
};

/// What the clones of an exchange and its session share.
pub(crate) struct Inner {
    pub(crate) site: Arc<Site>,
    pub(crate) resource: Resource,
    pub(crate) opened: Moment,
    /// The genuine token that the request presented.
    pub(crate) presented: Option<SessionToken>,
    /// Whether the request had cookies of our name at all.
    pub(crate) cookie_present: bool,
    /// Whether the client takes the token in a header of its own.
    pub(crate) header_client: bool,
    pub(crate) loaded: OnceCell<Result<(), Error>>,
    /// Puts the exchange's own writes one after the other.
    pub(crate) writing: AsyncMutex<()>,
    pub(crate) state: Mutex<State>,
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
    pub(crate) forgotten: bool,
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
    /// The secret that the client presented, or has just been given.
    pub(crate) secret: SessionSecret,
    /// When the store was asked for what the token was judged by.
    pub(crate) judged: Moment,
    pub(crate) is_new: bool,
}

impl Live {
    /// The client's secret, if it is the one that the session has now: not for one that is retired.
    pub(crate) fn current_secret(&self) -> Option<&SessionSecret> {
        (self.secret.hash() == self.found.header().secret).then_some(&self.secret)
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

impl Inner {
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, kind: EventKind, found: Option<&Found>) {
        let owner = found.and_then(|found| found.header().owner.as_ref());
        self.site().tell(&self.resource, kind, found.map(|found| found.id), owner);
    }

    /// The state to work on, with the version that tells whether it is still this one.
    pub(crate) fn snapshot(&self) -> (Standing, Delta, u64) {
        let state = self.state();
        (state.standing.clone(), state.pending.clone(), state.version)
    }

    /// Tells of the session as this exchange knows it.
    pub(crate) fn tell_live(&self, kind: EventKind) {
        let standing = self.state().standing.clone();
        let found = if let Standing::Live(live) = &standing { Some(&*live.found) } else { None };
        self.tell(kind, found);
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
        state.standing = Standing::Live(Live { found: Arc::new(found), secret, judged, is_new });
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

    /// Moves the pending changes into the write that was made of them; `false` if others have come in between.
    pub(crate) fn carry(&self, version: u64, write: Option<Arc<Write>>) -> bool {
        let mut state = self.state();
        if state.version != version {
            return false;
        }
        let carried = std::mem::take(&mut state.pending);
        state.in_flight = Some(InFlight { carried, write });
        true
    }

    /// The changes on their way have not arrived: they wait for the next write.
    pub(crate) fn put_back(&self) {
        let mut state = self.state();
        if let Some(InFlight { carried, .. }) = state.in_flight.take() {
            state.pending = carried.then(std::mem::take(&mut state.pending));
        }
    }

    /// Works out anew what this request sees of its pending changes over what is stored now.
    pub(crate) fn rebase(&self) -> Result<(), Error> {
        loop {
            let (standing, pending, version) = self.snapshot();
            let seen = match &standing {
                _ if pending.is_empty() => Overlay::default(),
                Standing::Live(live) => pending.over(&live.found.record.data)?,
                _ => pending.over(&Data::new())?,
            };
            let mut state = self.state();
            if state.version == version {
                state.seen = seen;
                return Ok(());
            }
        }
    }
}

/// How long a browser should keep the cookie: to the end of a persistent session.
fn max_age(found: &Found) -> Option<Duration> {
    found.header().lifetime.persistent.then(|| found.left.to_end())
}
