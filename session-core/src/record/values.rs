//! The session's values, each encoded.
//!
//! They stay as they were loaded: checked once, and then searched. What was changed lies beside them. Both come together
//! when the session is written, so a value that nobody has changed is never copied but into what is written.

use std::{cmp::Ordering, collections::BTreeMap, iter, ops::Range};

use bytes::{Buf, BufMut, Bytes};

use super::{KeyMap, ValueKey, value_length};

/// The session's values: key → format byte and value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    stored: Stored,
    /// `None`: removed. Nothing here is equal to what is stored.
    changed: KeyMap<Option<Bytes>>,
}

impl Values {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reads what [`put`](Self::put) has written.
    pub(crate) fn read(part: &Bytes) -> Option<Self> {
        Some(Self { stored: Stored::read(part)?, changed: KeyMap::new() })
    }

    /// Writes how many they are, and each of them.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_length(out, self.len());
        let (entries, mut put) = (&self.stored.entries, 0);
        for (key, value) in self.changed.iter() {
            let place = self.stored.place(key);
            out.put_slice(&entries[put..place.start]);
            put = place.end;
            if let Some(value) = value {
                put_entry(out, key, value);
            }
        }
        out.put_slice(&entries[put..]);
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Bytes> {
        match self.changed.get(key) {
            Some(value) => value.clone(),
            None => self.stored.get(key),
        }
    }

    pub(crate) fn insert(&mut self, key: ValueKey, value: Bytes) {
        self.set(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: &ValueKey) -> Option<Bytes> {
        let removed = self.get(key)?;
        self.set(key.clone(), None);
        Some(removed)
    }

    /// `None`: there is no such value from now on.
    pub(crate) fn set(&mut self, key: ValueKey, value: Option<Bytes>) {
        if self.stored.get(&key) == value {
            self.changed.remove(&key);
        } else {
            self.changed.insert(key, value);
        }
    }

    /// In no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let untouched = self.stored.iter().filter(|(key, _)| !self.changed.contains(key));
        untouched.chain(self.changed.iter().filter_map(|(key, value)| Some((&**key, value.as_deref()?))))
    }

    /// In the order of the alphabet.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
        keys.sort_unstable();
        keys
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.changed.iter().fold(self.stored.count, |count, (key, value)| {
            count - usize::from(!self.stored.place(key).is_empty()) + usize::from(value.is_some())
        })
    }

    /// How many bytes all of them take in an envelope.
    pub(crate) fn encoded_length(&self) -> usize {
        self.changed.iter().fold(self.stored.entries.len(), |length, (key, value)| {
            length - self.stored.place(key).len() + value.as_ref().map_or(0, |value| value_length(key, value))
        })
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        if self.stored.is_one_with(&other.stored) {
            return self.changed == other.changed;
        }
        self.len() == other.len() && self.iter().collect::<BTreeMap<_, _>>() == other.iter().collect()
    }
}

impl Eq for Values {}

/// After this many entries a mark is set, so a search walks over fewer than that.
const BETWEEN_MARKS: usize = 16;

/// Encoded values that were checked, in the ascending order of their keys.
#[derive(Clone, Debug, Default)]
struct Stored {
    entries: Bytes,
    count: usize,
    /// Where every sixteenth entry begins. The first needs no mark.
    marks: Vec<usize>,
}

impl Stored {
    fn read(part: &Bytes) -> Option<Self> {
        let mut input = &**part;
        let count = usize::try_from(input.try_get_u32().ok()?).ok()?;
        let (length, mut marks, mut last) = (input.len(), Vec::new(), None);
        for number in 0..count {
            if number > 0 && number.is_multiple_of(BETWEEN_MARKS) {
                marks.push(length - input.len());
            }
            let (key, _) = take_entry(&mut input)?;
            let ascends = last.is_none_or(|last| last < key);
            if !ascends || std::str::from_utf8(key).is_err() {
                return None;
            }
            last = Some(key);
        }
        input.is_empty().then(|| Self { entries: part.slice(part.len() - length..), count, marks })
    }

    fn get(&self, key: &[u8]) -> Option<Bytes> {
        let Range { start, end } = self.place(key);
        (start < end).then(|| self.entries.slice(start + value_length(key, &[])..end))
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &*self.entries;
        iter::from_fn(move || take_entry(&mut rest))
    }

    /// Where the entry of this key is. Where there is none, the range is empty and lies where it would have to be.
    fn place(&self, key: &[u8]) -> Range<usize> {
        let is_passed = |&mark: &usize| take_entry(&mut &self.entries[mark..]).is_some_and(|(other, _)| other <= key);
        let marks = &self.marks[..self.marks.partition_point(is_passed)];
        let mut start = marks.last().copied().unwrap_or_default();
        let mut rest = &self.entries[start..];
        while let Some((other, _)) = take_entry(&mut rest) {
            let end = self.entries.len() - rest.len();
            match other.cmp(key) {
                Ordering::Less => start = end,
                Ordering::Equal => return start..end,
                Ordering::Greater => break,
            }
        }
        start..start
    }

    fn is_one_with(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.entries, &*other.entries)
    }
}

fn put_entry(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        put_length(out, part.len());
        out.put_slice(part);
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // The size limit keeps every length far below this.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn take_entry<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    Some((take_counted(input)?, take_counted(input)?))
}

fn take_counted<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(input.try_get_u32().ok()?).ok()?;
    input.split_off(..length)
}

#[cfg(test)]
mod tests;
