use proptest::{collection, option, prelude::*};

use super::*;

fn header() -> impl Strategy<Value = Header> {
    let secrets = (any::<[u8; 32]>(), option::of(any::<([u8; 16], [u8; 32])>()), option::of(any::<[u8; 32]>()));
    let owner = option::of(collection::vec(any::<u8>(), 1..=Owner::MAX_LENGTH));
    let lifetime = (0..=i64::MAX, 0..=i64::MAX, any::<bool>());
    let revisions = collection::vec(any::<[u8; 8]>(), 0..=REVISIONS);
    let ages = any::<(u32, i64, i64, Option<i64>)>();
    (ages, secrets, owner, lifetime, revisions).prop_map(
        |((generation, generation_began, rotated, login_note), (secret, pending, retired), owner, life, revisions)| {
            Header {
                generation,
                generation_began,
                rotated,
                secret: SecretHash(secret),
                pending: pending.map(|(salt, secret)| Pending { salt, secret: SecretHash(secret) }),
                retired: retired.map(SecretHash),
                owner: owner.map(|owner| Owner::try_from(owner.as_slice()).unwrap()),
                lifetime: Lifetime {
                    idle: Duration::from_millis(life.0.unsigned_abs()),
                    absolute: Duration::from_millis(life.1.unsigned_abs()),
                    persistent: life.2,
                },
                login_note,
                revisions: revisions.into_iter().map(Revision::from_bytes).collect(),
            }
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let bytes = || collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let data = collection::btree_map(".{0,12}".prop_map(Bytes::from), bytes(), 0..8);
    (header(), data).prop_map(|(header, data)| Record { header, data })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_and_no_longer_than_was_said(record in record()) {
        let payload = record.encode();
        prop_assert!(payload.len() <= length(record.data.iter()));
        prop_assert_eq!(Record::decode(payload), Some(record));
    }

    #[test]
    fn a_cut_or_lengthened_payload_is_unreadable(record in record(), at in any::<prop::sample::Index>()) {
        let payload = record.encode();
        prop_assert_eq!(Record::decode(payload.slice(..at.index(payload.len()))), None);
        let mut longer = payload.to_vec();
        longer.push(0);
        prop_assert_eq!(Record::decode(longer.into()), None);
    }

    #[test]
    fn a_payload_has_one_reading_and_a_reading_one_payload(record in record(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut payload = record.encode().to_vec();
        let at = at.index(payload.len());
        payload[at] ^= 1_u8 << bit;
        let payload = Bytes::from(payload);
        if let Some(read) = Record::decode(payload.clone()) {
            prop_assert_eq!(read.encode(), payload);
            prop_assert_ne!(read, record);
        }
    }

    #[test]
    fn garbage_is_unreadable_and_never_a_panic(garbage in collection::vec(any::<u8>(), 0..400)) {
        if let Some(read) = Record::decode(garbage.clone().into()) {
            prop_assert_eq!(read.encode().to_vec(), garbage);
        }
    }
}

#[test]
fn a_record_remembers_its_last_eight_revisions() {
    let lifetime = Lifetime::new(Duration::from_secs(1), Duration::from_secs(1));
    let mut header = Header::new(SecretHash([0; 32]), lifetime);
    let revision = |n: u8| Revision::from_bytes([n; 8]);
    for n in 0..9 {
        header = header.under(revision(n));
    }
    assert!((1..9).all(|n| header.remembers(revision(n))));
    assert!(!header.remembers(revision(0)));
    assert!(header.next_generation(SecretHash([1; 32]), 0).remembers(revision(8)), "through logins too");
}

#[test]
fn keys_that_do_not_ascend_are_unreadable() {
    let lifetime = Lifetime::new(Duration::from_secs(1), Duration::from_secs(1));
    let header = Header::new(SecretHash([0; 32]), lifetime);
    let data = [("a", "1"), ("b", "2")].map(|(key, value)| (Bytes::from(key), Bytes::from(value))).into();
    let payload = Record { header, data }.encode().to_vec();
    assert!(Record::decode(payload.clone().into()).is_some());
    for (first, second) in [(b'b', b'a'), (b'a', b'a')] {
        let mut payload = payload.clone();
        let end = payload.len();
        (payload[end - 16], payload[end - 6]) = (first, second);
        assert_eq!(Record::decode(payload.into()), None);
    }
}
