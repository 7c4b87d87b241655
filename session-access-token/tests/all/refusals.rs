//! What a verifier refuses, and why.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use session_access_token::{AccessClaims, AccessTokenExt, AccessTokens, MAX_LENGTH, SigningKeys, VerifyError};

use crate::support::*;

fn verify(token: &str) -> Result<AccessClaims, VerifyError> {
    verifier(&tokens()).verify(token)
}

fn refused(token: &str) -> VerifyError {
    verify(token).unwrap_err()
}

#[test]
fn the_good_token_of_these_tests_is_good() {
    let claims = verify(&sign(&good_claims())).unwrap();
    assert_eq!((claims.subject(), claims.token_id()), (Some("42"), Some("one")));
    let more = claims_with("of a later version", Some(json!({ "deep": [1, null] })));
    assert!(verify(&sign(&more)).is_ok(), "unknown claims are left alone");
}

#[test]
fn a_token_of_another_key_is_refused() {
    let payload = good_claims().to_string();
    let other = json!({ "kid": key(8).public_key().id() }).to_string();
    assert_eq!(refused(&sign_v4(&[8; 32], &payload, &other, IMPLICIT)), VerifyError::UnknownKey);
    assert_eq!(
        refused(&sign_v4(&[8; 32], &payload, &footer(), IMPLICIT)),
        VerifyError::Signature,
        "under our key's id"
    );
    assert_eq!(refused(&sign_v4(&SEED, &payload, &other, IMPLICIT)), VerifyError::UnknownKey, "under another key's id");
}

#[test]
fn a_token_without_our_footer_is_refused() {
    let payload = good_claims().to_string();
    let id = key(SEED[0]).public_key().id().to_owned();
    for other in [
        String::new(),
        "{}".to_owned(),
        id.clone(),
        format!(r#"{{ "kid":"{id}"}}"#),
        format!(r#"{{"kid":"{id}","kid":"{id}"}}"#),
        format!(r#"{{"kid":"{id}"}} "#),
    ] {
        assert_eq!(refused(&sign_v4(&SEED, &payload, &other, IMPLICIT)), VerifyError::UnknownKey, "{other}");
    }
    let token = sign(&good_claims());
    let (without, _) = token.rsplit_once('.').unwrap();
    assert_eq!(refused(without), VerifyError::UnknownKey);
    let unsigned = sign_v4(&SEED, &payload, "", IMPLICIT);
    let footer = token.rsplit_once('.').unwrap().1;
    assert_eq!(refused(&format!("{unsigned}.{footer}")), VerifyError::Signature, "a footer that was added later");
}

#[test]
fn what_the_key_has_signed_for_something_else_is_no_access_token() {
    let payload = good_claims().to_string();
    for implicit in ["", "session-access-token.v2", "{}"] {
        assert_eq!(refused(&sign_v4(&SEED, &payload, &footer(), implicit)), VerifyError::Signature, "{implicit}");
    }
}

#[test]
fn a_token_of_another_issuer_or_audience_is_refused() {
    let other = |claim, name: &str| refused(&sign(&claims_with(claim, Some(name.into()))));
    for name in ["https://other.example", "", "https://accounts.example/", "HTTPS://ACCOUNTS.EXAMPLE", AUDIENCE] {
        assert_eq!(other("iss", name), VerifyError::Issuer, "{name}");
    }
    for name in ["https://other.example", "", ISSUER] {
        assert_eq!(other("aud", name), VerifyError::Audience, "{name}");
    }
    assert_eq!(
        refused(&sign(&claims_with("aud", Some(json!([AUDIENCE]))))),
        VerifyError::InvalidClaim { claim: "aud" }
    );
}

#[tokio::test]
async fn a_token_for_one_service_is_none_for_another_that_shares_the_keys() {
    let (_, _, session) = Site::new().logged_in(USER).await;
    let other = AccessTokens::new(ISSUER, "https://other.example", SigningKeys::new(key(SEED[0]))).unwrap();
    let token = session.access_token(&other).await.unwrap();
    assert_eq!(refused(token.expose()), VerifyError::Audience);
}

#[test]
fn another_version_or_purpose_is_refused() {
    let token = sign(&good_claims());
    let body = token.strip_prefix("v4.public.").unwrap();
    for header in ["v4.local.", "v3.public.", "v2.public.", "v1.local.", "v5.public."] {
        assert_eq!(refused(&format!("{header}{body}")), VerifyError::OtherPurpose, "{header}");
    }
    for header in ["v4.secret.", "V4.public.", "v4.Public.", "v4.", "k4.public.", "v.public.", "v4public."] {
        assert_eq!(refused(&format!("{header}{body}")), VerifyError::Malformed, "{header}");
    }
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.";
    for text in ["", ".", "....", jwt, "v4.public.", "v4.public..", "v4.public.AAAA", " "] {
        assert_eq!(refused(text), VerifyError::Malformed, "{text}");
    }
}

#[test]
fn a_claim_that_is_missing_or_of_another_form_is_refused() {
    for claim in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        assert_eq!(refused(&sign(&claims_with(claim, None))), VerifyError::MissingClaim { claim });
    }
    assert!(verify(&sign(&claims_with("nbf", None))).is_ok());
    assert!(verify(&sign(&claims_with("jti", None))).is_ok());
    for claim in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp"] {
        for value in [json!(1), json!(null), json!(["x"]), json!({})] {
            assert_eq!(refused(&sign(&claims_with(claim, Some(value)))), VerifyError::InvalidClaim { claim });
        }
    }
    for claim in ["iat", "nbf", "exp"] {
        for text in ["", "now", "2026-11-28", "2026-11-28T25:00:00Z", "1764331200", "-1"] {
            let refused = refused(&sign(&claims_with(claim, Some(text.into()))));
            assert_eq!(refused, VerifyError::InvalidClaim { claim }, "{text}");
        }
    }
    let signed = |payload: &str| refused(&sign_v4(&SEED, payload, &footer(), IMPLICIT));
    for payload in ["1", "[]", "{", "null", "{}{}"] {
        let refused = signed(payload);
        assert!(matches!(refused, VerifyError::Malformed | VerifyError::MissingClaim { .. }), "{payload}");
    }
}

#[test]
fn a_token_with_more_behind_it_is_refused() {
    let token = sign(&good_claims());
    for more in ["=", "A", ".", ".A", "..", "\n", " ", "\0", ".eyJ9"] {
        assert!(verify(&format!("{token}{more}")).is_err(), "{more:?}");
    }
    assert!(verify(&format!(" {token}")).is_err());
}

#[test]
fn a_token_that_is_too_long_is_not_read() {
    let at_limit = format!("v4.public.{}", "A".repeat(MAX_LENGTH - 10));
    assert_ne!(refused(&at_limit), VerifyError::TooLong);
    assert_eq!(refused(&format!("{at_limit}A")), VerifyError::TooLong);
    let long = sign(&claims_with("sid", Some("x".repeat(MAX_LENGTH).into())));
    assert_eq!(refused(&long), VerifyError::TooLong, "also if it is genuine");
}

#[test]
fn the_header_is_one_bearer() {
    let verifier = verifier(&tokens());
    let token = sign(&good_claims());
    let verify = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        verifier.verify_headers(&headers).map(|claims| claims.subject().map(str::to_owned))
    };
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        assert_eq!(verify(&[&format!("{scheme} {token}")]), Ok(Some("42".to_owned())));
    }
    let good = format!("Bearer {token}");
    for values in [&[][..], &["Basic eDp5"], &[&*token], &["Bearer"], &[&good, &good], &[&good, "Basic eDp5"], &["é"]]
    {
        assert_eq!(verify(values), Err(VerifyError::NoToken), "{values:?}");
    }
    assert_eq!(verify(&["Bearer  x"]), Err(VerifyError::Malformed));
}

#[test]
fn a_refusal_is_a_401_and_names_the_scheme() {
    for error in [VerifyError::Expired, VerifyError::Signature, VerifyError::Malformed] {
        assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(error.www_authenticate(), Some("Bearer error=\"invalid_token\""));
    }
    assert_eq!(VerifyError::NoToken.www_authenticate(), Some("Bearer"));
    let outdated = VerifyError::KeysOutdated;
    assert_eq!((outdated.status(), outdated.www_authenticate()), (StatusCode::SERVICE_UNAVAILABLE, None));
}

proptest! {
    #[test]
    fn one_changed_character_is_a_forgery(at: prop::sample::Index, to in "[A-Za-z0-9_.=-]") {
        let token = sign(&good_claims());
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert!(verify(&changed).is_err(), "{}", changed);
    }

    #[test]
    fn no_text_makes_a_verifier_panic(text in "(v4\\.public\\.)?[A-Za-z0-9_.=-]{0,200}|.{0,60}") {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn no_signed_payload_makes_a_verifier_panic(claim in "iss|aud|sub|owner|sid|iat|nbf|exp|jti", text in ".{0,40}") {
        let claims = claims_with(&claim, Some(Value::from(text)));
        if let Ok(claims) = verify(&sign(&claims)) {
            prop_assert!(matches!(&*claim, "sub" | "sid" | "jti"), "{:?}", claims);
        }
    }
}
