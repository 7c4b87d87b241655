//! What an exchange knows and has yet to do, and how that changes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicBool};

use bytes::Bytes;
use http::HeaderName;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::{
    Error, EventKind, Keyring,
    adapter::AttachedUsers,
    exchange::{Answer, InFlight, Joined, Standing, View},
    few::Few,
    moment::Moment,
    record::{Age, Delta, Found, Overlay, ValueKey, length_if_any},
    request::{Resource, SessionToken, Withholding},
    site::{Caller, Site, Whose},
    store::{MERGES, PatientStore},
};

/// What the clones of an exchange and its session share.
pub(crate) struct Inner {
    /// The site that it was opened at.
    pub(crate) site: Arc<Site>,
    pub(crate) store: PatientStore,
    /// Those that have taken it over since.
    pub(crate) joined: Joined,
    /// In which headers exchanges of other cookies, opened inside of this one, send their tokens.
    pub(crate) token_headers_inside: Mutex<Vec<HeaderName>>,
    pub(crate) resource: Resource,
    pub(crate) opened: Moment,
    /// The genuine tokens that the request presented, in its order.
    pub(crate) presented: Few<SessionToken>,
    /// Whether the request had cookies of our name at all.
    pub(crate) cookie_present: bool,
    /// Whether it had more of them than are looked at.
    pub(crate) has_more_cookies: bool,
    /// Whether the client takes the token in a header of its own.
    pub(crate) header_client: bool,
    /// The keys that sign this exchange's token: those that there are when it is first sent.
    pub(crate) signing: OnceLock<Arc<Keyring>>,
    pub(crate) withholding: Withholding,
    /// Whether it has been told that the response lets shared caches keep it.
    pub(crate) is_told_of_shared_caches: AtomicBool,
    /// The first that asks for the session loads it, and the others wait. The result is the [`Standing`]. Here is the session
    /// that the load has taken, if it has taken one.
    pub(crate) asked: OnceCell<Option<Arc<Found>>>,
    /// What is on its way to the store. Who has the lock has a [`Place`](crate::exchange::turn::Place) in the order of this
    /// exchange's writes.
    pub(crate) in_flight: AsyncMutex<Option<InFlight>>,
    /// How the application finds its users.
    pub(crate) users: Mutex<AttachedUsers>,
    pub(crate) state: Mutex<State>,
}

/// What the exchange knows and has yet to do. Never locked while a closure of the application runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) standing: Standing,
    /// Changes that no write carries yet.
    pub(crate) pending: Delta,
    /// The changed values, as this request sees them.
    pub(crate) seen: Overlay,
    /// Counts the changes, so that a closure that ran unlocked can tell whether it was alone.
    pub(crate) version: u64,
    pub(crate) answer: Answer,
    /// The other live sessions that the request's tokens opened.
    pub(crate) others: Vec<Arc<Found>>,
    /// One of several sessions was late or stolen. Only a login may create a session or send a cookie: no anonymous session, no
    /// successor, no removal.
    pub(crate) only_login_may_answer: bool,
    /// How old the note of `begin_login` was in a session that this exchange has ended.
    pub(crate) noted: Option<Age>,
    /// This exchange has ended a session by the client's own will.
    pub(crate) has_ended: bool,
    pub(crate) skip_touch: bool,
    /// The response head has left.
    pub(crate) sent: bool,
}

impl State {
    /// Refuses to answer for the stored session where it cannot be read.
    pub(crate) fn judge_read(&self) -> Result<(), Error> {
        if let Standing::Unread(unread) = &self.standing { unread.judge_read() } else { Ok(()) }
    }

    /// The value under this key, as this request sees it.
    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if !self.seen.cleared && !self.seen.values.contains(key) {
            self.judge_read()?;
        }
        Ok(self.standing.with_stored(|stored| self.seen.get(key, stored)))
    }

    /// How large the session is with this value under the key, or with none, and how large it was.
    pub(crate) fn size_with(&mut self, key: &[u8], value: Option<&Bytes>) -> (usize, usize) {
        let before = self.size();
        let replaced = self.standing.with_stored(|stored| self.seen.length_of(key, stored));
        (before - replaced + length_if_any(key, value), before)
    }

    /// Lets this request see the value; `None`: that there is none. The session is then this large.
    pub(crate) fn see(&mut self, key: &ValueKey, value: Option<Bytes>, size: usize) {
        self.seen.length = Some(size);
        self.seen.values.insert(key.clone(), value);
        self.version += 1;
    }

    /// Worked out once for each state of what is stored. If each insertion looked at all values, many would take n² steps.
    fn size(&mut self) -> usize {
        let known = self.seen.length;
        let size = known.unwrap_or_else(|| self.standing.with_stored(|stored| self.seen.length_over(stored)));
        self.seen.length = Some(size);
        size
    }
}

impl Inner {
    pub(crate) fn site(&self) -> &Site {
        self.joined.last().unwrap_or(&self.site)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller { site: self.site(), store: &self.store, resource: &self.resource }
    }

    pub(crate) fn tell(&self, kind: EventKind, found: Option<&Found>) {
        let whose = found.map_or_else(Whose::default, |found| found.header().into());
        self.site().tell(&self.resource, kind, found.map(|found| found.id), whose);
    }

    /// The session that the load has taken.
    pub(crate) fn taken(&self) -> Option<&Arc<Found>> {
        self.asked.get()?.as_ref()
    }

    /// What a write is planned on.
    pub(crate) fn view(&self) -> View {
        let state = self.state();
        let State { version, skip_touch, .. } = *state;
        View { standing: state.standing.clone(), pending: state.pending.clone(), version, skip_touch }
    }

    /// Tells of the session as this exchange knows it.
    pub(crate) fn tell_live(&self, kind: EventKind) {
        let found = self.state().standing.live().map(|live| live.found.clone());
        self.tell(kind, found.as_deref());
    }

    /// Works out again what this request sees of its pending changes over what is stored now.
    pub(crate) fn rebase(&self) -> Result<(), Error> {
        for _ in 0..MERGES {
            let mut state = self.state();
            if state.pending.is_empty() {
                state.seen = Overlay::default();
                return Ok(());
            }
            drop(state);
            let View { standing, pending, version, .. } = self.view();
            let seen = standing.with_stored(|stored| pending.over(stored))?;
            let mut state = self.state();
            if state.version == version {
                state.seen = seen;
                return Ok(());
            }
        }
        Err(Error::Contended)
    }
}
