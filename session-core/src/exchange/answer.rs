//! What the response tells the client: a token, that it is over, or nothing.

use std::time::Duration;

use crate::{
    CookieScope,
    exchange::{Inner, Live, Standing},
    record::{Found, rotation},
    request::{SessionSecret, SessionToken},
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
    /// A logout has begun and not succeeded. No cookie is sent, as with `Nothing`, and the commit may not send a successor.
    Silence,
}

impl Answer {
    /// Sends the token of this secret, for as long as the session can last if it is persistent.
    pub(crate) fn token(secret: SessionSecret, found: &Found) -> Self {
        let token = SessionToken { id: found.id, generation: found.header().generation, secret, under_old_key: false };
        Self::Token { token, max_age: found.header().lifetime.persistent.then(|| found.left.now().ends_in) }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Inner {
    /// Whether a successor of the client's token may leave with this response: not if anything else does, nor if the load
    /// is longer ago than its rotation interval, for the browser may have moved on.
    pub(crate) fn may_send_successor(&self, live: &Live) -> bool {
        let state = self.state();
        !state.sent
            && !state.only_login_may_answer
            && state.answer.is_nothing()
            && live.judged.elapsed() < rotation::interval(&self.site().policy, live.under_old_key)
    }

    /// Sends a stored successor, if the client still has the old token.
    pub(crate) fn send_successor(&self) {
        let live = match &self.state().standing {
            Standing::Live(live) if live.found.header().pending.is_some() => live.clone(),
            _ => return,
        };
        let Some(pending) = &live.found.header().pending else { return };
        if !self.may_send_successor(&live) {
            return;
        }
        let successor = live.current_secret().and_then(|secret| rotation::derive(secret, &pending.salt));
        let Some(secret) = successor else { return };
        self.state().answer = Answer::token(secret, &live.found);
    }

    /// Whether the cookie of this former scope is removed beside what the response sends: beside a login's token and by a
    /// logout, not after a theft. A new anonymous session removes it only if this request would have shown it. So a login stays
    /// that the browser keeps for another path, or has kept back.
    pub(crate) fn removes_from(&self, former: &CookieScope) -> bool {
        let shows = || self.shows_all_cookies() && former.covers(self.resource.path.as_deref().unwrap_or("/"));
        let state = self.state();
        match &state.standing {
            Standing::Unasked | Standing::Failed(_) | Standing::Absent => state.has_ended || shows(),
            Standing::Live(live) => state.has_ended || live.found.header().owner.is_some() || shows(),
            Standing::Unread(_) | Standing::Barred(_) | Standing::Lost(_) => false,
        }
    }
}
