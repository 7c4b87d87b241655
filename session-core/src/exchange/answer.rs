//! What the response tells the client: a token, that it is over, or nothing.

use std::{sync::Arc, time::Duration};

use crate::{
    CookieScope, Error,
    exchange::state::{Inner, Live, Lost, Standing, State},
    record::{Found, Header, delta::Delta, rotation},
    request::token::{SessionSecret, SessionToken},
};

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

impl Answer {
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Inner {
    /// Takes over a session that this exchange has just created, logged in or renewed, and sends its token.
    pub(crate) fn begin(&self, found: Arc<Found>, secret: SessionSecret, is_new: bool) {
        let token = SessionToken {
            id: found.id,
            generation: found.header().generation,
            secret: secret.clone(),
            under_old_key: false,
        };
        let max_age = max_age(&found);
        let judged = found.left.asked;
        self.drop_in_flight();
        let mut state = self.state();
        state.standing = Standing::Live(Live { found, secret, judged, is_new, under_old_key: false });
        state.answer = Answer::Token { token, max_age };
        state.version += 1;
    }

    /// The session has ended by the client's own will: the handle is an empty new one, the browser forgets its cookie.
    pub(crate) fn end(&self) {
        self.start_over(|_| Delta::default());
    }

    /// The same, but what this request has changed goes into the new session.
    pub(crate) fn end_keeping_changes(&self) -> Result<(), Error> {
        self.start_over(|state| std::mem::take(&mut state.pending));
        self.rebase()
    }

    fn start_over(&self, keep: impl FnOnce(&mut State) -> Delta) {
        let mut state = self.state();
        let pending = keep(&mut state);
        let State { noted, has_ended, skip_touch, sent, version, is_hushed, .. } = *state;
        let (standing, answer) = match is_hushed {
            // Another login's cookie may be on its way to the browser, which a removal would remove.
            true => (Standing::Barred(Lost::Superseded), Answer::Nothing),
            false if self.cookie_present || !self.presented.is_empty() => (Standing::Absent, Answer::Removal),
            false => (Standing::Absent, Answer::Nothing),
        };
        let version = version + 1;
        let kept = State { noted, has_ended, skip_touch, sent, version, is_hushed, ..State::default() };
        let old = std::mem::replace(&mut *state, State { standing, pending, answer, ..kept });
        drop(state);
        // Unlocked: what the closures of the application hold is dropped here.
        drop(old);
    }

    /// Whether a successor of the client's token may leave with this response: not if anything else does, nor if the load
    /// is longer ago than its rotation interval, for the browser may have moved on.
    pub(crate) fn may_send_successor(&self, live: &Live) -> bool {
        let state = self.state();
        !state.sent
            && !state.is_hushed
            && state.answer.is_nothing()
            && live.judged.elapsed() < rotation::interval(&self.site().policy, live.under_old_key)
    }

    /// Sends the successor to whom the session's token is still the old one.
    pub(crate) fn send_successor(&self) {
        let live = match &self.state().standing {
            Standing::Live(live) if live.found.header().pending.is_some() => live.clone(),
            _ => return,
        };
        let Header { pending: Some(pending), generation, .. } = live.found.header() else { return };
        if !self.may_send_successor(&live) {
            return;
        }
        let successor = live.current_secret().and_then(|secret| rotation::derive(secret, &pending.salt));
        let Some(secret) = successor else { return };
        let token = SessionToken { id: live.found.id, generation: *generation, secret, under_old_key: false };
        self.state().answer = Answer::Token { token, max_age: max_age(&live.found) };
    }

    /// Whether the cookie of this former scope is removed beside what the response sends: beside a login's token and by a
    /// logout, not after a theft. An anonymous token takes the place of cookies that the request showed, of no login that
    /// the browser keeps for another path.
    pub(crate) fn removes_from(&self, former: &CookieScope) -> bool {
        let shows = || self.cookie_present && former.covers(self.resource.path.as_deref().unwrap_or("/"));
        let state = self.state();
        match &state.standing {
            Standing::Absent => state.has_ended || shows(),
            Standing::Live(live) => state.has_ended || live.found.header().owner.is_some() || shows(),
            Standing::Unread(_) | Standing::Barred(_) | Standing::Lost(_) => false,
        }
    }
}

/// How long a browser should keep the cookie: to the end of a persistent session.
fn max_age(found: &Found) -> Option<Duration> {
    found.header().lifetime.persistent.then(|| found.left.now().ends_in)
}
