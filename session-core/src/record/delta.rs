//! What a request changed, and applying it to what is stored.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;

use crate::{
    Error,
    record::{Data, Values},
};

/// Runs again on what another request has saved.
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

#[cfg(test)]
mod tests;
