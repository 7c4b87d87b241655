//! What a request changed, applying it to what is stored, and the compare-and-swap that saves it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    Entry, Error, Expiry, Revision, SessionId, StoreError,
    moment::TimeLeft,
    patience::PatientStore,
    record::{Data, Found, Record, Values},
};

/// Runs again on what another request saved meanwhile.
pub(crate) type Update = Arc<dyn Fn(Option<&Bytes>) -> Result<Bytes, Error> + Send + Sync>;

/// What a request changed: applied to any state of the session it gives that state with the changes.
#[derive(Clone, Default)]
pub(crate) struct Delta {
    cleared: bool,
    changes: BTreeMap<Bytes, Change>,
}

#[derive(Clone, Default)]
pub(crate) struct Change {
    /// `None`: the updates start from what is stored.
    start: Option<Start>,
    updates: Vec<Update>,
}

#[derive(Clone)]
enum Start {
    Value(Bytes),
    Absent,
}

impl Delta {
    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.changes.is_empty()
    }

    /// Returns the change that this one replaces, to be dropped where no lock is held.
    pub(crate) fn insert(&mut self, key: Bytes, value: Bytes) -> Option<Change> {
        self.changes.insert(key, Change { start: Some(Start::Value(value)), updates: Vec::new() })
    }

    /// Returns the change that this one replaces, to be dropped where no lock is held.
    pub(crate) fn remove(&mut self, key: Bytes) -> Option<Change> {
        self.changes.insert(key, Change { start: Some(Start::Absent), updates: Vec::new() })
    }

    pub(crate) fn update(&mut self, key: Bytes, update: Update) {
        self.changes.entry(key).or_default().updates.push(update);
    }

    /// Returns the changes that this one replaces, to be dropped where no lock is held.
    pub(crate) fn clear(&mut self) -> Self {
        std::mem::replace(self, Self { cleared: true, changes: BTreeMap::new() })
    }

    /// These changes, then the later ones.
    pub(crate) fn then(mut self, later: Self) -> Self {
        if later.cleared {
            return later;
        }
        for (key, change) in later.changes {
            if change.start.is_some() {
                self.changes.insert(key, change);
            } else {
                self.changes.entry(key).or_default().updates.extend(change.updates);
            }
        }
        self
    }

    /// The values of the changed keys over this state. `None`: absent.
    pub(crate) fn over(&self, data: &Data) -> Result<Overlay, Error> {
        let stored = data.values()?;
        let mut values = BTreeMap::new();
        for (key, change) in &self.changes {
            let mut value = match &change.start {
                Some(Start::Value(value)) => Some(value.clone()),
                Some(Start::Absent) => None,
                None if self.cleared => None,
                None => stored.get(key).cloned(),
            };
            for update in &change.updates {
                value = Some(update(value.as_ref())?);
            }
            values.insert(key.clone(), value);
        }
        Ok(Overlay { cleared: self.cleared, values, length: None })
    }

    pub(crate) fn apply(&self, data: &Data) -> Result<Data, Error> {
        let overlay = self.over(data)?;
        let mut applied = if self.cleared { Values::new() } else { data.values()?.clone() };
        for (key, value) in overlay.values {
            match value {
                Some(value) => applied.insert(key, value),
                None => applied.remove(&key),
            };
        }
        Ok(Data::Values(applied))
    }
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delta(cleared: {}, {} keys)", self.cleared, self.changes.len())
    }
}

/// The changed keys with the values that this request sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) cleared: bool,
    pub(crate) values: BTreeMap<Bytes, Option<Bytes>>,
    /// Of an envelope with what is seen, once it was worked out.
    pub(crate) length: Option<usize>,
}

impl Overlay {
    pub(crate) fn get<'a>(&'a self, key: &[u8], below: &'a Data) -> Option<&'a Bytes> {
        match self.values.get(key) {
            Some(value) => value.as_ref(),
            None if self.cleared => None,
            None => below.get(key),
        }
    }

    /// The values over these, in the order of their keys.
    pub(crate) fn entries<'a>(&'a self, below: &'a Data) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
        let untouched = below.iter().filter(|(key, _)| !self.cleared && !self.values.contains_key(*key));
        untouched.chain(self.values.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))))
    }
}

/// A `replace` under a revision of its own, so that an unknown outcome can be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) id: SessionId,
    pub(crate) expected: Revision,
    pub(crate) own: Revision,
    pub(crate) record: Record,
    pub(crate) expiry: Expiry,
    /// Of the session under `expected`.
    pub(crate) left: TimeLeft,
}

/// What became of a [`Write`].
#[derive(Debug)]
pub(crate) enum Settled {
    /// It was applied; the state is now this one, perhaps with later writes on top.
    Applied(Arc<Found>),
    /// It was not applied and never will be; the state is now this one.
    Conflict(Arc<Found>),
    /// There is no such session any more.
    Gone,
}

/// How often one write is sent while its outcome stays unknown.
const SENDINGS: u32 = 3;

impl Write {
    /// The write that puts `record` in the place of `base`. What cannot be read is never overwritten, only carried along.
    pub(crate) fn new(base: &Found, mut record: Record, expiry: Expiry) -> Result<Self, Error> {
        match base.record.data.values() {
            Err(unread) if record.data != base.record.data => return Err(unread.into()),
            _ => {}
        }
        let own = Revision::random()?;
        record.header = record.header.under(own);
        Ok(Self { id: base.id, expected: base.revision, own, record, expiry, left: base.left })
    }

    /// Sends the write until its outcome is known.
    ///
    /// A `false` to the only sending is a plain conflict. Where `outcome_unknown`, and after any error, a `false` may be
    /// our own first sending's doing: so the record is asked for our revision before the write is sent again, under the
    /// same revision. No write is applied twice, not even by a packet that arrives late.
    ///
    /// After a conflict it waits as [`pause`] does after so many merges, and looks only then: what it answers is fresh.
    pub(crate) async fn settle(
        &self,
        store: &PatientStore,
        mut outcome_unknown: bool,
        merges: u32,
    ) -> Result<Settled, Error> {
        let mut failure = None;
        for sending in 0..SENDINGS {
            if outcome_unknown {
                let Some(found) = read(store, &self.id).await? else { return Ok(Settled::Gone) };
                if found.record.header.remembers(self.own) {
                    return Ok(Settled::Applied(found));
                }
                if found.revision != self.expected {
                    let is_beaten = found.record.header.remembers(self.expected);
                    return if is_beaten { Ok(Settled::Conflict(found)) } else { Err(Error::OutcomeUnknown) };
                }
                pause(2 * sending).await;
            }
            match self.send(store).await {
                Ok(Some(applied)) => return Ok(Settled::Applied(applied)),
                Ok(None) if !outcome_unknown => {
                    pause(merges).await;
                    return Ok(read(store, &self.id).await?.map_or(Settled::Gone, Settled::Conflict));
                }
                Ok(None) => {}
                Err(error) => {
                    failure = Some(error);
                    outcome_unknown = true;
                }
            }
        }
        Err(failure.map_or(Error::Contended, Error::from))
    }

    /// Sends the write once: the session as it then is, or nothing if `expected` is no longer its revision.
    pub(crate) async fn send(&self, store: &PatientStore) -> Result<Option<Arc<Found>>, StoreError> {
        let payload = self.record.encode();
        let entry = Entry::new(self.own, &payload).with_owner(self.record.header.owner.as_ref());
        let is_applied = store.replace(&self.id, self.expected, entry, self.expiry).await?;
        Ok(is_applied.then(|| self.applied()))
    }

    fn applied(&self) -> Arc<Found> {
        let asked = Instant::now();
        let left = match self.expiry {
            Expiry::Keep => self.left,
            Expiry::Extend(idle) => {
                let ends_in = self.left.now().ends_in;
                TimeLeft { asked, expires_in: idle.min(ends_in), ends_in }
            }
            Expiry::Restart { expires_in, ends_in } => TimeLeft { asked, expires_in: expires_in.min(ends_in), ends_in },
        };
        Arc::new(Found { id: self.id, record: self.record.clone(), revision: self.own, left })
    }
}

/// Loads and decodes a session.
pub(crate) async fn read(store: &PatientStore, id: &SessionId) -> Result<Option<Arc<Found>>, Error> {
    let asked = Instant::now();
    let Some(loaded) = store.load(id).await? else { return Ok(None) };
    Ok(Some(Arc::new(Found::decode(*id, loaded, asked)?)))
}

/// How often something is worked out anew because another was quicker: on a store in memory, others that write without a
/// pause win sixty times in a row.
pub(crate) const MERGES: u32 = 512;

/// How often what only rides along is tried: the next request can do it, too.
pub(crate) const RIDES: u32 = AT_LEAST - 1;

/// So often it is tried however long that takes.
const AT_LEAST: u32 = 8;

/// So long it is tried again, where that is more often.
const PATIENCE: Duration = Duration::from_secs(5);

/// The numbers of the attempts at what others may be quicker at.
pub(crate) fn attempts() -> impl Iterator<Item = u32> {
    let begun = Instant::now();
    (0..MERGES).take_while(move |&attempt| attempt < AT_LEAST || begun.elapsed() < PATIENCE)
}

/// Waits a random while between contended writes: up to 1, 4, 16, and then 32 ms. Every other time it goes on at once: who
/// has just slept is slower than who has not, and would be beaten again.
pub(crate) async fn pause(attempt: u32) {
    if attempt % 2 == 1 {
        return;
    }
    let most = 1000 << attempt.min(5);
    let part = crate::token::random::<1>().map_or(255, |[byte]| u64::from(byte));
    tokio::time::sleep(Duration::from_micros(most * part / 255)).await;
}

#[cfg(test)]
mod tests;
