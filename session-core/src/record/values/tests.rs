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

/// The keys of the first list in their order, and all values.
type Read = (Vec<Bytes>, Map);

/// Reads the whole part.
fn read_all(mut part: &[u8]) -> Option<Read> {
    let [recent, others] = [read_list(&mut part)?, read_list(&mut part)?];
    let keys = |list: &[(Bytes, Bytes)]| list.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let count = recent.len() + others.len();
    let (first, second) = (keys(&recent), keys(&others));
    let all: Map = recent.into_iter().chain(others).collect();
    let is_text = all.keys().all(|key| std::str::from_utf8(key).is_ok());
    let is_read = part.is_empty() && first.len() <= MOST_RECENT && second.is_sorted() && all.len() == count && is_text;
    is_read.then_some((first, all))
}

fn read_list(part: &mut &[u8]) -> Option<Vec<(Bytes, Bytes)>> {
    let count = part.try_get_u32().ok()?;
    let mut list = Vec::new();
    for _ in 0..count {
        let mut take = || {
            let length = part.try_get_u32().ok()?.try_into().ok()?;
            let (taken, rest) = part.split_at_checked(length)?;
            *part = rest;
            Some(Bytes::copy_from_slice(taken))
        };
        list.push((take()?, take()?));
    }
    Some(list)
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
        (Some(values), Some((_, entries))) => {
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
        let (recent, all) = read_all(&written(&values)).unwrap();
        let is_new = |key: &Bytes| stored.get(key) != model.get(key);
        let new = model.keys().filter(|key| is_new(key)).count();
        prop_assert!(recent.is_empty() || recent.iter().take(new).all(is_new), "what has changed comes first, or nothing");
        prop_assert_eq!(all, model);
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
fn a_key_that_is_there_twice_is_unreadable() {
    let of = |keys: &[&str]| list(&keys.iter().map(|key| ((*key).to_owned(), "1")).collect::<Vec<_>>());
    let is_readable =
        |recent: &[&str], others: &[&str]| Values::read([of(recent), of(others)].concat().into()).is_some();
    assert!(is_readable(&["a"], &["b"]) && is_readable(&["b"], &["a"]) && is_readable(&["b", "a"], &["c"]));
    assert!(!is_readable(&["a"], &["a"]));
    assert!(!is_readable(&["a", "a"], &["b"]));
    assert!(!is_readable(&["b", "a"], &["a", "c"]));
}

/// The lists after each of these writes, with a reading after each of them.
fn written_in_turn(first: &[(String, &str)], writes: &[&[&str]]) -> Vec<Read> {
    let mut values = Values::read([list(&[]), list(first)].concat().into()).unwrap();
    let mut lists = Vec::new();
    for (number, keys) in writes.iter().enumerate() {
        keys.iter().for_each(|key| values.insert(key.as_bytes().into(), Bytes::from(number.to_string())));
        let part = written(&values);
        lists.push(read_all(&part).unwrap());
        values = Values::read(part).unwrap();
    }
    lists
}

#[test]
fn the_values_that_were_changed_last_stand_in_front_the_newest_first() {
    let keys: Vec<_> = (b'a'..=b'z').map(|letter| (char::from(letter).to_string(), "old")).collect();
    let writes: [&[&str]; 7] = [&["z"], &["b"], &["z"], &["m", "c"], &["d", "e", "f", "g"], &["b"], &["x"]];
    let fronts: Vec<_> = written_in_turn(&keys, &writes).into_iter().map(|(front, _)| front.concat()).collect();
    let expected = ["z", "bz", "zb", "cmzb", "defgcmzb", "bdefgcmz", "xbdefgcm"];
    assert_eq!(fronts, expected.map(str::as_bytes));
}

#[test]
fn of_many_that_were_changed_at_once_none_stands_in_front() {
    let keys: Vec<_> = (b'a'..=b'z').map(|letter| (char::from(letter).to_string(), "old")).collect();
    let eight = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let nine = [&eight[..], &["i"]].concat();
    let lists = written_in_turn(&keys, &[&["z"], &eight, &["z"], &nine, &["z"]]);
    let fronts: Vec<_> = lists.into_iter().map(|(front, _)| front.concat()).collect();
    assert_eq!(fronts, ["z", "abcdefgh", "zabcdefg", "", "z"].map(str::as_bytes));
}

#[test]
fn a_first_list_that_is_longer_than_any_is_unreadable() {
    let keys: Vec<_> = (b'a'..=b'i').map(|letter| (char::from(letter).to_string(), "1")).collect();
    let is_readable = |count| Values::read([list(&keys[..count]), list(&[])].concat().into()).is_some();
    assert_eq!([is_readable(MOST_RECENT), is_readable(MOST_RECENT + 1)], [true, false]);
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
