//! The times in a token, and the clocks that judge them.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use session_access_token::{ConfigError, Verifier, VerifyError};

use crate::support::*;

/// A fixed time: claims have milliseconds.
fn noon() -> SystemTime {
    humantime::parse_rfc3339("2026-11-28T12:00:00Z").unwrap()
}

/// A token that was minted at noon, with these times in seconds from then on.
fn token(issued: i64, not_before: i64, expires: i64) -> String {
    let mut claims = good_claims();
    for (claim, seconds) in [("iat", issued), ("nbf", not_before), ("exp", expires)] {
        claims[claim] = Value::from(humantime::format_rfc3339_millis(after(seconds * 1000)).to_string());
    }
    sign(&claims)
}

/// The instant this many milliseconds after noon.
fn after(milliseconds: i64) -> SystemTime {
    match milliseconds {
        0.. => noon() + Duration::from_millis(milliseconds.unsigned_abs()),
        _ => noon() - Duration::from_millis(milliseconds.unsigned_abs()),
    }
}

fn fixed() -> Verifier {
    Verifier::new(tokens().key_set(), ISSUER, AUDIENCE).unwrap()
}

#[test]
fn a_token_is_good_from_its_beginning_to_its_end_and_five_seconds_beside() {
    let (verifier, token) = (fixed(), token(0, 0, 60));
    for (milliseconds, answer) in [
        (-5001, Err(VerifyError::NotYetValid)),
        (-5000, Ok(())),
        (0, Ok(())),
        (60_000, Ok(())),
        (64_999, Ok(())),
        (65_000, Err(VerifyError::Expired)),
        (3_600_000, Err(VerifyError::Expired)),
    ] {
        assert_eq!(verifier.verify_at(&token, after(milliseconds)).map(|_| ()), answer, "{milliseconds} ms after noon");
    }
}

#[test]
fn without_a_leeway_a_token_is_good_until_its_end_exactly() {
    let verifier = fixed().with_leeway(Duration::ZERO).unwrap();
    let token = token(0, 0, 60);
    for (milliseconds, answer) in
        [(-1, Err(VerifyError::NotYetValid)), (0, Ok(())), (59_999, Ok(())), (60_000, Err(VerifyError::Expired))]
    {
        assert_eq!(verifier.verify_at(&token, after(milliseconds)).map(|_| ()), answer, "{milliseconds} ms after noon");
    }
}

#[test]
fn a_token_that_begins_later_than_it_was_minted_is_refused_until_then() {
    let (verifier, token) = (fixed(), token(0, 30, 60));
    assert_eq!(verifier.verify_at(&token, after(24_999)).unwrap_err(), VerifyError::NotYetValid);
    assert!(verifier.verify_at(&token, after(25_000)).is_ok());
}

#[test]
fn a_token_that_lasts_longer_than_is_allowed_is_refused() {
    let verifier = fixed();
    assert!(verifier.verify_at(&token(0, 0, 600), noon()).is_ok());
    assert_eq!(verifier.verify_at(&token(0, 0, 601), noon()).unwrap_err(), VerifyError::TooLongLived);
    let strict = fixed().with_longest_lifetime(Duration::from_secs(60)).unwrap();
    assert!(strict.verify_at(&token(0, 0, 60), noon()).is_ok());
    assert_eq!(strict.verify_at(&token(0, 0, 61), noon()).unwrap_err(), VerifyError::TooLongLived);
    let invalid = VerifyError::InvalidClaim { claim: "exp" };
    assert_eq!(verifier.verify_at(&token(0, 0, -1), noon()).unwrap_err(), invalid, "it ends before it begins");
}

#[test]
fn leeway_and_longest_lifetime_have_bounds() {
    assert!(matches!(fixed().with_leeway(Duration::from_millis(5001)), Err(ConfigError::Duration { .. })));
    for seconds in [0, 601] {
        let refused = fixed().with_longest_lifetime(Duration::from_secs(seconds));
        assert!(matches!(refused, Err(ConfigError::Duration { .. })), "{seconds}");
    }
}
