//! What a seal is bound to: a test writes past it, into the store within.

use session_core::{Entry, Expiry, Owner, SessionId, Store};
use session_memory::MemoryStore;
use session_sealed::{OpenError, SealKeys, SealedStore};

use crate::{FIRST, HOUR, ID, SECOND, create, key, overwrite, raw, refusal, sealed};

const OTHER: SessionId = SessionId::from_bytes([43; 16]);

fn one_key() -> SealKeys {
    SealKeys::new(key("2026-11", 1))
}

fn broken() -> OpenError {
    OpenError::Broken { id: "2026-11".parse().unwrap() }
}

async fn site() -> (MemoryStore, SealedStore<MemoryStore>) {
    let database = MemoryStore::new();
    let store = sealed(&database, "shop", one_key());
    create(&store, ID, b"of user 42").await;
    (database, store)
}

#[tokio::test]
async fn a_payload_that_is_moved_to_another_session_does_not_open() {
    let (database, store) = site().await;
    create(&store, OTHER, b"of user 42, too").await;
    overwrite(&database, OTHER, FIRST, &raw(&database, ID).await.payload).await;
    assert_eq!(refusal(&store, OTHER).await, broken());
    assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, "of user 42");
}

#[tokio::test]
async fn a_payload_that_is_moved_to_another_revision_does_not_open() {
    let (database, store) = site().await;
    let before = raw(&database, ID).await.payload;
    assert!(store.replace(&ID, FIRST, Entry::new(SECOND, b"later"), Expiry::Keep).await.unwrap());
    overwrite(&database, ID, SECOND, &before).await;
    assert_eq!(refusal(&store, ID).await, broken());
}

#[tokio::test]
async fn a_row_that_is_put_back_whole_opens() {
    let (database, store) = site().await;
    let before = raw(&database, ID).await;
    assert!(store.replace(&ID, FIRST, Entry::new(SECOND, b"later"), Expiry::Keep).await.unwrap());
    overwrite(&database, ID, before.revision, &before.payload).await;
    assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, "of user 42", "as the documentation says");
}

#[tokio::test]
async fn a_payload_of_another_context_does_not_open() {
    let (database, _) = site().await;
    assert_eq!(refusal(&sealed(&database, "admin", one_key()), ID).await, broken());
}

#[tokio::test]
async fn a_payload_under_the_name_of_another_key_does_not_open() {
    let (database, _) = site().await;
    // The same bytes under two ids, so only what the seal is bound to tells one from the other.
    let keys = SealKeys::new(key("2026-11", 1)).and_open(key("2026-12", 1));
    let payload = raw(&database, ID).await.payload;
    let at = payload.windows(7).position(|part| part == b"2026-11").unwrap();
    let renamed = [&payload[..at], b"2026-12", &payload[at + 7..]].concat();
    overwrite(&database, ID, FIRST, &renamed).await;
    let refused = refusal(&sealed(&database, "shop", keys), ID).await;
    assert_eq!(refused, OpenError::Broken { id: "2026-12".parse().unwrap() });
}

#[tokio::test]
async fn a_payload_of_a_key_that_is_not_there_names_it() {
    let (database, _) = site().await;
    let refused = refusal(&sealed(&database, "shop", SealKeys::new(key("2026-12", 2))), ID).await;
    assert_eq!(refused, OpenError::UnknownKey { id: "2026-11".parse().unwrap() });
    assert!(refused.to_string().contains("the key 2026-11"), "{refused}");
}

#[tokio::test]
async fn a_payload_of_another_key_with_the_same_id_does_not_open() {
    let (database, _) = site().await;
    assert_eq!(refusal(&sealed(&database, "shop", SealKeys::new(key("2026-11", 2))), ID).await, broken());
}

#[tokio::test]
async fn a_payload_in_the_clear_does_not_open() {
    let (database, store) = site().await;
    for clear in [b"\x02\0\0".as_slice(), b"\xe1", b"", b"\0", b"2026-11"] {
        overwrite(&database, ID, FIRST, clear).await;
        assert_eq!(refusal(&store, ID).await, OpenError::NotSealed, "{clear:?}");
    }
}

#[tokio::test]
async fn no_payload_with_one_changed_bit_opens_and_none_that_is_cut_off() {
    let (database, store) = site().await;
    let payload = raw(&database, ID).await.payload;
    for bit in 0..8 * payload.len() {
        let mut changed = payload.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        overwrite(&database, ID, FIRST, &changed).await;
        refusal(&store, ID).await;
    }
    for length in 0..payload.len() {
        overwrite(&database, ID, FIRST, &payload[..length]).await;
        refusal(&store, ID).await;
    }
    overwrite(&database, ID, FIRST, &[&payload[..], b"\0"].concat()).await;
    refusal(&store, ID).await;
    overwrite(&database, ID, FIRST, &payload).await;
    assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, "of user 42");
}

#[tokio::test]
async fn what_does_not_open_can_still_be_ended() {
    let (database, store) = site().await;
    overwrite(&database, ID, FIRST, b"rubbish").await;
    assert!(store.touch(&ID, FIRST, HOUR).await.unwrap());
    assert_eq!(store.revoke(&Owner::from(42), None).await.unwrap(), 1);
    assert!(store.load(&ID).await.unwrap().is_none());
}

#[tokio::test]
async fn two_writes_of_one_payload_look_unlike() {
    let (database, store) = site().await;
    let first = raw(&database, ID).await.payload;
    assert!(store.replace(&ID, FIRST, Entry::new(FIRST, b"of user 42"), Expiry::Keep).await.unwrap());
    let second = raw(&database, ID).await.payload;
    assert_eq!(first.len(), second.len());
    let same = first.iter().zip(&second).skip(9).filter(|(one, other)| one == other).count();
    assert!(same < 10, "{same} bytes of {} are the same", first.len());
}

#[tokio::test]
async fn a_seal_adds_no_more_than_its_overhead() {
    let database = MemoryStore::new();
    let store = sealed(&database, "shop", SealKeys::new(key("a-name-of-32-characters.-2026_11", 1)));
    create(&store, ID, b"ten bytes.").await;
    assert_eq!(raw(&database, ID).await.payload.len(), 10 + SealedStore::<MemoryStore>::OVERHEAD);
}
