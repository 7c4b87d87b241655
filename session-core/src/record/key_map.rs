//! A map that usually has one key.

use std::{
    collections::{BTreeMap, btree_map},
    sync::Arc,
};

/// The key of a value, as what was changed keeps it. A clone shares it from the first one on.
pub(crate) type ValueKey = Arc<[u8]>;

/// A longer vector would have to move too much for each new key.
const FEW: usize = 32;

/// A map of keys. Few of them are a sorted vector: most requests change one key, and a tree has room for eleven.
#[derive(Clone, Debug)]
pub(crate) enum KeyMap<V> {
    Few(Vec<(ValueKey, V)>),
    Many(BTreeMap<ValueKey, V>),
}

impl<V> KeyMap<V> {
    pub(crate) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(entries) => entries.len(),
            Self::Many(entries) => entries.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        match self {
            Self::Few(entries) => place(entries, key).ok().map(|at| &entries[at].1),
            Self::Many(entries) => entries.get(key),
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Returns the value that this one replaces.
    pub(crate) fn insert(&mut self, key: ValueKey, value: V) -> Option<V> {
        self.make_room();
        match self {
            Self::Few(entries) => match place(entries, &key) {
                Ok(at) => Some(std::mem::replace(&mut entries[at].1, value)),
                Err(at) => {
                    entries.insert(at, (key, value));
                    None
                }
            },
            Self::Many(entries) => entries.insert(key, value),
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<V> {
        match self {
            Self::Few(entries) => place(entries, key).ok().map(|at| entries.remove(at).1),
            Self::Many(entries) => entries.remove(key),
        }
    }

    /// The value under this key, or its default, which is then there.
    pub(crate) fn or_default(&mut self, key: ValueKey) -> &mut V
    where
        V: Default,
    {
        self.make_room();
        match self {
            Self::Few(entries) => {
                let at = place(entries, &key).unwrap_or_else(|at| {
                    entries.insert(at, (key, V::default()));
                    at
                });
                &mut entries[at].1
            }
            Self::Many(entries) => entries.entry(key).or_default(),
        }
    }

    /// In the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ValueKey, &V)> + Clone {
        let (few, many) = match self {
            Self::Few(entries) => (&entries[..], btree_map::Iter::default()),
            Self::Many(entries) => (&[][..], entries.iter()),
        };
        few.iter().map(|(key, value)| (key, value)).chain(many)
    }

    /// In the order of the keys.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (ValueKey, V)> {
        let (few, many) = match self {
            Self::Few(entries) => (entries, BTreeMap::new()),
            Self::Many(entries) => (Vec::new(), entries),
        };
        few.into_iter().chain(many)
    }

    /// Makes room for one more entry.
    fn make_room(&mut self) {
        let Self::Few(entries) = self else { return };
        if entries.is_empty() {
            entries.reserve_exact(1);
        } else if entries.len() == FEW {
            *self = Self::Many(std::mem::take(entries).into_iter().collect());
        }
    }
}

/// Where the key is, or where it would have to be.
fn place<V>(entries: &[(ValueKey, V)], key: &[u8]) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| (**other).cmp(key))
}

impl<V> Default for KeyMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: PartialEq> PartialEq for KeyMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for KeyMap<V> {}
