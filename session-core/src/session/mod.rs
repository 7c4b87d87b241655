//! What a handler touches: the session's values, and what it is.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Exchange, Owner, SessionId,
    exchange::{Attempted, Inner, Live, State},
    record::{Overlay, Updating, ValueKey, format},
    session::at_once::changed,
    store::{MERGES, Patience, read},
};

mod acting;
mod at_once;
mod current;
mod devices;
mod field;
mod login;
mod stored;

pub(crate) use self::login::JudgedLogin;
pub use self::{current::CurrentLogin, field::Field, login::Login, stored::StoredSession};

/// The session of a request: its values, and what can be done with it. Cloning it gives another handle on the same.
///
/// Values that are inserted, updated or removed are kept in memory and saved when the request is committed, merged into
/// what other requests have saved. What acts at once is `async`.
///
/// | to | call |
/// | --- | --- |
/// | read a value | [`get`](Self::get), [`contains`](Self::contains), [`keys`](Self::keys) |
/// | set a value | [`insert`](Self::insert) |
/// | change a value, so that no update is lost | [`update`](Self::update) |
/// | take a value out, for one caller only: a flash message, a code | [`take`](Self::take) |
/// | remove a value, or all | [`remove`](Self::remove), [`clear`](Self::clear) |
/// | log in, at once or over several requests | [`login`](Self::login), [`begin_login`](Self::begin_login) |
/// | log out | [`logout`](Self::logout) |
/// | give the session a fresh token, as `regenerate` and `cycle_id` do elsewhere | [`renew`](Self::renew) |
/// | know who is logged in | [`owner`](Self::owner), [`current_login`](Self::current_login) |
/// | ask for a proof again: a password, a code | [`require_fresh`](Self::require_fresh), [`proved`](Self::proved), [`proved_age`](Self::proved_age) |
/// | list the user's devices, end one, log out everywhere | [`devices`](Self::devices), [`end`](Self::end), [`revoke_others`](Self::revoke_others) |
/// | act as another user | [`act_as`](Self::act_as), [`stop_acting`](Self::stop_acting), [`acting_as`](Self::acting_as) |
/// | know the name of the session, its age and the time left | [`id`](Self::id), [`is_new`](Self::is_new), [`age`](Self::age), [`expires_in`](Self::expires_in), [`ends_in`](Self::ends_in), [`idle_timeout`](Self::idle_timeout) |
/// | work in a websocket or a stream | [`update_now`](Self::update_now), [`save`](Self::save), [`reload`](Self::reload) |
/// | poll without keeping the user logged in | [`skip_touch`](Self::skip_touch) |
/// | know whether the stored session can be read | [`readable`](Self::readable) |
///
/// # Examples
///
/// ```
/// use session_core::{Error, Session};
///
/// fn put_into_cart(session: &Session, article: u64) -> Result<usize, Error> {
///     let cart = session.update("cart", move |cart: &mut Vec<u64>| cart.push(article))?;
///     Ok(cart.len())
/// }
/// ```
#[derive(Clone)]
pub struct Session(Exchange);

impl Session {
    pub(crate) fn of(exchange: Exchange) -> Self {
        Self(exchange)
    }

    pub(crate) fn inner(&self) -> &Inner {
        self.0.inner()
    }

    /// The value under this key, as this request sees it.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if a value of another type is stored.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let value = self.inner().state().value(key.as_bytes())?;
        value.map(|value| format::decode(key.as_bytes(), &value)).transpose()
    }

    /// Whether there is a value under this key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        let state = self.inner().state();
        state.standing.with_stored(|stored| state.seen.get(key.as_bytes(), stored).is_some())
    }

    /// The keys that have a value.
    #[doc(alias = "entries")]
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = self.inner().state();
        let mut keys: Vec<_> = state.standing.with_stored(|stored| {
            state.seen.keys(stored).map(|key| String::from_utf8_lossy(key).into_owned()).collect()
        });
        keys.sort_unstable();
        keys
    }

    /// Sets the value under this key. A value equal to the stored one is no change, and writes nothing.
    ///
    /// The commit saves it. After the response has left, as in a task or a stream, only [`save`](Self::save) does.
    ///
    /// What is accepted here and by [`update`](Self::update), [`get`](Self::get) returns equal; what the format could not
    /// give back is refused. [`Format`](crate::Format) says what that is, and for which types it cannot be promised.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value cannot be encoded, or could not be read back. [`Error::TooLarge`] if the session
    /// would exceed the policy's limit. In both cases nothing has changed.
    #[doc(alias("set", "put"))]
    pub fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        let encoded = self.inner().site().format.encode(key.as_bytes(), value)?;
        let key = ValueKey::from(key.as_bytes());
        let mut state = self.inner().state();
        let is_stored = state.standing.with_stored(|stored| state.seen.get(&key, stored).as_ref() == Some(&encoded));
        if is_stored && !state.seen.values.contains(&key) {
            return Ok(());
        }
        self.see(&mut state, &key, encoded.clone())?;
        let replaced = state.pending.insert(key, encoded);
        // Unlocked: what the closures of the application hold is dropped here.
        drop(state);
        drop(replaced);
        Ok(())
    }

    /// Removes the value under this key; whether there was one.
    #[doc(alias("delete", "unset"))]
    pub fn remove(&self, key: &str) -> bool {
        let key = ValueKey::from(key.as_bytes());
        let mut state = self.inner().state();
        if !state.standing.with_stored(|stored| state.seen.get(&key, stored).is_some()) {
            return false;
        }
        let (size, _) = state.size_with(&key, None);
        state.see(&key, None, size);
        let replaced = state.pending.remove(key);
        drop(state);
        drop(replaced);
        true
    }

    /// Removes every value, also those that other requests add before this one is saved.
    pub fn clear(&self) {
        let mut state = self.inner().state();
        let replaced = state.pending.clear();
        state.seen = Overlay { cleared: true, ..Overlay::default() };
        state.version += 1;
        drop(state);
        drop(replaced);
    }

    /// Changes the value under this key, or its default, and returns it as this request sees it.
    ///
    /// The closure runs again on what another request has saved: so N requests that add 1 at once add N. It must
    /// have no effect but on the value, and must not capture the session.
    ///
    /// # Examples
    ///
    /// As it may run again, the closure cannot give away what it captures; it clones it.
    ///
    /// ```
    /// # fn put(session: &session_core::Session, article: String) -> Result<(), session_core::Error> {
    /// session.update("cart", move |cart: &mut Vec<String>| cart.push(article.clone()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// ```compile_fail,E0507
    /// # fn put(session: &session_core::Session, article: String) -> Result<(), session_core::Error> {
    /// // `Fn`, not `FnOnce`.
    /// session.update("cart", move |cart: &mut Vec<String>| cart.push(article))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Nor can it borrow, or hold what other threads must not see.
    ///
    /// ```compile_fail,E0521
    /// # fn add(session: &session_core::Session, amount: &u64) -> Result<(), session_core::Error> {
    /// // Copy the amount first.
    /// session.update("total", move |total: &mut u64| *total += amount)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if a value of another type is stored, [`Error::Encode`] and [`Error::TooLarge`] as
    /// [`insert`](Self::insert), [`Error::Contended`] if other tasks of this request changed it each time the closure ran:
    /// then nothing has changed. [`Error::UpdateAfterResponse`] in a stream or websocket, whose response has left: the answer
    /// could be long outdated. Take [`update_now`](Self::update_now).
    #[doc(alias = "modify")]
    pub fn update<T, F>(&self, key: &str, change: F) -> Result<T, Error>
    where
        T: Default + Serialize + DeserializeOwned,
        F: Fn(&mut T) + Send + Sync + 'static,
    {
        let key = ValueKey::from(key.as_bytes());
        let (format, of) = (self.inner().site().format, key.clone());
        let run = move |before: Option<&Bytes>| changed(format, &of, before, &change);
        for _ in 0..MERGES {
            let (before, version) = {
                let state = self.inner().state();
                if state.sent {
                    return Err(Error::UpdateAfterResponse);
                }
                (state.value(&key)?, state.version)
            };
            // Unlocked: it is the application's code.
            let (value, after) = run(before.as_ref())?;
            let mut state = self.inner().state();
            if state.version == version {
                self.see(&mut state, &key, after.clone())?;
                state.pending.update(key, Arc::new(Updating { run, before, after }));
                return Ok(value);
            }
        }
        Err(Error::Contended)
    }

    /// Does not count this request as use of the session: for a poll that must not keep the user signed in.
    pub fn skip_touch(&self) {
        self.inner().state().skip_touch = true;
    }

    /// The session's name, for logs and lists of devices; none before it is stored.
    #[doc(alias("session_id", "sessionID"))]
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.live(|live| live.found.id)
    }

    /// Who is logged in. While they [act](Self::act_as) as another user, that is still the one who has logged in.
    #[doc(alias("user", "user_id", "identity"))]
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.live(|live| live.found.header().owner.clone()).flatten()
    }

    /// Whether the session was not there before this request.
    #[must_use]
    pub fn is_new(&self) -> bool {
        let loaded = self.inner().taken().map(|found| found.id);
        self.live(|live| Some(live.found.id) != loaded).unwrap_or(true)
    }

    /// How long ago the session, or its last login, began.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.live(|live| live.found.age().duration())
    }

    /// How long until the session expires unless it is used.
    #[doc(alias("expiry", "max_age", "ttl"))]
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.live(|live| live.found.left.now().expires_in)
    }

    /// How long until the session ends, whatever happens.
    #[must_use]
    pub fn ends_in(&self) -> Option<Duration> {
        self.live(|live| live.found.left.now().ends_in)
    }

    /// How long the session lasts without use. For a warning before it ends.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.live(|live| live.found.header().lifetime.idle)
    }

    /// Takes the value out for one caller only, and saves that at once: for one-time codes and flash messages. Of many
    /// callers at the same time one gets it, the others `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`]: the value stays. [`Error::Gone`], [`Error::Superseded`] if the session was lost since it was
    /// loaded. Else as [`Exchange::commit`]: if it is unknown whether the value was taken out, it is not handed out either.
    #[doc(alias("flash", "pop"))]
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let inner = self.inner();
        let mut place = inner.place().await;
        let mut turn = place.resolve().await?;
        let key = ValueKey::from(key.as_bytes());
        let mut patience = Patience::new();
        loop {
            patience.attempt()?;
            let view = turn.view();
            let live = view.standing.to_read()?;
            let mut data = view.merged()?;
            let Some(taken) = data.remove(&key) else { return Ok(None) };
            let value = format::decode(&key, &taken)?;
            let Some(Live { found, .. }) = live else {
                // Nothing is stored yet, so nobody else can take it.
                let mut state = inner.state();
                if state.version != view.version {
                    continue;
                }
                let (size, _) = state.size_with(&key, None);
                state.see(&key, None, size);
                let replaced = state.pending.remove(key);
                drop(state);
                drop(replaced);
                return Ok(Some(value));
            };
            let mut edit = view.edit(found, found.header().clone(), data, view.use_of(found))?;
            if let Attempted::Done(_) = turn.attempt(&mut edit, &mut patience).await? {
                return Ok(Some(value));
            }
        }
    }

    /// Saves the changes at once: for streams and websockets, whose response head has left, and for who must know.
    ///
    /// It counts as use of the session, also with nothing to save: a websocket that calls it now and then keeps its user
    /// logged in. It writes for that once a minute at most.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Superseded`]: nothing was saved. [`Error::ResponseSent`] or [`Error::Withheld`] if the
    /// session would have to be created. Else as [`Exchange::commit`].
    pub async fn save(&self) -> Result<(), Error> {
        self.inner().save().await?.kept()
    }

    /// Looks again at what is stored, and puts this request's unsaved changes on top. It does not count as use of the
    /// session.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the session has ended, [`Error::Superseded`] if a login or renewal has overtaken this request: a
    /// websocket that was opened before the login does not become the user's. [`Error::Store`].
    #[doc(alias("load", "refresh"))]
    pub async fn reload(&self) -> Result<(), Error> {
        let inner = self.inner();
        let mut place = inner.place().await;
        let mut turn = place.resolve().await?;
        let view = turn.view();
        let Some(live) = view.standing.to_read()? else { return Ok(()) };
        let now = read(&inner.store, &live.found.id).await?;
        turn.follow(now)
    }

    fn live<T>(&self, read: impl FnOnce(&Live) -> T) -> Option<T> {
        self.inner().state().standing.live().map(read)
    }

    /// Lets this request see the value, unless the session would become too large.
    fn see(&self, state: &mut State, key: &ValueKey, value: Bytes) -> Result<(), Error> {
        let (size, before) = state.size_with(key, Some(&value));
        let limit = self.inner().site().policy.size_limit;
        // One that was larger before the limit was lowered may go on, but not grow.
        if size > limit && size > before {
            return Err(Error::TooLarge { size, limit });
        }
        state.see(key, Some(value), size);
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, owner) = (self.id(), self.owner());
        f.debug_struct("Session").field("id", &id).field("owner", &owner).finish_non_exhaustive()
    }
}
