use super::*;
use crate::SealKey;

const ID: SessionId = SessionId::from_bytes([7; 16]);
const PLACE: Place<'_> = Place { context: "shop", id: &ID, revision: Revision::from_bytes([1; 8]) };

fn keys() -> SealKeys {
    SealKeys::new(SealKey::from_bytes("2026-11", &[42; 32]).unwrap())
}

/// What this version writes, byte for byte. A later one has to read it.
const WRITTEN: &str = "5107323032362d3131090909090909090909090909090909090909090909090909c062ce0918559e482248a26b411871b9fef9a7baa64a22461b401da1958807ee5aae05811b";

#[test]
fn the_format_is_the_one_that_was_written_before() {
    let sealed = PLACE.seal_with(&keys(), [9; NONCE_LENGTH], b"what core has encoded").unwrap();
    let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, WRITTEN);
    assert_eq!(PLACE.open(&keys(), &sealed).unwrap(), b"what core has encoded");
}

/// Moving a byte from one part to the next leaves the parts' text, joined, as it was.
#[test]
fn the_lengths_keep_two_places_apart() {
    let key = |id: &str| id.parse::<KeyId>().unwrap();
    let at = |context| Place { context, ..PLACE };
    assert_ne!(at("bshop").bound(&key("a")), at("shop").bound(&key("ab")));
    assert_ne!(at("shop").bound(&key("a")), at("shop\x07").bound(&key("a")));
    assert_eq!(at("shop").bound(&key("a")).len(), 5 * 4 + 1 + 1 + 4 + 16 + 8);
}
