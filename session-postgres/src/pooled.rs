//! The pooled mode: an operation is one message of text.
//!
//! A pooler in transaction mode may give each transaction another connection. A statement that one message prepares and
//! the next one runs may then meet another client's statement of the same name. One simple message is one transaction,
//! and cannot be torn apart. It has no parameters, so its text has the values in it. The values are of only two kinds:
//! integers, and bytes as hex.

use std::{fmt::Write, time::Duration};

use crate::value::Value;

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Prepared once on each connection, and run with parameters.
    Prepared,
    /// As one message of text.
    Pooled,
}

/// The statement with its values in the places of its parameters, after the server's timeout for it. `$1` is the nonce.
/// Nothing has to be quoted or escaped, because integers and hex have no other characters.
pub(crate) fn message(sql: &str, within: Duration, nonce: i64, values: &[Value<'_>]) -> String {
    let bytes: usize =
        values.iter().map(|value| if let Value::Bytes(bytes) = value { 2 * bytes.len() } else { 0 }).sum();
    let mut text = String::with_capacity(sql.len() + bytes + 256);
    // Writing to a string cannot fail.
    let _ = write!(text, "SET LOCAL statement_timeout = {}; ", milliseconds(within));
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = after.split_at(digits);
        push(&mut text, value(number, nonce, values));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The value of the parameter of this number. No statement names more parameters than it is given.
fn value<'a>(number: &str, nonce: i64, values: &[Value<'a>]) -> Value<'a> {
    match number.parse::<usize>() {
        Ok(1) => Value::Number(nonce),
        Ok(number) => values.get(number.wrapping_sub(2)).copied().unwrap_or(Value::NoBytes),
        Err(_) => Value::NoBytes,
    }
}

fn push(text: &mut String, value: Value<'_>) {
    match value {
        // The parentheses are needed because a cast binds more tightly than a sign.
        Value::Number(number) => {
            let _ = write!(text, "({number})::bigint");
        }
        // Not `'\x…'`: a server with `standard_conforming_strings=off` would read an escape in it.
        Value::Bytes(bytes) => {
            text.push_str("decode('");
            push_hex(text, bytes);
            text.push_str("', 'hex')");
        }
        Value::NoBytes => text.push_str("NULL::bytea"),
        Value::Ids(ids) => {
            text.push_str("ARRAY[");
            for (at, id) in ids.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                push(text, Value::Bytes(id.as_bytes()));
            }
            text.push_str("]::bytea[]");
        }
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |number: u8| char::from(if number < 10 { b'0' + number } else { b'a' + number - 10 });
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

/// The bytes that `encode(…, 'hex')` has turned into this text. `None` if the text is no hex.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// Whole milliseconds, at least one: 0 would be no timeout at all.
pub(crate) fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_becomes_hex_and_comes_back() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let mut text = String::new();
        push_hex(&mut text, &bytes);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"), "{text}");
        assert_eq!(from_hex(&text), Some(bytes));
        assert_eq!(from_hex(""), Some(Vec::new()));
        for broken in ["0", "0g", "é0", "\\x00"] {
            assert_eq!(from_hex(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_message_holds_nothing_but_the_statement_and_integers_and_hex() {
        let values = [Value::Bytes(b"'; DROP TABLE sessions; --$1"), Value::Number(i64::MIN), Value::NoBytes];
        let text = message("SELECT $1, $2, $3, $4 -- $2", Duration::from_secs(2), -7, &values);
        let hex = "273b2044524f50205441424c452073657373696f6e733b202d2d2431";
        assert_eq!(
            text,
            format!(
                "SET LOCAL statement_timeout = 2000; SELECT (-7)::bigint, decode('{hex}', 'hex'), \
                 (-9223372036854775808)::bigint, NULL::bytea -- decode('{hex}', 'hex')"
            )
        );
    }

    #[test]
    fn a_timeout_is_never_none_at_all() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_micros(1500)), 1);
        assert_eq!(milliseconds(Duration::MAX), i32::MAX);
    }
}
