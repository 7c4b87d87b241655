//! Whatever the owner is, it comes out as it went in.

use proptest::prelude::*;
use serde_json::{Value, json};
use session_access_token::{AccessTokenExt, VerifyError};
use session_core::Owner;

use crate::support::*;

/// The owner that another service sees, and the claims `sub` and `owner` of the token.
fn seen(owner: &Owner) -> (Owner, Option<String>, Value, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (site, tokens) = (Site::new(), tokens());
        let (_, _, session) = site.logged_in(owner.clone()).await;
        let token = session.access_token(&tokens).await.unwrap();
        let claims = verifier(&tokens).verify(token.expose()).unwrap();
        let [sub, bytes] = ["sub", "owner"].map(|claim| claims.get(claim).unwrap().unwrap_or_default());
        (Owner::try_from(claims.owner_bytes()).unwrap(), claims.subject().map(str::to_owned), sub, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_owner_comes_out_as_it_went_in(bytes in proptest::collection::vec(any::<u8>(), 1..=255)) {
        let owner = Owner::try_from(bytes.as_slice()).unwrap();
        let (seen, subject, sub, bytes) = seen(&owner);
        prop_assert_eq!(&seen, &owner);
        prop_assert_eq!(subject.as_deref(), owner.as_str());
        prop_assert_eq!(sub.as_str(), owner.as_str());
        prop_assert_eq!(bytes.is_string(), owner.as_str().is_none());
    }

    #[test]
    fn an_owner_that_is_text_is_the_subject(text in "\\PC{1,60}|[\\x00-\\x1f\"\\\\]{1,255}") {
        let owner = Owner::try_from(&text).unwrap();
        let (seen, subject, sub, bytes) = seen(&owner);
        prop_assert_eq!(&seen, &owner);
        prop_assert_eq!((subject, sub, bytes), (Some(text.clone()), Value::from(text), Value::Null));
    }

    #[test]
    fn a_number_is_its_decimal_text(number: i64) {
        let (seen, subject, ..) = seen(&Owner::from(number));
        prop_assert_eq!((i64::try_from(seen), subject), (Ok(number), Some(number.to_string())));
    }
}

#[test]
fn an_owner_has_one_spelling_and_is_told_once() {
    let tokens = tokens();
    let verifier = verifier(&tokens);
    let of = |claims: Value| verifier.verify(&sign(&claims)).map(|claims| claims.owner_bytes().to_vec());
    let bytes = |text: &str| {
        let mut claims = claims_with("sub", None);
        claims["owner"] = text.into();
        claims
    };
    assert_eq!(of(bytes("gP8")), Ok(vec![0x80, 0xff]));
    let invalid = |claim| Err(VerifyError::InvalidClaim { claim });
    assert_eq!(of(bytes("NDI")), invalid("owner"), "text is never there");
    assert_eq!(of(bytes("gP8=")), invalid("owner"));
    assert_eq!(of(bytes("")), invalid("owner"));
    assert_eq!(of(claims_with("owner", Some("gP8".into()))), invalid("owner"), "both");
    assert_eq!(of(claims_with("sub", Some("".into()))), invalid("sub"));
    assert_eq!(of(claims_with("sub", Some("x".repeat(256).into()))), invalid("sub"));
    assert_eq!(of(claims_with("sub", Some(json!(42)))), invalid("sub"));
}
