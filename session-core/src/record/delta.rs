//! What a request changed, and applying it to what is stored.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{
    Error,
    few::Few,
    record::{Data, KeyMap, ValueKey, Values, length_if_any},
};

/// What makes a value of the stored one, or of none. It is applied again to what another request has saved.
pub(crate) trait Update: Send + Sync {
    fn apply(&self, stored: Option<&Bytes>) -> Result<Bytes, Error>;
}

/// A change of a value, as a request saves it: what `run` makes of the stored one.
pub(crate) struct Updating<R> {
    pub(crate) run: R,
    /// What it was first made of.
    pub(crate) before: Option<Bytes>,
    /// What came of that. So the closure runs again only on another value.
    pub(crate) after: Bytes,
}

impl<T, R> Update for Updating<R>
where
    R: Fn(Option<&Bytes>) -> Result<(T, Bytes), Error> + Send + Sync,
{
    fn apply(&self, stored: Option<&Bytes>) -> Result<Bytes, Error> {
        if stored == self.before.as_ref() {
            return Ok(self.after.clone());
        }
        (self.run)(stored).map(|(_, after)| after)
    }
}

/// What a request changed: applied to any state of the session it gives that state with the changes.
#[derive(Clone, Default)]
pub(crate) struct Delta {
    cleared: bool,
    changes: KeyMap<Change>,
}

#[derive(Clone, Default)]
pub(crate) struct Change {
    /// `None`: the updates start from what is stored.
    start: Option<Start>,
    updates: Few<Arc<dyn Update>>,
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
    pub(crate) fn insert(&mut self, key: ValueKey, value: Bytes) -> Option<Change> {
        self.changes.insert(key, Change { start: Some(Start::Value(value)), updates: Few::default() })
    }

    /// Returns the change that this one replaces, to be dropped where no lock is held.
    pub(crate) fn remove(&mut self, key: ValueKey) -> Option<Change> {
        self.changes.insert(key, Change { start: Some(Start::Absent), updates: Few::default() })
    }

    pub(crate) fn update(&mut self, key: ValueKey, update: Arc<dyn Update>) {
        self.changes.or_default(key).updates.push(update);
    }

    /// Returns the changes that this one replaces, to be dropped where no lock is held.
    pub(crate) fn clear(&mut self) -> Self {
        std::mem::replace(self, Self { cleared: true, changes: KeyMap::new() })
    }

    /// These changes, then the later ones.
    pub(crate) fn then(mut self, later: Self) -> Self {
        if later.cleared {
            return later;
        }
        for (key, change) in later.changes.into_entries() {
            if change.start.is_some() {
                self.changes.insert(key, change);
            } else {
                let updates = &mut self.changes.or_default(key).updates;
                change.updates.into_entries().for_each(|update| updates.push(update));
            }
        }
        self
    }

    /// The values of the changed keys over this state. `None`: absent.
    pub(crate) fn over(&self, data: &Data) -> Result<Overlay, Error> {
        let stored = data.values()?;
        let mut values = KeyMap::new();
        for (key, change) in self.changes.iter() {
            values.insert(key.clone(), self.value(key, change, stored)?);
        }
        Ok(Overlay { cleared: self.cleared, values, length: None })
    }

    pub(crate) fn apply(&self, data: &Data) -> Result<Data, Error> {
        let stored = data.values()?;
        let mut applied = if self.cleared { Values::new() } else { stored.clone() };
        for (key, change) in self.changes.iter() {
            applied.set(key.clone(), self.value(key, change, stored)?);
        }
        Ok(Data::Values(applied))
    }

    fn value(&self, key: &[u8], change: &Change, stored: &Values) -> Result<Option<Bytes>, Error> {
        let start = match &change.start {
            Some(Start::Value(value)) => Some(value.clone()),
            Some(Start::Absent) => None,
            None if self.cleared => None,
            None => stored.get(key),
        };
        change.updates.iter().try_fold(start, |value, update| update.apply(value.as_ref()).map(Some))
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
    pub(crate) values: KeyMap<Option<Bytes>>,
    /// Of an envelope with what is seen, once it was worked out.
    pub(crate) length: Option<usize>,
}

impl Overlay {
    pub(crate) fn get(&self, key: &[u8], below: &Data) -> Option<Bytes> {
        match self.values.get(key) {
            Some(value) => value.clone(),
            None if self.cleared => None,
            None => below.get(key),
        }
    }

    /// The keys of the values over these, in no order.
    pub(crate) fn keys<'a>(&'a self, below: &'a Data) -> impl Iterator<Item = &'a [u8]> {
        let untouched = below.iter().filter(|(key, _)| !self.cleared && !self.values.contains(key));
        let changed = self.values.iter().filter(|(_, value)| value.is_some());
        untouched.map(|(key, _)| key).chain(changed.map(|(key, _)| &**key))
    }

    /// How many bytes an envelope with the values over these takes at most.
    pub(crate) fn length_over(&self, below: &Data) -> usize {
        let none = Data::new();
        let below = if self.cleared { &none } else { below };
        self.values.iter().fold(below.length(), |length, (key, value)| {
            length - below.length_of(key) + length_if_any(key, value.as_ref())
        })
    }

    /// How many bytes of that are of this value.
    pub(crate) fn length_of(&self, key: &[u8], below: &Data) -> usize {
        match self.values.get(key) {
            Some(value) => length_if_any(key, value.as_ref()),
            None if self.cleared => 0,
            None => below.length_of(key),
        }
    }
}

#[cfg(test)]
mod tests;
