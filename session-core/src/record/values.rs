//! The session's values, each encoded.
//!
//! They stay as they were loaded: checked once, and then searched. What was changed lies beside them. Both come together
//! when the session is written, so a value that nobody has changed is copied only into what is written.

use std::{cmp::Ordering, collections::BTreeMap, iter, ops::Range, str};

use bytes::{Buf, BufMut, Bytes};

use super::{KeyMap, ValueKey, length_if_any, value_length};

/// How many values stand in front of the others, at most. A part of the format: who reads refuses more.
const MOST_RECENT: usize = 8;

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
    pub(crate) fn read(lists: Bytes) -> Option<Self> {
        Some(Self { stored: Stored::read(lists)?, changed: KeyMap::new() })
    }

    /// Writes two lists: what was changed last, and all others. Most writes change the same few values. They stand in front, so
    /// all behind them stays as it is, and PostgreSQL does not log it.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        if self.changed.is_empty() {
            return out.put_slice(&self.stored.lists);
        }
        let changed = self.changed.iter().filter_map(|(key, value)| Some((&**key, value.as_deref()?)));
        let recent = self.stored.recent().filter(|(key, _)| !self.changed.contains(key));
        let most = if changed.clone().count() > MOST_RECENT { 0 } else { MOST_RECENT };
        let mut settled = Vec::new();
        put_list(out, |out| {
            let mut count = 0;
            for (key, value) in changed.chain(recent) {
                if count < most {
                    put_entry(out, key, value);
                    count += 1;
                } else {
                    settled.push((key, value));
                }
            }
            count
        });
        settled.sort_unstable();
        put_list(out, |out| self.put_others(out, settled));
    }

    /// Writes the others as they lie, without those that have changed. These entries, in the order of their keys, take their
    /// places among them. Returns how many entries it has written.
    fn put_others(&self, out: &mut Vec<u8>, settled: Vec<(&[u8], &[u8])>) -> usize {
        let (others, mut put) = (self.stored.others(), 0);
        let mut count = self.stored.count_of_others();
        let mut replace = |key: &[u8], value: Option<&[u8]>| {
            let place = others.place(key);
            out.put_slice(&others.entries[put..place.start]);
            put = place.end;
            count = count - usize::from(!place.is_empty()) + usize::from(value.is_some());
            if let Some(value) = value {
                put_entry(out, key, value);
            }
        };
        let mut settled = settled.into_iter().peekable();
        for (changed, _) in self.changed.iter() {
            while let Some((key, value)) = settled.next_if(|(key, _)| *key < &**changed) {
                replace(key, Some(value));
            }
            replace(changed, settled.next_if(|(key, _)| *key == &**changed).map(|(_, value)| value));
        }
        settled.for_each(|(key, value)| replace(key, Some(value)));
        out.put_slice(&others.entries[put..]);
        count
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
        if self.stored.find(&key) == value.as_deref() {
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
        self.changed.iter().fold(self.stored.count(), |count, (key, value)| {
            count - usize::from(self.stored.length(key) > 0) + usize::from(value.is_some())
        })
    }

    /// How many bytes the value under this key takes. 0: there is none.
    pub(crate) fn length_of(&self, key: &[u8]) -> usize {
        match self.changed.get(key) {
            Some(value) => length_if_any(key, value.as_ref()),
            None => self.stored.length(key),
        }
    }

    /// How many bytes [`put`](Self::put) writes.
    pub(crate) fn encoded_length(&self) -> usize {
        self.changed.iter().fold(self.stored.lists.len(), |length, (key, value)| {
            length - self.stored.length(key) + length_if_any(key, value.as_ref())
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

/// Encoded values that were checked.
#[derive(Clone, Debug)]
struct Stored {
    /// What was changed last, the newest first, and all others. No key is there twice.
    lists: Bytes,
    /// Where the second list begins.
    others: usize,
    /// Where every sixteenth entry of the second list begins. The first needs no mark.
    marks: Vec<usize>,
}

impl Stored {
    fn read(lists: Bytes) -> Option<Self> {
        let mut input = &*lists;
        take_recent(&mut input)?;
        let others = lists.len() - input.len();
        let marks = take_others(&mut input)?;
        let is_whole = input.is_empty();
        let stored = Self { lists, others, marks };
        let are_different = stored.recent().enumerate().all(|(at, (key, _))| {
            stored.recent().take(at).all(|(newer, _)| newer != key) && stored.others().find(key).is_none()
        });
        (is_whole && are_different).then_some(stored)
    }

    fn recent(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        entries(&self.lists[COUNT..self.others])
    }

    fn others(&self) -> Others<'_> {
        Others { entries: &self.lists[self.others + COUNT..], marks: &self.marks }
    }

    fn count(&self) -> usize {
        self.count_at(0) + self.count_of_others()
    }

    fn count_of_others(&self) -> usize {
        self.count_at(self.others)
    }

    fn count_at(&self, list: usize) -> usize {
        take_length(&mut &self.lists[list..]).unwrap_or_default()
    }

    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.find(key).map(|value| self.lists.slice_ref(value))
    }

    fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let recent = self.recent().find(|(other, _)| *other == key).map(|(_, value)| value);
        recent.or_else(|| self.others().find(key))
    }

    /// How many bytes the entry of this key takes. 0: there is none.
    fn length(&self, key: &[u8]) -> usize {
        self.find(key).map_or(0, |value| value_length(key, value))
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.recent().chain(entries(self.others().entries))
    }

    fn is_one_with(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.lists, &*other.lists)
    }
}

/// No values.
impl Default for Stored {
    fn default() -> Self {
        Self { lists: Bytes::from_static(&[0; 2 * COUNT]), others: COUNT, marks: Vec::new() }
    }
}

/// Entries in the ascending order of their keys.
#[derive(Clone, Copy)]
struct Others<'a> {
    entries: &'a [u8],
    marks: &'a [usize],
}

impl<'a> Others<'a> {
    fn find(self, key: &[u8]) -> Option<&'a [u8]> {
        let Range { start, end } = self.place(key);
        (start < end).then(|| &self.entries[start + value_length(key, &[])..end])
    }

    /// Where the entry of this key is. Where there is none, the range is empty and lies where it would have to be.
    fn place(self, key: &[u8]) -> Range<usize> {
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
}

/// How many bytes the count of a list takes.
const COUNT: usize = 4;

/// Takes the first list: how many there are, and each of them.
fn take_recent(input: &mut &[u8]) -> Option<()> {
    let count = take_length(input)?;
    let mut is_entry = || take_entry(input).is_some_and(|(key, _)| str::from_utf8(key).is_ok());
    (count <= MOST_RECENT && (0..count).all(|_| is_entry())).then_some(())
}

/// The same with the second list. Returns where among its entries every sixteenth begins.
fn take_others(input: &mut &[u8]) -> Option<Vec<usize>> {
    let count = take_length(input)?;
    let (length, mut marks, mut last) = (input.len(), Vec::new(), None);
    for number in 0..count {
        if number > 0 && number.is_multiple_of(BETWEEN_MARKS) {
            marks.push(length - input.len());
        }
        let (key, _) = take_entry(input)?;
        let ascends = last.is_none_or(|last| last < key);
        if !ascends || str::from_utf8(key).is_err() {
            return None;
        }
        last = Some(key);
    }
    Some(marks)
}

/// Entries that were checked.
fn entries(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    iter::from_fn(move || take_entry(&mut rest))
}

fn put_entry(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        put_length(out, part.len());
        out.put_slice(part);
    }
}

/// Writes a list with its count before it. `entries` writes them, and returns how many they are.
fn put_list(out: &mut Vec<u8>, entries: impl FnOnce(&mut Vec<u8>) -> usize) {
    let start = out.len();
    put_length(out, 0);
    let count = entries(out);
    out[start..start + COUNT].copy_from_slice(&length_bytes(count));
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.put_slice(&length_bytes(length));
}

fn length_bytes(length: usize) -> [u8; COUNT] {
    // The size limit keeps every length far below this.
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn take_entry<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    Some((take_counted(input)?, take_counted(input)?))
}

fn take_counted<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(input)?;
    input.split_off(..length)
}

fn take_length(input: &mut &[u8]) -> Option<usize> {
    usize::try_from(input.try_get_u32().ok()?).ok()
}

#[cfg(test)]
mod tests;
