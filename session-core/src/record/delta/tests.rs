use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{collection, prelude::*};
use tokio::time::Instant;

use super::*;
use crate::{
    Expiry, Lifetime, Revision, SessionId,
    moment::TimeLeft,
    record::{Found, Header, Record, Updating},
    request::SecretHash,
    store::Write,
};

#[derive(Clone, Debug)]
enum Act {
    Insert(u8, u8),
    Remove(u8),
    Append(u8, u8),
    Clear,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4_u8, any::<u8>()).prop_map(|(key, value)| Act::Insert(key, value)),
        (0..4_u8).prop_map(Act::Remove),
        (0..4_u8, any::<u8>()).prop_map(|(key, value)| Act::Append(key, value)),
        Just(Act::Clear),
    ];
    collection::vec(act, 0..8)
}

/// The values as a map, to compare with.
type Map = BTreeMap<Bytes, Bytes>;

fn map(data: &Data) -> Map {
    data.iter().map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))).collect()
}

fn data() -> impl Strategy<Value = Map> {
    let bytes = |range| collection::vec(any::<u8>(), range).prop_map(Bytes::from);
    collection::btree_map((0..4_u8).prop_map(key), bytes(0..3), 0..4)
}

fn key(key: u8) -> Bytes {
    vec![key].into()
}

fn append(value: Option<&Bytes>, byte: u8) -> Bytes {
    let mut value = value.map_or_else(Vec::new, |value| value.to_vec());
    value.push(byte);
    value.into()
}

/// The values after the delta was applied.
fn applied(delta: &Delta, data: Map) -> Map {
    map(&delta.apply(&Data::Values(data.into_iter().collect())).unwrap())
}

fn delta(acts: &[Act]) -> Delta {
    let mut delta = Delta::default();
    for act in acts.iter().cloned() {
        match act {
            Act::Insert(at, byte) => drop(delta.insert([at].into(), vec![byte].into())),
            Act::Remove(at) => drop(delta.remove([at].into())),
            Act::Append(at, byte) => {
                let append = move |value: Option<&Bytes>| Ok::<_, Error>((byte, append(value, byte)));
                let after = append(None).unwrap().1;
                delta.update([at].into(), Arc::new(Updating { run: append, before: None, after }));
            }
            Act::Clear => drop(delta.clear()),
        }
    }
    delta
}

/// The acts, one after the other.
fn acted(acts: &[Act], mut data: Map) -> Map {
    for act in acts.iter().cloned() {
        match act {
            Act::Insert(at, byte) => drop(data.insert(key(at), vec![byte].into())),
            Act::Remove(at) => drop(data.remove(&key(at))),
            Act::Append(at, byte) => {
                let value = append(data.get(&key(at)), byte);
                data.insert(key(at), value);
            }
            Act::Clear => data.clear(),
        }
    }
    data
}

proptest! {
    #[test]
    fn a_delta_does_to_any_state_what_its_acts_do(acts in acts(), data in data()) {
        prop_assert_eq!(applied(&delta(&acts), data.clone()), acted(&acts, data));
    }

    #[test]
    fn two_deltas_in_a_row_are_one(first in acts(), second in acts(), data in data()) {
        let joined = applied(&delta(&first).then(delta(&second)), data.clone());
        prop_assert_eq!(joined, acted(&second, acted(&first, data)));
    }

    #[test]
    fn what_a_request_sees_is_what_would_be_saved(acts in acts(), data in data()) {
        let delta = delta(&acts);
        let saved = applied(&delta, data.clone());
        let data = Data::Values(data.into_iter().collect());
        let seen = delta.over(&data).unwrap();
        for at in 0..4 {
            prop_assert_eq!(seen.get(&key(at), &data), saved.get(&key(at)).cloned());
        }
        prop_assert!(seen.keys(&data).collect::<BTreeSet<_>>().into_iter().eq(saved.keys()));
        prop_assert_eq!(seen.length_over(&data), Data::Values(saved.into_iter().collect()).length());
    }

    #[test]
    fn changes_of_disjoint_keys_commute(first in acts(), second in acts(), data in data()) {
        let only = |acts: &[Act], parity| -> Vec<_> {
            let is_meant = |at: u8| at % 2 == parity;
            let acts = acts.iter().filter(|act| match act {
                Act::Insert(at, _) | Act::Remove(at) | Act::Append(at, _) => is_meant(*at),
                Act::Clear => false,
            });
            acts.cloned().collect()
        };
        let (even, odd) = (only(&first, 0), only(&second, 1));
        let one = applied(&delta(&odd), applied(&delta(&even), data.clone()));
        let other = applied(&delta(&even), applied(&delta(&odd), data));
        prop_assert_eq!(one, other);
    }
}

#[test]
fn what_cannot_be_read_is_carried_along_and_never_overwritten() {
    let hour = Duration::from_secs(3600);
    let header = Header::new(SecretHash([0; 32]), Lifetime::new(hour, hour));
    let record = Record { header, data: Data::Unread(Bytes::from_static(b"of a later version")) };
    let left = TimeLeft { asked: Instant::now(), expires_in: hour, ends_in: hour };
    let revision = Revision::from_bytes([1; 8]);
    let found = Found { id: SessionId::from_bytes([1; 16]), record: record.clone(), revision, left };
    let carried = Write::new(&found, record.clone(), Expiry::Keep).unwrap();
    assert_eq!(carried.written.record.data, record.data);
    assert!(Write::new(&found, Record { data: Data::new(), ..record.clone() }, Expiry::Keep).is_err());
    assert!(delta(&[Act::Insert(0, 0)]).apply(&record.data).is_err());
    assert!(delta(&[Act::Clear]).apply(&record.data).is_err());
}
