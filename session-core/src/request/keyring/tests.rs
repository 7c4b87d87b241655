use proptest::prelude::*;

use super::*;
use crate::{SessionId, request::SessionSecret};

fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32]).unwrap()
}

fn cookie(name: &str) -> Carrier<'_> {
    Carrier { kind: CarrierKind::Cookie, site: "", name }
}

fn token() -> impl Strategy<Value = SessionToken> {
    any::<([u8; 16], u32, [u8; 32])>().prop_map(|(id, generation, secret)| SessionToken {
        id: SessionId::from_bytes(id),
        generation,
        secret: SessionSecret::from_bytes(secret),
        under_old_key: false,
    })
}

proptest! {
    #[test]
    fn what_is_signed_is_verified_by_every_key_and_only_for_its_name(token in token()) {
        let signed = Keyring::new(key(1)).sign(cookie("session"), &token).unwrap();
        prop_assert_eq!(signed.expose().len(), SignedToken::LENGTH);
        let rotated = Keyring::new(key(2)).and_retire(key(1));
        let read = rotated.verify(cookie("session"), signed.expose().as_bytes()).unwrap();
        prop_assert!(read.under_old_key);
        let ahead = Keyring::new(key(2)).and_accept(key(1)).and_retire(key(1));
        prop_assert!(!ahead.verify(cookie("session"), signed.expose().as_bytes()).unwrap().under_old_key);
        prop_assert_eq!((read.id, read.generation), (token.id, token.generation));
        prop_assert_eq!(read.secret.as_bytes(), token.secret.as_bytes());
        prop_assert_eq!(rotated.verify(cookie("admin"), signed.expose().as_bytes()).unwrap_err(), Forged::Signature);
        prop_assert_eq!(Keyring::new(key(2)).verify(cookie("session"), signed.expose().as_bytes()).unwrap_err(), Forged::Signature);
        prop_assert!(Keyring::empty().verify(cookie("session"), signed.expose().as_bytes()).is_err());
    }

    #[test]
    fn one_changed_character_is_a_forgery(token in token(), at in 0..SignedToken::LENGTH, by in "[A-Za-z0-9_.-]") {
        let keys = Keyring::new(key(1));
        let signed = keys.sign(cookie("session"), &token).unwrap().expose().to_owned();
        let mut forged = signed.clone();
        forged.replace_range(at..=at, &by);
        prop_assert_eq!(keys.verify(cookie("session"), forged.as_bytes()).is_ok(), forged == signed, "one text for each token");
        for cut in [&signed[1..], &signed[..signed.len() - 1], &signed[..at]] {
            prop_assert!(keys.verify(cookie("session"), cut.as_bytes()).is_err());
        }
    }

    #[test]
    fn garbage_is_malformed_or_wrongly_signed(garbage in ".{0,200}") {
        prop_assert!(Keyring::new(key(1)).verify(cookie("session"), garbage.as_bytes()).is_err());
    }
}

#[test]
fn the_first_key_signs() {
    let token = SessionToken {
        id: SessionId::from_bytes([1; 16]),
        generation: 0,
        secret: SessionSecret::from_bytes([2; 32]),
        under_old_key: false,
    };
    let signed = Keyring::new(key(2)).and_accept(key(1)).and_retire(key(3)).sign(cookie("session"), &token).unwrap();
    assert!(Keyring::new(key(2)).verify(cookie("session"), signed.expose().as_bytes()).is_ok());
    assert!(Keyring::new(key(1)).and_accept(key(3)).verify(cookie("session"), signed.expose().as_bytes()).is_err());
    assert!(Keyring::empty().sign(cookie("session"), &token).is_err());
}

#[test]
fn keys_are_read_from_base64_and_base64url_padded_or_not() {
    let bytes = [0xfb; 32];
    for text in [
        "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=",
        "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s",
        "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s",
        " -_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s=\n",
    ] {
        let key = Key::from_base64(text).unwrap();
        let mac = |key: &Key| key.mac(cookie("a"), b"b").finalize().into_bytes();
        assert_eq!(mac(&key), mac(&Key::from_bytes(&bytes).unwrap()));
    }
    assert_eq!(Key::from_base64("c2hvcnQ").unwrap_err(), ConfigError::KeyTooShort { length: 5 });
    assert_eq!(Key::from_base64("").unwrap_err(), ConfigError::KeyTooShort { length: 0 });
    assert_eq!(Key::from_base64("not base64!").unwrap_err(), ConfigError::KeyNotBase64);
    assert_eq!(Key::from_bytes(&[0; 31]).unwrap_err(), ConfigError::KeyTooShort { length: 31 });
}

#[test]
fn a_buffer_that_nobody_has_filled_is_no_key() {
    for length in [32, 33, 64, 200] {
        assert_eq!(Key::from_bytes(&vec![0; length]).unwrap_err(), ConfigError::KeyIsZero, "{length}");
        for position in [0, length - 1] {
            let mut bytes = vec![0; length];
            bytes[position] = 1;
            assert!(Key::from_bytes(&bytes).is_ok(), "byte {position} of {length}");
        }
    }
    assert_eq!(Key::from_base64(&"A".repeat(43)).unwrap_err(), ConfigError::KeyIsZero);
}

#[test]
fn nothing_secret_is_shown() {
    let token = SessionToken {
        id: SessionId::from_bytes([0; 16]),
        generation: 3,
        secret: SessionSecret::from_bytes([0xab; 32]),
        under_old_key: false,
    };
    let keys = Keyring::new(key(7));
    let shown = format!("{token:?} {:?} {keys:?} {:?}", token.secret, keys.sign(cookie("session"), &token).unwrap());
    assert_eq!(
        shown,
        "SessionToken(AAAAAAAAAAAAAAAAAAAAAA, generation 3, ..) SessionSecret(..) Keyring { keys: [Key(..)], old: [] } SignedToken(..)"
    );
}

#[test]
fn no_two_carriers_have_one_mac() {
    use CarrierKind::{Cookie, Header};
    let key = key(1);
    let carriers =
        [(Cookie, "a", "bc"), (Cookie, "ab", "c"), (Cookie, "", "abc"), (Cookie, "abc", ""), (Header, "a", "bc")];
    let macs =
        carriers.map(|(kind, site, name)| key.mac(Carrier { kind, site, name }, b"token").finalize().into_bytes());
    for (at, mac) in macs.iter().enumerate() {
        assert!(!macs[at + 1..].contains(mac), "{:?}", carriers[at]);
    }
}
