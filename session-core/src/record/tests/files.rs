//! The records in `tests/records`: one of each version that was ever written.

use super::*;
use crate::{record::rotation, request::SessionSecret};

macro_rules! file {
    ($name:literal) => {
        Bytes::from_static(include_bytes!(concat!("../../../tests/records/", $name, ".bin")))
    };
}

fn secret(byte: u8) -> SessionSecret {
    SessionSecret::from_bytes([byte; 32])
}

fn values(entries: &[(&'static str, &'static str)]) -> Data {
    Data::Values(entries.iter().map(|(key, value)| (Bytes::from(*key), Bytes::from(*value))).collect())
}

/// A login that has everything that a record can have.
fn login() -> Record {
    const DAY: Duration = Duration::from_secs(86_400);
    let salt = [2; 16];
    let header = Header {
        generation: 3,
        generation_began: Age::START,
        rotated: Age(600_000),
        secret: secret(1).hash(),
        pending: Some(Pending { salt, secret: rotation::derive(&secret(1), &salt).unwrap().hash() }),
        retired: Some(secret(3).hash()),
        owner: Some(Owner::from(42)),
        lifetime: Lifetime::new(14 * DAY, 30 * DAY).persistent(),
        login_note: Some(Age(-5000)),
        revisions: [9, 8, 7].map(|byte| Revision::from_bytes([byte; 8])).into_iter().collect(),
        proof: None,
        acting: None,
        later: LaterFields::default(),
    };
    Record { header, data: values(&[("cart", "\u{1}[1,2,3]"), ("name", "\u{1}\"Grüße\"")]) }
}

/// The same after a step-up.
fn proved_login() -> Record {
    let login = login();
    Record { header: login.header.proved(Age(900_000)), ..login }
}

/// The same while its user acts as another one.
fn acting_login() -> Record {
    let login = login();
    Record { header: login.header.with_acting_as(Some(&Owner::from(7))), ..login }
}

/// A session that has nothing but one value.
fn visitor() -> Record {
    const HOUR: Duration = Duration::from_secs(3600);
    let header = Header::new(secret(1).hash(), Lifetime::new(HOUR, 4 * HOUR)).under(Revision::from_bytes([9; 8]));
    Record { header, data: values(&[("n", "\u{1}0")]) }
}

/// The same, of which the last write has changed the name.
fn renamed_login() -> Record {
    let login = login();
    let before = Record { data: values(&[("cart", "\u{1}[1,2,3]"), ("name", "\u{1}\"\"")]), ..login.clone() };
    let Data::Values(mut values) = Record::decode(before.encode()).unwrap().data else { unreachable!() };
    values.insert(b"name"[..].into(), Bytes::from("\u{1}\"Grüße\""));
    Record { data: Data::Values(values), ..login }
}

#[test]
fn records_of_envelope_1_are_read() {
    assert_eq!(Record::decode(file!("version-1-login")), Some(login()));
    assert_eq!(Record::decode(file!("version-1-visitor")), Some(visitor()));
}

#[test]
fn a_record_of_envelope_1_keeps_its_head_where_its_values_are_damaged() {
    let file = file!("version-1-login");
    let read = Record::decode(file.slice(..file.len() - 1)).unwrap();
    assert_eq!(read.header, login().header);
    assert!(read.data.values().is_err());
    assert_eq!(Record::decode(read.encode()), Some(read));
}

#[test]
fn records_of_data_1_are_read_and_written_as_data_2() {
    let files = [
        (file!("version-2-login"), login()),
        (file!("version-2-proved"), proved_login()),
        (file!("version-2-acting"), acting_login()),
        (file!("version-2-visitor"), visitor()),
    ];
    for (file, record) in files {
        let read = Record::decode(file.clone()).unwrap();
        assert_eq!(read, record);
        let (before, written) = (before_data(&file), read.encode());
        assert_eq!(written[..before], file[..before]);
        assert_eq!(written[before..], [b"\x02\0\0\0\0", &file[before + 1..]].concat());
    }
}

#[test]
fn records_of_data_2_are_read_and_written_byte_for_byte() {
    let files = [
        (file!("data-2-login"), login()),
        (file!("data-2-proved"), proved_login()),
        (file!("data-2-acting"), acting_login()),
        (file!("data-2-visitor"), visitor()),
        (file!("data-2-renamed"), renamed_login()),
    ];
    for (file, record) in files {
        assert_eq!(record.encode(), file);
        let read = Record::decode(file.clone()).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.encode(), file, "who changes no value leaves them all where they are");
    }
}

#[test]
fn what_a_later_version_has_added_to_the_head_is_kept() {
    let file = file!("version-2-later-head");
    let read = Record::decode(file.clone()).unwrap();
    let later = LaterFields { flags: 0b1000_0000, fields: Bytes::from_static(b"a later field") };
    assert_eq!(read, Record { header: Header { later, ..login().header }, ..login() });
    let written = read.encode();
    assert_eq!(written[..before_data(&written)], file[..before_data(&file)]);
}

#[test]
fn data_of_a_later_version_leave_the_head_readable_and_are_kept() {
    let files: [(Bytes, &[u8]); 2] = [
        (file!("data-later"), b"\x03data of a later version"),
        // It was made before there was a version 2.
        (file!("version-2-later-data"), b"\x02data of a later version"),
    ];
    for (file, part) in files {
        let read = Record::decode(file.clone()).unwrap();
        assert_eq!(read.header, login().header);
        assert_eq!(read.data, Data::Unread(Bytes::from_static(part)));
        assert_eq!(read.encode(), file);
    }
}
