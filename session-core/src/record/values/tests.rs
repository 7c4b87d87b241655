//! The lazy reading beside a full one that makes a map.

use proptest::{collection, prelude::*};

use super::*;

type Map = BTreeMap<Bytes, Bytes>;

impl FromIterator<(Bytes, Bytes)> for Values {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(entries: I) -> Self {
        let mut values = Self::new();
        entries.into_iter().for_each(|(key, value)| values.insert(key[..].into(), value));
        values
    }
}

/// Reads the whole part into two maps: what the last write has changed, and the others.
fn read_all(mut part: &[u8]) -> Option<[Map; 2]> {
    let maps = [read_list(&mut part)?, read_list(&mut part)?];
    let is_apart = maps[0].keys().all(|key| !maps[1].contains_key(key));
    (part.is_empty() && is_apart).then_some(maps)
}

fn read_list(part: &mut &[u8]) -> Option<Map> {
    let count = part.try_get_u32().ok()?;
    let mut map = Map::new();
    for _ in 0..count {
        let mut take = || {
            let length = part.try_get_u32().ok()?.try_into().ok()?;
            let (taken, rest) = part.split_at_checked(length)?;
            *part = rest;
            Some(Bytes::copy_from_slice(taken))
        };
        let (key, value) = (take()?, take()?);
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) || std::str::from_utf8(&key).is_err() {
            return None;
        }
        map.insert(key, value);
    }
    Some(map)
}

fn map(values: &Values) -> Map {
    values.iter().map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))).collect()
}

fn written(values: &Values) -> Bytes {
    let mut out = Vec::new();
    values.put(&mut out);
    out.into()
}

/// Short keys of few letters, so that many begin alike and some are asked for.
fn key() -> impl Strategy<Value = Bytes> {
    "[a-cé]{0,4}".prop_map(Bytes::from)
}

fn entries() -> impl Strategy<Value = Map> {
    collection::btree_map(key(), collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from), 0..120)
}

/// The part after a write of these values, and of these changes after it.
fn rewritten(entries: Map, changes: Map) -> Values {
    let mut values = Values::read(written(&entries.into_iter().collect())).unwrap();
    changes.into_iter().for_each(|(key, value)| values.insert(key[..].into(), value));
    Values::read(written(&values)).unwrap()
}

/// Some bytes of a part are changed, and it is cut or lengthened.
fn broken() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![Just(0), Just(1), Just(255), any::<u8>()];
    let changes = collection::vec((any::<prop::sample::Index>(), byte), 0..4);
    let end = prop_oneof![Just(0), -40..8_isize];
    (entries(), entries(), changes, end).prop_map(|(entries, recent, changes, end)| {
        let mut part = written(&rewritten(entries, recent)).to_vec();
        for (at, byte) in changes {
            let at = at.index(part.len());
            part[at] = byte;
        }
        part.resize(part.len().saturating_add_signed(end), 0);
        part.into()
    })
}

/// Whether both readings find the same, and nothing else.
fn reads_alike(part: &Bytes) -> bool {
    match (Values::read(part.clone()), read_all(part)) {
        (Some(values), Some([recent, mut entries])) => {
            entries.extend(recent);
            let is_found = entries.iter().all(|(key, value)| values.get(key).as_ref() == Some(value));
            is_found && map(&values) == entries && values.len() == entries.len() && written(&values) == *part
        }
        (None, None) => true,
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_read_lazily_is_what_is_read_at_once(part in broken()) {
        prop_assert!(reads_alike(&part));
    }

    #[test]
    fn garbage_is_read_by_both_or_by_neither(part in collection::vec(prop_oneof![3 => 0..3_u8, 1 => any::<u8>()], 0..200)) {
        prop_assert!(reads_alike(&part.into()));
    }

    #[test]
    fn a_key_is_found_where_there_is_one_and_nowhere_else(
        entries in entries(), recent in entries(), asked in collection::vec(key(), 1..40),
    ) {
        let values = rewritten(entries.clone(), recent.clone());
        for key in asked {
            prop_assert_eq!(values.get(&key), recent.get(&key).or(entries.get(&key)).cloned());
        }
    }

    #[test]
    fn changes_over_what_is_stored_are_written_as_a_map_would_write_them(
        stored in entries(),
        recent in entries(),
        changes in collection::vec((key(), prop::option::of(collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from))), 0..60),
    ) {
        let mut values = rewritten(stored.clone(), recent.clone());
        let before = values.clone();
        let stored: Map = stored.into_iter().chain(recent).collect();
        let mut model = stored.clone();
        for (key, value) in changes {
            match &value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(&key),
            };
            values.set(key[..].into(), value);
            prop_assert_eq!(values.len(), model.len());
        }
        let rebuilt: Values = model.clone().into_iter().collect();
        prop_assert_eq!(map(&values), model.clone());
        prop_assert_eq!(written(&values).len(), values.encoded_length());
        prop_assert_eq!(&values, &rebuilt);
        prop_assert_eq!(values == before, model == stored);
        let [recent, mut others] = read_all(&written(&values)).unwrap();
        let is_new = |(key, value): (&Bytes, &Bytes)| stored.get(key) != Some(value);
        prop_assert!(recent.iter().all(is_new) || model == stored, "only what has changed comes first");
        prop_assert!(!others.iter().any(is_new) || recent.is_empty(), "all that has changed comes first, or nothing");
        others.extend(recent);
        prop_assert_eq!(others, model);
    }

    #[test]
    fn a_value_that_is_written_again_and_again_leaves_all_behind_it_as_it_is(
        entries in entries(), first in collection::vec(any::<u8>(), 0..9), second in collection::vec(any::<u8>(), 0..9),
    ) {
        prop_assume!(first != second);
        let with = |values: &Values, value: &Vec<u8>| {
            let mut values = values.clone();
            values.insert(b"count"[..].into(), Bytes::from(value.clone()));
            let part = written(&values);
            (Values::read(part.clone()).unwrap(), part)
        };
        let (once, before) = with(&Values::read(written(&entries.into_iter().collect())).unwrap(), &first);
        let (_, after) = with(&once, &second);
        let front = |value: &Vec<u8>| 4 + value_length(b"count", value);
        prop_assert_eq!(&before[front(&first)..], &after[front(&second)..]);
    }
}

#[test]
fn a_key_that_is_in_both_lists_is_unreadable() {
    let list = |key: &str| list(&[(key.to_owned(), "1")]);
    assert!(Values::read([list("a"), list("b")].concat().into()).is_some());
    assert!(Values::read([list("b"), list("a")].concat().into()).is_some());
    assert!(Values::read([list("a"), list("a")].concat().into()).is_none());
}

#[test]
fn what_is_changed_again_and_again_comes_first_unless_it_is_much() {
    let keys: Vec<_> = (10..10 + MOST_RECENT + 2).map(|number| number.to_string()).collect();
    let entries = |from: &[String], value| -> Vec<_> { from.iter().map(|key| (key.clone(), value)).collect() };
    for changed in [1, MOST_RECENT, MOST_RECENT + 1] {
        let mut values = Values::read([list(&[]), list(&entries(&keys, "old"))].concat().into()).unwrap();
        for key in &keys[..changed] {
            values.insert(key.as_bytes().into(), Bytes::from_static(b"new"));
        }
        let (first, second) = (entries(&keys[..changed], "new"), entries(&keys[changed..], "old"));
        let lists = if changed > MOST_RECENT { [vec![], [first, second].concat()] } else { [first, second] };
        assert_eq!(written(&values)[..], lists.map(|entries| list(&entries)).concat());
    }
}

fn list(entries: &[(String, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_length(&mut out, entries.len());
    entries.iter().for_each(|(key, value)| put_entry(&mut out, key.as_bytes(), value.as_bytes()));
    out
}

#[test]
fn lengths_and_counts_that_are_too_large_are_unreadable() {
    let largest = u32::MAX.to_be_bytes();
    let one = 1_u32.to_be_bytes();
    for part in [&largest[..], &[one, largest].concat(), &[one, one, largest].concat(), &one, b"", b"\0\0\0"] {
        assert!(Values::read(Bytes::copy_from_slice(part)).is_none(), "{part:?}");
        assert!(Values::read([&[0; 4], part].concat().into()).is_none(), "{part:?}");
    }
}

#[test]
fn a_value_that_nobody_changes_lies_where_it_was_loaded() {
    let part = written(
        &[("a", "1"), ("b", "2")].map(|(key, value)| (Bytes::from(key), Bytes::from(value))).into_iter().collect(),
    );
    let values = Values::read(part.clone()).unwrap();
    assert!(part.as_ptr_range().contains(&values.get(b"b").unwrap().as_ptr()));
}
