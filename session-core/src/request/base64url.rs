//! Base64url without padding (RFC 4648, section 5), for ids, secrets and MACs.
//!
//! Each request decodes a token and a MAC. This works on all characters at once, where a library for texts of any
//! length takes one after the other. No secret decides a branch or is an index, so the time tells nothing of it. The stack may
//! keep what it has worked on, as the headers of the request and of the response do.

/// Room for the longest text, of a token, in whole groups of four characters.
const CHARACTERS: usize = 72;

/// Room for its bytes, in groups of three.
const BYTES: usize = CHARACTERS / 4 * 3;

/// The characters in the order of their values: the first of a range, how many they are, and the value of the first.
const RANGES: [(u8, u8, u8); 5] = [(b'A', 26, 0), (b'a', 26, 26), (b'0', 10, 52), (b'-', 1, 62), (b'_', 1, 63)];

/// The number of characters that bytes take when they are written out.
pub(crate) const fn length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(6)
}

pub(crate) fn encode<const N: usize, const LENGTH: usize>(bytes: &[u8; N]) -> [u8; LENGTH] {
    const { assert!(LENGTH == length(N) && LENGTH <= CHARACTERS) };
    let mut padded = [0; BYTES];
    padded[..N].copy_from_slice(bytes);
    let mut values = [0; CHARACTERS];
    let used = LENGTH.next_multiple_of(4);
    for (four, three) in values[..used].chunks_exact_mut(4).zip(padded.chunks_exact(3)) {
        let [a, b, c] = [three[0], three[1], three[2]];
        four.copy_from_slice(&[a >> 2, a << 4 & 0x30 | b >> 4, b << 2 & 0x3c | c >> 6, c & 0x3f]);
    }
    let mut text = [0; LENGTH];
    text.iter_mut().zip(values).for_each(|(character, value)| *character = character_of(value));
    text
}

/// Decodes exactly `N` bytes. There is one text for each value.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    const { assert!(length(N) <= CHARACTERS) };
    if text.len() != length(N) {
        return None;
    }
    let mut values = [0; CHARACTERS];
    values.iter_mut().zip(text).for_each(|(value, character)| *value = value_of(*character));
    let mut padded = [0; BYTES];
    let used = length(N).next_multiple_of(4);
    for (three, four) in padded.chunks_exact_mut(3).zip(values[..used].chunks_exact(4)) {
        let [a, b, c, d] = [four[0], four[1], four[2], four[3]];
        three.copy_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
    }
    let (bytes, rest) = padded.split_first_chunk::<N>()?;
    let all = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all | byte);
    // Behind the last byte there are zeros, or another text would have the same value.
    (all(&values) < 64 && all(rest) == 0).then_some(*bytes)
}

/// The character of a value under 64.
fn character_of(value: u8) -> u8 {
    RANGES.into_iter().fold(0, |found, (first, count, of_first)| {
        let place = value.wrapping_sub(of_first);
        found | u8::from(place < count).wrapping_neg() & place.wrapping_add(first)
    })
}

/// The value of a character: 255 if it has none.
fn value_of(character: u8) -> u8 {
    let plus_one = RANGES.into_iter().fold(0, |found, (first, count, of_first)| {
        let place = character.wrapping_sub(first);
        found | u8::from(place < count).wrapping_neg() & place.wrapping_add(of_first + 1)
    });
    plus_one.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::{array::uniform, prelude::*};

    use super::*;

    fn is_as_of_another_library<const N: usize, const LENGTH: usize>(bytes: [u8; N]) -> Result<(), TestCaseError> {
        let text: [u8; LENGTH] = encode(&bytes);
        prop_assert_eq!(text.to_vec(), Base64UrlUnpadded::encode_string(&bytes).into_bytes());
        prop_assert_eq!(decode(&text), Some(bytes));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_text_is_that_of_another_library(id: [u8; 16], secret: [u8; 32], token in uniform(any::<u8>())) {
            is_as_of_another_library::<16, 22>(id)?;
            is_as_of_another_library::<32, 43>(secret)?;
            is_as_of_another_library::<52, 70>(token)?;
        }
    }

    /// Each byte, at each place of a text of each length.
    #[test]
    fn what_another_library_refuses_is_refused() {
        fn try_each<const N: usize>() {
            let mut text = vec![b'A'; length(N)];
            for at in 0..text.len() {
                for byte in 0..=255 {
                    text[at] = byte;
                    let theirs =
                        std::str::from_utf8(&text).ok().and_then(|text| Base64UrlUnpadded::decode_vec(text).ok());
                    assert_eq!(decode::<N>(&text).map(Vec::from), theirs, "byte {byte} at {at}");
                }
                text[at] = b'A';
            }
        }
        try_each::<16>();
        try_each::<32>();
        try_each::<52>();
    }

    #[test]
    fn a_text_of_another_length_is_refused() {
        for length in (0..100).filter(|length| *length != 22) {
            assert_eq!(decode::<16>(&vec![b'A'; length]), None, "{length} characters");
        }
    }
}
