//! Whose session it is; devices, ending, revoking, and the limit of sessions.

use std::{cmp::Reverse, convert::Infallible, fmt, future::poll_fn, task::Poll, time::Duration};

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    EndReason, Error, EventKind, Loaded, Revision, SessionId, StoreError, format,
    merge::{attempts, pause, read},
    patience::PatientStore,
    record::{Data, Found},
    site::Caller,
};

mod conversion;

pub use conversion::UnexpectedOwner;

/// How many sessions are ended at once where an owner has too many.
const ENDED_AT_ONCE: usize = 32;

/// The application's user id, opaque to the sessions: 1 to 255 bytes.
///
/// Made of a number, it is the number in decimal text. Made of a `Uuid` (feature `uuid`), it is the UUID in lower case with
/// hyphens. Made of text or bytes, it is these.
///
/// `Display` writes the text as it is, `Zoë` as `Zoë`, so that `owner.to_string()` finds the user again. Bytes that are no
/// UTF-8 are escaped. A name that a user may choose can hold a line break: for a log there is [`escaped`](Self::escaped).
///
/// # Examples
///
/// ```
/// use session_core::Owner;
///
/// let by_number = Owner::from(42);
/// let by_name = Owner::try_from("42")?;
/// assert_eq!(by_number, by_name);
/// assert_eq!(by_number.as_str(), Some("42"));
/// # Ok::<(), session_core::InvalidOwner>(())
/// ```
///
/// Back to a number, where it is the owner that this number makes:
///
/// ```
/// use session_core::{Owner, UnexpectedOwner};
///
/// let user: u64 = Owner::from(42).try_into()?;
/// assert_eq!(user, 42);
/// assert!(u64::try_from(Owner::try_from("007").unwrap()).is_err()); // another owner than Owner::from(7)
/// # Ok::<(), UnexpectedOwner>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Box<[u8]>);

impl Owner {
    /// The longest owner, in bytes.
    pub const MAX_LENGTH: usize = 255;

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The owner as text; `None` if its bytes are no UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The owner in one line of a log: like `Display`, but what could forge or hide a line is escaped as in Rust. That is
    /// control characters, those that turn the direction of text, the backslash and the double quote.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::Owner;
    ///
    /// let owner = Owner::try_from("Zoë\nroot logged in")?;
    /// assert_eq!(owner.escaped().to_string(), r"Zoë\nroot logged in");
    /// # Ok::<(), session_core::InvalidOwner>(())
    /// ```
    #[must_use]
    pub fn escaped(&self) -> impl fmt::Display {
        Escaped(self)
    }
}

/// An owner in one line of a log.
struct Escaped<'a>(&'a Owner);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(text) = self.0.as_str() else { return self.0.fmt(f) };
        for (index, part) in text.split('\'').enumerate() {
            // An apostrophe forges nothing: O'Neill is still to be found in a log.
            write!(f, "{}{}", if index > 0 { "'" } else { "" }, part.escape_debug())?;
        }
        Ok(())
    }
}

impl TryFrom<&[u8]> for Owner {
    type Error = InvalidOwner;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidOwner> {
        match bytes.len() {
            1..=Self::MAX_LENGTH => Ok(Self(bytes.into())),
            length => Err(InvalidOwner { length }),
        }
    }
}

impl TryFrom<&str> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: &str) -> Result<Self, InvalidOwner> {
        text.as_bytes().try_into()
    }
}

impl TryFrom<&String> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: &String) -> Result<Self, InvalidOwner> {
        text.as_bytes().try_into()
    }
}

impl TryFrom<String> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: String) -> Result<Self, InvalidOwner> {
        text.as_str().try_into()
    }
}

macro_rules! owner_from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Owner {
            /// The integer in decimal text.
            fn from(id: $integer) -> Self {
                Self(id.to_string().into_bytes().into())
            }
        }
    )*};
}

owner_from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.pad(text),
            None => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.escaped())
    }
}

/// An owner has 1 to 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner has 1 to 255 bytes, this one has {length}")]
pub struct InvalidOwner {
    length: usize,
}

impl From<Infallible> for InvalidOwner {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A session in a user's list of devices.
#[derive(Clone)]
#[non_exhaustive]
pub struct Device {
    /// The session's name, fit for a form: it is no secret.
    pub id: SessionId,
    /// Whether it is the session of this very request.
    pub is_current: bool,
    /// How long ago the login began.
    pub age: Duration,
    /// The last use was at most so long ago.
    pub last_seen: Duration,
    data: Data,
}

impl Device {
    /// A value that the application stored in that session, as a label of the device.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if a value of another type is stored, [`Error::Store`] if the values of that session cannot be
    /// read: then the device can still be ended.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.data.values()?.get(key.as_bytes()).map(|value| format::decode(key.as_bytes(), value)).transpose()
    }

    fn new(found: Found, current: Option<SessionId>) -> Self {
        let age = Duration::from_millis(found.age_when_asked().max(0).unsigned_abs());
        let unused = found.header().lifetime.idle.saturating_sub(found.left.expires_in);
        Self {
            id: found.id,
            is_current: current == Some(found.id),
            age,
            last_seen: unused.min(age),
            data: found.record.data,
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, is_current, age, last_seen, .. } = self;
        f.debug_struct("Device")
            .field("id", id)
            .field("is_current", is_current)
            .field("age", age)
            .field("last_seen", last_seen)
            .finish_non_exhaustive()
    }
}

/// The owner's sessions, the one that was begun last first. What cannot be read is left out, with an event.
pub(crate) async fn devices(
    caller: Caller<'_>,
    owner: &Owner,
    current: Option<SessionId>,
) -> Result<Vec<Device>, Error> {
    let asked = Instant::now();
    let mut devices = Vec::new();
    for (id, loaded) in caller.store.list(owner).await? {
        match Found::decode(id, loaded, asked) {
            Ok(found) => devices.push(Device::new(found, current)),
            Err(error) => caller.tell(EventKind::Unreadable(error.into()), Some(id), Some(owner)),
        }
    }
    devices.sort_by_key(|device| (device.age, device.id));
    Ok(devices)
}

/// Ends the session if it is this owner's.
pub(crate) async fn end(caller: Caller<'_>, owner: &Owner, id: &SessionId) -> Result<bool, Error> {
    let is_ended = match delete(caller.store, owner, id).await {
        Err(error @ Error::Store(StoreError::Corrupt { .. })) => {
            caller.tell(EventKind::Unreadable(error), Some(*id), None);
            false
        }
        deleted => deleted?,
    };
    if is_ended {
        caller.tell(EventKind::Ended(EndReason::EndedByOwner), Some(*id), Some(owner));
    }
    Ok(is_ended)
}

async fn delete(store: &PatientStore, owner: &Owner, id: &SessionId) -> Result<bool, Error> {
    let mut failures = 0;
    for attempt in attempts() {
        let revision = match read(store, id).await? {
            Some(found) if found.header().owner.as_ref() == Some(owner) => found.revision,
            Some(_) => return Ok(false),
            // After a deletion whose answer was lost, it was ours.
            None => return Ok(failures > 0),
        };
        match store.delete(id, revision).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(_) if failures < 2 => failures += 1,
            Err(error) => return Err(error.into()),
        }
        pause(attempt).await;
    }
    Err(Error::Contended)
}

/// Ends the owner's oldest sessions until no more than the limit are left, exempting none: so parallel logins agree.
/// `false` if `own` was among them, or another login has ended it.
pub(crate) async fn evict(caller: Caller<'_>, owner: &Owner, limit: u32, own: SessionId) -> Result<bool, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut failures = 0;
    for attempt in attempts() {
        let asked = Instant::now();
        let mut listed = oldest_first(caller.store.list(owner).await?, asked);
        if listed.iter().all(|(id, _)| *id != own) {
            return Ok(false);
        }
        listed.truncate(listed.len().saturating_sub(limit));
        let is_own = |(id, _): &(SessionId, Revision)| *id == own;
        let (of_own, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(is_own);
        let deletion = end_all(caller, owner, &others).await;
        // Whether the others could be ended or not, there are enough sessions that are younger than this one.
        if !of_own.is_empty() {
            end_all(caller, owner, &of_own).await?;
            return Ok(false);
        }
        match deletion {
            Ok(true) => return Ok(true),
            // Another login has ended some of them, or they have moved.
            Ok(false) => {}
            Err(_) if failures < 2 => failures += 1,
            Err(error) => return Err(error.into()),
        }
        pause(attempt).await;
    }
    Err(Error::Contended)
}

/// Ends the sessions that still have these revisions, some at once; `false` if one of them had not.
async fn end_all(caller: Caller<'_>, owner: &Owner, sessions: &[(SessionId, Revision)]) -> Result<bool, StoreError> {
    let mut all_ended = Ok(true);
    for batch in sessions.chunks(ENDED_AT_ONCE) {
        let deletions =
            batch.iter().map(|(id, revision)| async move { (id, caller.store.delete(id, *revision).await) });
        for (id, deleted) in join(deletions).await {
            match deleted {
                Ok(true) => {
                    caller.tell(EventKind::Ended(EndReason::TooManySessions), Some(*id), Some(owner));
                }
                Ok(false) => all_ended = all_ended.map(|_| false),
                Err(error) => all_ended = Err(error),
            }
        }
        // What one of them has failed of, the next will.
        if all_ended.is_err() {
            break;
        }
    }
    all_ended
}

/// Runs all of them at once. The outcomes are in the order of the futures.
async fn join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        for (future, outcome) in running.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            if let Poll::Ready(done) = future.as_mut().poll(context) {
                *outcome = Some(done);
            }
        }
        if running.iter().all(|(_, outcome)| outcome.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

/// All readers put the same sessions in the same order, whenever each of them asked.
pub(crate) fn oldest_first(listed: Vec<(SessionId, Loaded)>, asked: Instant) -> Vec<(SessionId, Revision)> {
    let age = |(id, loaded): (SessionId, Loaded)| {
        let revision = loaded.revision;
        // What cannot be read counts as the oldest.
        let age = Found::decode(id, loaded, asked).map_or(i128::MAX, |found| found.exact_age_when_asked());
        (Reverse(age), id, revision)
    };
    let mut aged: Vec<_> = listed.into_iter().map(age).collect();
    aged.sort_unstable_by_key(|(age, id, _)| (*age, *id));
    aged.into_iter().map(|(_, id, revision)| (id, revision)).collect()
}

#[cfg(test)]
mod tests;
