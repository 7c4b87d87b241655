//! Keys: what is taken for one, and how they are changed while users stay logged in.

use session_core::{Entry, Expiry, Store};
use session_memory::MemoryStore;
use session_sealed::{KeyId, OpenError, SealConfigError, SealKey, SealKeys, SealedStore};

use crate::{FIRST, ID, SECOND, create, key, raw, refusal, sealed};

/// The id of the key that has sealed the session.
async fn sealed_by(database: &MemoryStore) -> KeyId {
    match refusal(&sealed(database, "shop", SealKeys::new(key("none", 9))), ID).await {
        OpenError::UnknownKey { id } => id,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn keys_are_changed_under_live_sessions() {
    let (old, new) = (key("2026-05", 1), key("2026-11", 2));
    let database = MemoryStore::new();
    let before = sealed(&database, "shop", SealKeys::new(old.clone()));
    create(&before, ID, b"of user 42").await;
    let ahead = sealed(&database, "shop", SealKeys::new(old.clone()).and_open(new.clone()));
    assert_eq!(ahead.load(&ID).await.unwrap().unwrap().payload, "of user 42");

    // Reading does not seal it again, and the old node still reads it.
    let both = sealed(&database, "shop", SealKeys::new(new.clone()).and_open(old.clone()));
    assert_eq!(both.load(&ID).await.unwrap().unwrap().payload, "of user 42");
    assert_eq!(sealed_by(&database).await.as_str(), "2026-05");
    let last = sealed(&database, "shop", SealKeys::new(new));
    assert_eq!(refusal(&last, ID).await, OpenError::UnknownKey { id: "2026-05".parse().unwrap() });

    // Writing does.
    assert!(both.replace(&ID, FIRST, Entry::new(SECOND, b"written again"), Expiry::Keep).await.unwrap());
    assert_eq!(sealed_by(&database).await.as_str(), "2026-11");
    for store in [last, ahead] {
        assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, "written again");
    }
    assert_eq!(refusal(&before, ID).await, OpenError::UnknownKey { id: "2026-11".parse().unwrap() });
}

#[tokio::test]
async fn a_running_store_takes_other_keys_and_so_do_its_clones() {
    let database = MemoryStore::new();
    let store = sealed(&database, "shop", SealKeys::new(key("2026-05", 1)));
    let clone = store.clone();
    create(&store, ID, b"of user 42").await;
    clone.set_keys(SealKeys::new(key("2026-11", 2)).and_open(key("2026-05", 1))).unwrap();
    assert!(store.replace(&ID, FIRST, Entry::new(SECOND, b"written again"), Expiry::Keep).await.unwrap());
    assert_eq!(sealed_by(&database).await.as_str(), "2026-11");
    assert_eq!(clone.load(&ID).await.unwrap().unwrap().payload, "written again");

    let twins = SealKeys::new(key("2026-12", 3)).and_open(key("2026-12", 4));
    let refused = SealConfigError::TwoKeysOfOneId { id: "2026-12".parse().unwrap() };
    assert_eq!(store.set_keys(twins.clone()), Err(refused.clone()));
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, SECOND, "the keys are those from before");
    assert_eq!(SealedStore::new(database, "shop", twins).map(drop), Err(refused));
}

#[test]
fn a_key_is_32_bytes_in_base64_under_an_id() {
    let bytes = *b"0123456789ABCDEF\xfb\xff0123456789abcd";
    for text in [
        "MDEyMzQ1Njc4OUFCQ0RFRvv/MDEyMzQ1Njc4OWFiY2Q=",
        "MDEyMzQ1Njc4OUFCQ0RFRvv_MDEyMzQ1Njc4OWFiY2Q",
        " MDEyMzQ1Njc4OUFCQ0RFRvv/MDEyMzQ1Njc4OWFiY2Q=\n",
    ] {
        assert_eq!(SealKey::from_base64("a", text).unwrap().id().as_str(), "a", "{text}");
    }
    let refused = |id, bytes: &[u8]| SealKey::from_bytes(id, bytes).map(drop).unwrap_err();
    for length in [0, 31, 33, 64] {
        assert_eq!(refused("a", &vec![1; length]), SealConfigError::KeyLength { length });
    }
    assert_eq!(refused("a", &[0; 32]), SealConfigError::KeyIsZero);
    let not_base64 = SealKey::from_base64("a", "not base64!").map(drop);
    assert_eq!(not_base64, Err(SealConfigError::KeyNotBase64));
    for id in ["", "two words", "a/b", "é", "a\n", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE", &"a".repeat(33)] {
        assert_eq!(refused(id, &bytes), SealConfigError::KeyId, "{id:?}");
    }
    assert!(SealKey::from_bytes("Az09.-_", &bytes).is_ok() && SealKey::from_bytes(&"a".repeat(32), &bytes).is_ok());
}

#[tokio::test]
async fn a_key_from_text_is_the_key_from_its_bytes() {
    let database = MemoryStore::new();
    let text = SealKey::from_base64("a", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap();
    create(&sealed(&database, "shop", SealKeys::new(text)), ID, b"of user 42").await;
    let bytes = SealKey::from_bytes("a", b"01234567890123456789012345678901").unwrap();
    let opened = sealed(&database, "shop", SealKeys::new(bytes)).load(&ID).await.unwrap().unwrap();
    assert_eq!(opened.payload, "of user 42");
    assert!(!raw(&database, ID).await.payload.windows(4).any(|part| part == b"user"));
}

#[tokio::test]
async fn generated_keys_differ() {
    let database = MemoryStore::new();
    let generated = || SealKeys::new(SealKey::generate("a").unwrap());
    create(&sealed(&database, "shop", generated()), ID, b"of user 42").await;
    assert_eq!(
        refusal(&sealed(&database, "shop", generated()), ID).await,
        OpenError::Broken { id: "a".parse().unwrap() }
    );
}

#[test]
fn a_context_needs_a_name() {
    for context in ["", " ", "\n"] {
        let store = SealedStore::new(MemoryStore::new(), context, SealKeys::new(key("a", 1)));
        assert_eq!(store.map(drop), Err(SealConfigError::NoContext));
    }
}

#[test]
fn no_debug_text_holds_a_key() {
    let store = sealed(&MemoryStore::new(), "shop", SealKeys::new(key("a", 171)).and_open(key("b", 205)));
    let text = format!("{store:?} {store:#?}");
    assert!(text.contains("\"shop\"") && text.contains("SealKey(a, ..)"), "{text}");
    for part in ["171", "205", "ab, ab", "abab", "cdcd"] {
        assert!(!text.contains(part), "{text}");
    }
}
