//! What an exchange knows and has yet to do, and how that changes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicBool};

use bytes::Bytes;
use tokio::{
    sync::{Mutex as AsyncMutex, OnceCell},
    time::Instant,
};

use crate::{
    Error, EventKind, Keyring, WithheldReason,
    exchange::{answer::Answer, join::Joined, unread::Unread},
    moment::Moment,
    record::{
        Age, Data, Found,
        delta::{Delta, Overlay},
        length, value_length,
    },
    request::{
        incoming::Resource,
        origin::Withholding,
        token::{SessionSecret, SessionToken},
    },
    site::{Caller, Site},
    store::{
        patience::{MERGES, PatientStore},
        write::Write,
    },
};

/// What the clones of an exchange and its session share.
pub(crate) struct Inner {
    /// The site that it was opened at.
    pub(crate) site: Arc<Site>,
    pub(crate) store: PatientStore,
    /// Those that have taken it over since.
    pub(crate) joined: Joined,
    pub(crate) resource: Resource,
    pub(crate) opened: Moment,
    /// The genuine tokens that the request presented, in its order.
    pub(crate) presented: Vec<SessionToken>,
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
    pub(crate) loaded: OnceCell<Result<(), Error>>,
    /// The session that the load has found, and took.
    pub(crate) taken: OnceLock<Arc<Found>>,
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
    /// The other live sessions that the request's tokens opened.
    pub(crate) others: Vec<Arc<Found>>,
    /// One of several sessions was late or stolen: no cookie leaves but a login's, and nothing else is created.
    pub(crate) is_hushed: bool,
    /// How old the note of `begin_login` was in a session that this exchange has ended.
    pub(crate) noted: Option<Age>,
    /// This exchange has ended a session by the client's own will.
    pub(crate) has_ended: bool,
    pub(crate) skip_touch: bool,
    /// The response head has left.
    pub(crate) sent: bool,
}

/// What this exchange has to do with a session.
#[derive(Clone, Debug, Default)]
pub(crate) enum Standing {
    /// There is none; inserting a value makes one.
    #[default]
    Absent,
    /// There is one.
    Live(Live),
    /// The token was late or stolen, or several opened sessions of different users: only a login makes a session, a new
    /// one.
    Barred(Lost),
    /// It was lost to another request: nothing is created or sent any more.
    Lost(Lost),
    /// There is one that cannot be read: it can be ended, and a login makes a new one.
    Unread(Unread),
}

/// Why there is no session to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Gone,
    Superseded,
    /// None of the sessions that the request's cookies name is taken.
    Withheld(WithheldReason),
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone => Self::Gone,
            Lost::Superseded => Self::Superseded,
            Lost::Withheld(reason) => Self::Withheld(reason),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) found: Arc<Found>,
    /// The secret that the client presented, or has just been given.
    pub(crate) secret: SessionSecret,
    /// When the store was asked for what the token was judged by.
    pub(crate) judged: Instant,
    pub(crate) is_new: bool,
    /// Whether the client presented its token under a key that is marked old.
    pub(crate) under_old_key: bool,
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

impl State {
    /// Looks at the values that are stored, as this exchange knows them.
    pub(crate) fn with_stored<T>(&self, look: impl FnOnce(&Data) -> T) -> T {
        match &self.standing {
            Standing::Live(live) => look(&live.found.record.data),
            _ => look(&Data::new()),
        }
    }

    /// Refuses to answer for the stored session where it cannot be read.
    pub(crate) fn judge_read(&self) -> Result<(), Error> {
        if let Standing::Unread(unread) = &self.standing { unread.judge_read() } else { Ok(()) }
    }

    /// The value under this key, as this request sees it.
    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if !self.seen.cleared && !self.seen.values.contains_key(key) {
            self.judge_read()?;
        }
        Ok(self.with_stored(|stored| self.seen.get(key, stored).cloned()))
    }

    /// How large the session is with this value, and how large it was.
    pub(crate) fn size_with(&mut self, key: &Bytes, value: &Bytes) -> (usize, usize) {
        let before = self.size();
        let replaced = self.with_stored(|stored| self.seen.get(key, stored).map(|value| value_length(key, value)));
        (before - replaced.unwrap_or_default() + value_length(key, value), before)
    }

    /// Lets this request see the value; `None`: that there is none.
    pub(crate) fn see(&mut self, key: &Bytes, value: Option<Bytes>) {
        let before = self.size();
        let replaced = self.with_stored(|stored| self.seen.get(key, stored).map(|value| value_length(key, value)));
        let added = value.as_ref().map(|value| value_length(key, value));
        self.seen.length = Some(before - replaced.unwrap_or_default() + added.unwrap_or_default());
        self.seen.values.insert(key.clone(), value);
        self.version += 1;
    }

    /// Worked out once for each state of what is stored: to add keys one by one costs no square.
    fn size(&mut self) -> usize {
        let known = self.seen.length;
        let size = known.unwrap_or_else(|| self.with_stored(|stored| length(self.seen.entries(stored))));
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
        self.drop_in_flight();
        let mut state = self.state();
        state.standing = Standing::Lost(lost);
        state.answer = Answer::Nothing;
        lost
    }

    /// Takes over a state of the session that the store has now; `None`: it has none. It is lost unless it is of the
    /// generation that this exchange loaded.
    pub(crate) fn adopt(&self, found: Option<Arc<Found>>) -> Result<(), Lost> {
        let Some(found) = found else { return Err(self.lose(Lost::Gone)) };
        let (id, unread) = (found.id, self.turned_unread(&found));
        let mut state = self.state();
        if let Standing::Live(live) = &mut state.standing
            && live.found.header().generation == found.header().generation
        {
            match &unread {
                Some(unread) => state.standing = Standing::Unread(unread.clone()),
                None => live.found = found,
            }
            // Also where the changes cannot be worked out over it: what was measured was the state before.
            state.seen.length = None;
            state.version += 1;
            drop(state);
            if let Some(unread) = &unread {
                self.tell_unread(id, unread);
            }
            return Ok(());
        }
        drop(state);
        Err(self.lose(Lost::Superseded))
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
        let Some(InFlight { carried, .. }) = self.take_in_flight() else { return };
        loop {
            let (_, pending, version) = self.snapshot();
            let merged = carried.clone().then(pending);
            let mut state = self.state();
            if state.version == version {
                let old = std::mem::replace(&mut state.pending, merged);
                drop(state);
                drop(old);
                return;
            }
        }
    }

    /// The changes on their way have arrived, or will not be sent again.
    pub(crate) fn drop_in_flight(&self) {
        drop(self.take_in_flight());
    }

    fn take_in_flight(&self) -> Option<InFlight> {
        self.state().in_flight.take()
    }

    /// Works out anew what this request sees of its pending changes over what is stored now.
    pub(crate) fn rebase(&self) -> Result<(), Error> {
        for _ in 0..MERGES {
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
        Err(Error::Contended)
    }
}
