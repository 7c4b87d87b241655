use proptest::{collection, option, prelude::*};

use super::*;

mod files;

fn header() -> impl Strategy<Value = Header> {
    let secrets = (any::<[u8; 32]>(), option::of(any::<([u8; 16], [u8; 32])>()), option::of(any::<[u8; 32]>()));
    let owner = option::of(collection::vec(any::<u8>(), 1..=Owner::MAX_LENGTH));
    let lifetime = (0..=i64::MAX, 0..=i64::MAX, any::<bool>());
    let revisions = collection::vec(any::<[u8; 8]>(), 0..=REVISIONS);
    let ages = any::<(u32, i64, i64, Option<i64>, Option<(u32, i64)>)>();
    let acting = option::of((any::<u32>(), collection::vec(any::<u8>(), 1..=Owner::MAX_LENGTH)));
    let free_flags = prop::sample::select(vec![0, 128_u8]);
    let later = (free_flags, prop_oneof![Just(Vec::new()), collection::vec(any::<u8>(), 0..=150)]);
    (ages, secrets, owner, lifetime, revisions, acting, later).prop_map(
        |(ages, (secret, pending, retired), owner, life, revisions, acting, (flags, fields))| {
            let (generation, generation_began, rotated, login_note, proof) = ages;
            Header {
                generation,
                generation_began: Age(generation_began),
                rotated: Age(rotated),
                secret: SecretHash(secret),
                pending: pending.map(|(salt, secret)| Pending { salt, secret: SecretHash(secret) }),
                retired: retired.map(SecretHash),
                owner: owner.map(|owner| Owner::try_from(owner.as_slice()).unwrap()),
                lifetime: Lifetime {
                    idle: Duration::from_millis(life.0.unsigned_abs()),
                    absolute: Duration::from_millis(life.1.unsigned_abs()),
                    persistent: life.2,
                },
                login_note: login_note.map(Age),
                revisions: revisions.into_iter().map(Revision::from_bytes).collect(),
                proof: proof.map(|(generation, age)| Proof { generation, age: Age(age) }),
                acting: acting.map(|(generation, owner)| Acting {
                    generation,
                    as_owner: Owner::try_from(owner.as_slice()).unwrap(),
                }),
                later: LaterFields { flags, fields: fields.into() },
            }
        },
    )
}

/// Some that were stored, and some that have changed since.
fn values() -> impl Strategy<Value = Values> {
    let bytes = || collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let some = |most| collection::btree_map(".{0,12}".prop_map(Bytes::from), bytes(), 0..most);
    (some(40), some(4)).prop_map(|(stored, changed)| {
        let mut part = Vec::new();
        Values::from_iter(stored).put(&mut part);
        let mut values = Values::read(part.into()).unwrap();
        changed.into_iter().for_each(|(key, value)| values.insert(key[..].into(), value));
        values
    })
}

/// Of a later version, or nothing at all.
fn unread() -> impl Strategy<Value = Bytes> {
    collection::vec(any::<u8>(), 0..40)
        .prop_map(Bytes::from)
        .prop_filter("is this version's", |part| !part.starts_with(&[1]) && !part.starts_with(&[2]))
}

fn record() -> impl Strategy<Value = Record> {
    let data = prop_oneof![4 => values().prop_map(Data::Values), 1 => unread().prop_map(Data::Unread)];
    (header(), data).prop_map(|(header, data)| Record { header, data })
}

/// The bytes before the data part.
fn before_data(payload: &[u8]) -> usize {
    3 + usize::from(u16::from_be_bytes([payload[1], payload[2]]))
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_and_no_longer_than_was_said(record in record()) {
        let payload = record.encode();
        let unread = if let Data::Unread(part) = &record.data { part.len() } else { 0 };
        prop_assert!(payload.len() <= record.data.length() + unread);
        prop_assert_eq!(payload.len(), record.encoded_length());
        prop_assert_eq!(Record::decode(payload), Some(record));
    }

    #[test]
    fn where_the_head_is_whole_it_is_read_whatever_follows(record in record(), data in collection::vec(any::<u8>(), 0..400)) {
        let payload = record.encode();
        let payload = [&payload[..before_data(&payload)], &data].concat();
        let read = Record::decode(payload.clone().into()).unwrap();
        prop_assert_eq!(&read.header, &record.header);
        prop_assert_eq!(read.encode(), payload, "and what follows is kept");
    }

    #[test]
    fn of_a_cut_or_lengthened_payload_no_value_is_read(record in record(), at in any::<prop::sample::Index>()) {
        let payload = record.encode();
        let cut = Record::decode(payload.slice(..at.index(payload.len())));
        prop_assert!(cut.is_none_or(|cut| cut.header == record.header && cut.data.values().is_err()));
        let mut longer = payload.to_vec();
        longer.push(0);
        prop_assert!(Record::decode(longer.into()).unwrap().data.values().is_err());
    }

    #[test]
    fn a_payload_with_another_bit_is_another_record_and_keeps_its_bytes(record in record(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
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
    fn garbage_is_unreadable_and_never_a_panic(garbage in collection::vec(any::<u8>(), 0..400), envelope in 0..4_u8) {
        let garbage = [&[envelope], &*garbage].concat();
        if let Some(read) = Record::decode(garbage.clone().into()).filter(|_| envelope == 2) {
            prop_assert_eq!(read.encode().to_vec(), garbage);
        }
    }

    #[test]
    fn later_fields_survive_a_save_a_promotion_and_a_login(record in record(), age in any::<i64>()) {
        let later = record.header.later.clone();
        let mut header = record.header.under(Revision::from_bytes([7; 8]));
        crate::record::rotation::promote(&mut header, Age(age));
        let header = header.next_generation(SecretHash([9; 32]), Age::START);
        let payload = Record { header, data: record.data }.encode();
        prop_assert_eq!(Record::decode(payload).unwrap().header.later, later);
    }
}

#[test]
fn the_longest_head_is_no_longer_than_the_rules_allow() {
    let lifetime = Lifetime::new(Duration::from_secs(1), Duration::from_secs(1));
    let header = Header {
        pending: Some(Pending { salt: [0; 16], secret: SecretHash([0; 32]) }),
        retired: Some(SecretHash([0; 32])),
        owner: Some(Owner::try_from([7; Owner::MAX_LENGTH].as_slice()).unwrap()),
        login_note: Some(Age::START),
        revisions: [Revision::from_bytes([0; 8]); REVISIONS].into_iter().collect(),
        proof: Some(Proof { generation: 0, age: Age::START }),
        acting: Some(Acting { generation: 0, as_owner: Owner::try_from([7; Owner::MAX_LENGTH].as_slice()).unwrap() }),
        later: LaterFields { flags: 0, fields: vec![0; 150].into() },
        ..Header::new(SecretHash([0; 32]), lifetime)
    };
    let payload = Record { header: header.clone(), data: Data::new() }.encode();
    assert_eq!(before_data(&payload), 3 + 900);
    assert_eq!(payload.len(), Data::new().length());
    let later = LaterFields { flags: 0, fields: vec![0; 151].into() };
    let payload = Record { header: Header { later, ..header }, data: Data::new() }.encode();
    assert_eq!(Record::decode(payload), None);
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
    assert!(header.next_generation(SecretHash([1; 32]), Age::START).remembers(revision(8)), "through logins too");
}

#[test]
fn keys_that_do_not_ascend_are_unreadable() {
    let lifetime = Lifetime::new(Duration::from_secs(1), Duration::from_secs(1));
    let header = Header::new(SecretHash([0; 32]), lifetime);
    let values = Values::read(b"\0\0\0\0\0\0\0\x02\0\0\0\x01a\0\0\0\x011\0\0\0\x01b\0\0\0\x012"[..].into()).unwrap();
    let payload = Record { header, data: Data::Values(values) }.encode().to_vec();
    let is_readable = |payload: Vec<u8>| Record::decode(payload.into()).unwrap().data.values().is_ok();
    assert!(is_readable(payload.clone()));
    for (first, second) in [(b'b', b'a'), (b'a', b'a')] {
        let mut payload = payload.clone();
        let end = payload.len();
        assert_eq!((payload[end - 16], payload[end - 6]), (b'a', b'b'));
        (payload[end - 16], payload[end - 6]) = (first, second);
        assert!(!is_readable(payload));
    }
}

#[test]
fn a_session_s_own_part_of_the_size_limit_is_what_the_policy_says() {
    assert_eq!(Data::new().length(), 912);
}

#[test]
fn the_next_generation_has_nothing_pending_and_nothing_retired() {
    let hour = Duration::from_secs(3600);
    let pending = Pending { salt: [1; 16], secret: SecretHash([2; 32]) };
    let rotating = Header {
        pending: Some(pending),
        retired: Some(SecretHash([3; 32])),
        ..Header::new(SecretHash([4; 32]), Lifetime::new(hour, hour))
    };
    let next = rotating.next_generation(SecretHash([5; 32]), Age(7));
    assert_eq!((next.generation, next.generation_began, next.rotated), (1, Age(7), Age(7)));
    assert_eq!((next.secret, next.pending, next.retired), (SecretHash([5; 32]), None, None));
}

#[test]
fn a_proof_of_an_earlier_generation_counts_for_nothing_and_the_login_does() {
    let hour = Duration::from_secs(3600);
    let login = Header::new(SecretHash([4; 32]), Lifetime::new(hour, hour)).proved(Age(5));
    assert_eq!(login.last_proof(), Age(5));
    let renewed = login.next_generation(SecretHash([5; 32]), Age(7));
    assert_eq!(renewed.last_proof(), Age(5), "a renewal is no proof, and loses none");
    // A version that does not know the field keeps it as it is.
    let renewed_by_an_earlier_version = Header { proof: login.proof, ..renewed };
    assert_eq!(renewed_by_an_earlier_version.last_proof(), Age::START);
    assert_eq!(renewed_by_an_earlier_version.next_generation(SecretHash([6; 32]), Age(9)).last_proof(), Age::START);
}

#[test]
fn acting_in_an_earlier_generation_counts_for_nothing() {
    let hour = Duration::from_secs(3600);
    let first = Header::new(SecretHash([4; 32]), Lifetime::new(hour, hour));
    let (own, other) = (Owner::from(42), Owner::from(7));
    let acting = Header { owner: Some(own), ..first }.with_acting_as(Some(&other));
    let renewed = acting.next_generation(SecretHash([5; 32]), Age(7));
    assert_eq!([&acting, &renewed].map(Header::acting_as), [Some(&other); 2]);
    // A version that does not know the field keeps it as it is.
    let logged_in_by_an_earlier_version =
        Header { owner: Some(Owner::from(43)), acting: acting.acting.clone(), ..renewed.clone() };
    assert_eq!(logged_in_by_an_earlier_version.acting_as(), None);
    assert_eq!(logged_in_by_an_earlier_version.next_generation(SecretHash([6; 32]), Age(9)).acting_as(), None);
    assert_eq!(Header { owner: None, ..renewed }.acting_as(), None, "nobody is logged in");
}
