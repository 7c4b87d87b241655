//! Published keys: what they look like, how they are exchanged, and how old they may get.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use session_access_token::{
    AccessTokenExt, AccessTokens, ConfigError, KeySet, PublicKey, SigningKey, SigningKeys, Verifier, VerifyError,
};

use crate::support::*;

#[test]
fn what_is_published_is_read_back() {
    let keys = SigningKeys::new(key(1)).and_publish(key(2).public_key().clone());
    let tokens = AccessTokens::new(ISSUER, AUDIENCE, keys).unwrap();
    let json: Value = serde_json::from_str(&tokens.key_set_json()).unwrap();
    let entry = |key: &PublicKey| json!({ "kid": key.id(), "key": key.to_string() });
    let [one, two] = [key(1), key(2)].map(|key| entry(key.public_key()));
    assert_eq!(json, json!({ "keys": [one, two], "max_age": 300 }));
    let read = KeySet::from_json(&tokens.key_set_json()).unwrap();
    assert_eq!((read.keys(), read.max_age()), (tokens.key_set().keys(), Some(Duration::from_secs(300))));
    assert_eq!(tokens.cache_control(), "private, max-age=300");
    let slower = tokens.with_key_set_max_age(Duration::from_secs(900)).unwrap();
    assert_eq!(
        (slower.cache_control().as_str(), slower.key_set().max_age()),
        ("private, max-age=900", Some(900 * SECOND))
    );
}

#[test]
fn a_set_of_another_form_is_refused() {
    let [one, two] = [key(1), key(2)].map(|key| key.public_key().clone());
    let entry = |kid: &str, key: &str| json!({ "keys": [{ "kid": kid, "key": key }] }).to_string();
    assert!(matches!(KeySet::from_json(&entry(two.id(), &one.to_string())), Err(ConfigError::KeyId)));
    assert!(matches!(KeySet::from_json(&entry(one.id(), "k4.secret.AAAA")), Err(ConfigError::PublicKey)));
    for json in ["", "[]", "{}", r#"{"keys":1}"#, r#"{"keys":[],"max_age":-1}"#, r#"{"keys":[{}]}"#] {
        assert!(matches!(KeySet::from_json(json), Err(ConfigError::KeySet(_))), "{json}");
    }
    for age in [0, 86_401, u64::MAX] {
        let json = format!(r#"{{"keys":[],"max_age":{age}}}"#);
        assert!(matches!(KeySet::from_json(&json), Err(ConfigError::Duration { .. })), "{age}");
    }
    let long = format!(r#"{{"keys":[]{}}}"#, " ".repeat(16 * 1024));
    assert!(matches!(KeySet::from_json(&long), Err(ConfigError::KeySetTooLarge)));
    let many = |n| KeySet::new((1..=n).map(|seed| key(seed).public_key().clone()));
    assert!(many(16).is_ok() && matches!(many(17), Err(ConfigError::KeySetTooLarge)));
    let later = json!({ "keys": [{ "kid": one.id(), "key": one.to_string(), "use": "sig" }], "next": 1 }).to_string();
    assert_eq!(KeySet::from_json(&later).unwrap().keys(), [one], "what a later version adds is left alone");
}

#[test]
fn a_key_is_32_bytes_and_not_zero() {
    for length in [0, 31, 33, 64] {
        let refused = SigningKey::from_bytes(&vec![1; length]);
        assert!(matches!(refused, Err(ConfigError::KeyLength { length: is }) if is == length));
    }
    assert!(matches!(SigningKey::from_bytes(&[0; 32]), Err(ConfigError::KeyIsZero)));
    assert!(matches!(SigningKey::from_base64("no base64!"), Err(ConfigError::KeyNotBase64)));
    for text in ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE\n"] {
        let same = SigningKey::from_bytes(b"01234567890123456789012345678901").unwrap();
        assert_eq!(SigningKey::from_base64(text).unwrap().public_key(), same.public_key());
    }
    let [one, other] = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
    assert_ne!(one.public_key(), other.public_key());
    assert!(!format!("{one:?}").contains("k4.secret"));
}

#[tokio::test]
async fn a_key_is_changed_without_a_refused_token() {
    let (_, _, session) = Site::new().logged_in(USER).await;
    let [old, new] = [key(1), key(2)];
    let [old_public, new_public] = [old.public_key().clone(), new.public_key().clone()];
    let tokens = AccessTokens::new(ISSUER, AUDIENCE, SigningKeys::new(old.clone())).unwrap();
    let verifier = verifier(&tokens);
    let clone = verifier.clone();
    let mut minted = Vec::new();
    for keys in [
        SigningKeys::new(old).and_publish(new_public),
        SigningKeys::new(new.clone()).and_publish(old_public),
        SigningKeys::new(new),
    ] {
        // The service that mints is the first to change, and the other one has the key set of before.
        tokens.clone().set_keys(keys).unwrap();
        let token = session.access_token(&tokens).await.unwrap();
        clone.verify(token.expose()).unwrap();
        minted.push(token);
        verifier.set_keys(KeySet::from_json(&tokens.key_set_json()).unwrap());
    }
    let answers = minted.iter().map(|token| clone.verify(token.expose()).map(|_| ()));
    assert_eq!(answers.collect::<Vec<_>>(), [Err(VerifyError::UnknownKey), Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_at_once_is_refused_once_the_set_is_fetched() {
    let (_, _, session) = Site::new().logged_in(USER).await;
    let tokens = AccessTokens::new(ISSUER, AUDIENCE, SigningKeys::new(key(1))).unwrap();
    let verifier = verifier(&tokens);
    let stolen = session.access_token(&tokens).await.unwrap();
    tokens.set_keys(SigningKeys::new(key(2))).unwrap();
    let fresh = session.access_token(&tokens).await.unwrap();
    assert!(verifier.verify(stolen.expose()).is_ok());
    assert_eq!(verifier.verify(fresh.expose()).unwrap_err(), VerifyError::UnknownKey);
    verifier.set_keys(KeySet::from_json(&tokens.key_set_json()).unwrap());
    assert_eq!(verifier.verify(stolen.expose()).unwrap_err(), VerifyError::UnknownKey);
    assert!(verifier.verify(fresh.expose()).is_ok());
    verifier.set_keys(KeySet::new([]).unwrap());
    assert_eq!(verifier.verify(fresh.expose()).unwrap_err(), VerifyError::UnknownKey);
}

#[test]
fn a_key_set_that_nobody_has_fetched_for_its_maximum_age_verifies_nothing() {
    let verifier = verifier(&tokens());
    let token = sign(&good_claims());
    assert!(verifier.verify(&token).is_ok());
    let later = SystemTime::now() + Duration::from_secs(301);
    assert_eq!(verifier.verify_at(&token, later).unwrap_err(), VerifyError::KeysOutdated);
    verifier.set_keys(KeySet::new(tokens().key_set().keys().to_vec()).unwrap());
    assert!(verifier.verify_at(&token, later).is_ok(), "one that was written by hand stays");
}

#[test]
fn the_keys_of_the_same_program_do_not_get_old() {
    let verifier = Verifier::new(tokens().key_set(), ISSUER, AUDIENCE).unwrap();
    let later = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(verifier.verify_at(&sign(&good_claims()), later).unwrap_err(), VerifyError::Expired);
}
