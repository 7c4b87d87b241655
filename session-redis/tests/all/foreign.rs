//! A value that the store has not written is `Corrupt`, and is left as it is.

use std::time::Duration;

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, Store, StoreError};

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, entry, key};

fn is_corrupt<T: std::fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Corrupt { backend: "redis", .. }))
}

#[tokio::test]
async fn a_value_of_another_kind_or_too_short_is_corrupt_and_stays() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let (key, owner) = (key(&ID), Owner::from(42));
    let owner_cut_short = [&[1; 32][..], &[9], b"42"].concat();
    let owner_cut_short = String::from_utf8(owner_cut_short).unwrap();
    let foreign: [&[&str]; 5] = [
        &["RPUSH", &key, "one"],
        &["HSET", &key, "field", "value"],
        &["SET", &key, "x", "EX", "3600"],
        &["SET", &key, "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}", "EX", "3600"],
        &["SET", &key, &owner_cut_short, "EX", "3600"],
    ];
    for command in foreign {
        ask::<()>(&mut admin, &["FLUSHALL"]).await;
        store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
        ask::<()>(&mut admin, &["DEL", &key]).await;
        ask::<()>(&mut admin, command).await;
        let before: Option<Vec<u8>> = ask(&mut admin, &["DUMP", &key]).await;
        let answer = store.load(&ID).await;
        assert!(is_corrupt(&answer), "load of {command:?}: {answer:?}");
        let other = SessionId::from_bytes([9; 16]);
        let made = store.create_then_load(&other, entry(OLD), HOUR, HOUR, &ID).await.unwrap();
        assert!(is_corrupt(&made), "create_then_load of {command:?}: {made:?}");
        assert!(store.load(&other).await.unwrap().is_some(), "it was made all the same");
        let answer = store.list(&owner).await;
        assert!(is_corrupt(&answer), "list of {command:?}: {answer:?}");
        let answer = store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await;
        assert!(is_corrupt(&answer), "replace of {command:?}: {answer:?}");
        // A touch reads only the head, so it does not see that the rest is missing.
        let answer = store.touch(&ID, NEW, HOUR).await;
        assert!(is_corrupt(&answer) || matches!(answer, Ok(false)), "touch of {command:?}: {answer:?}");
        let answer = store.delete(&ID, OLD).await;
        assert!(is_corrupt(&answer), "delete of {command:?}: {answer:?}");
        let answer = store.revoke(&owner, None).await;
        assert!(is_corrupt(&answer), "revoke of {command:?}: {answer:?}");
        let answer = store.create(&ID, entry(NEW), HOUR, HOUR).await;
        assert!(matches!(answer, Err(StoreError::AlreadyExists)), "create over {command:?}: {answer:?}");
        assert_eq!(ask::<Option<Vec<u8>>>(&mut admin, &["DUMP", &key]).await, before, "{command:?} was changed");
    }
}

#[tokio::test]
async fn a_session_whose_key_was_told_not_to_expire_is_over_when_it_has_expired() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), Duration::from_millis(200), HOUR).await.unwrap();
    ask::<()>(&mut admin, &["PERSIST", &key(&ID)]).await;
    while store.load(&ID).await.unwrap().is_some() {}
    assert_eq!(store.list(&owner).await.unwrap(), []);
    assert!(!store.touch(&ID, OLD, HOUR).await.unwrap());
    assert!(!store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await.unwrap());
    assert!(!store.delete(&ID, OLD).await.unwrap());
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 0);
    assert_eq!(store.load(&ID).await.unwrap(), None);
    store.create(&ID, entry(NEW), HOUR, HOUR).await.unwrap();
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, NEW);
    assert!(ask::<i64>(&mut admin, &["PTTL", &key(&ID)]).await > 0);
}

#[tokio::test]
async fn one_session_that_cannot_be_read_does_not_save_the_owners_others() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    let ids: Vec<_> = (1..=9).map(|number| session_core::SessionId::from_bytes([number; 16])).collect();
    for id in &ids {
        store.create(id, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    }
    ask::<()>(&mut admin, &["SET", &key(&ids[4]), "x", "EX", "3600"]).await;
    let answer = store.revoke(&owner, Some(&ids[8])).await;
    assert!(is_corrupt(&answer), "{answer:?}");
    for (number, id) in ids.iter().enumerate().filter(|(number, _)| *number != 4) {
        assert_eq!(store.load(id).await.unwrap().is_some(), number == 8, "session {number}");
    }
}

#[tokio::test]
async fn an_index_of_another_kind_or_with_a_foreign_entry_is_corrupt() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    for command in [&["SET", "sessions:o:42", "x"][..], &["ZADD", "sessions:o:42", "1", "x"]] {
        ask::<()>(&mut admin, &["FLUSHALL"]).await;
        ask::<()>(&mut admin, command).await;
        let answer = store.list(&owner).await;
        assert!(is_corrupt(&answer), "list over {command:?}: {answer:?}");
        let answer = store.revoke(&owner, None).await;
        assert!(is_corrupt(&answer), "revoke over {command:?}: {answer:?}");
    }
}

#[tokio::test]
async fn loads_that_share_a_trip_have_an_answer_each() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let ids = [1, 2, 3, 4, 5].map(|id| SessionId::from_bytes([id; 16]));
    let [first, foreign, short, _missing, last] = &ids;
    for id in [first, last] {
        store.create(id, entry(OLD), HOUR, HOUR).await.unwrap();
    }
    ask::<()>(&mut admin, &["RPUSH", &key(foreign), "one"]).await;
    ask::<()>(&mut admin, &["SET", &key(short), "x"]).await;
    let answers = support::shared_loads(&store, &mut admin, &ids).await;
    let [first, foreign, short, missing, last] = &answers[..] else { panic!("five were asked") };
    assert!(matches!(first, Ok(Some(_))), "{first:?}");
    assert!(is_corrupt(foreign), "{foreign:?}");
    assert!(is_corrupt(short), "{short:?}");
    assert!(matches!(missing, Ok(None)), "{missing:?}");
    assert!(matches!(last, Ok(Some(_))), "{last:?}");
}
