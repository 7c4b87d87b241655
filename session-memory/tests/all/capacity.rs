//! What a store does when it is full.

use std::time::Duration;

use session_core::{Entry, Owner, Purpose, Revision, SessionId, Store, StoreError};
use session_memory::{CapacityReached, MemoryStore};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn create(store: &MemoryStore, id: u8, expires_in: Duration) -> Result<(), StoreError> {
    let owner = Owner::from(42);
    let entry = Entry::new(Revision::from_bytes([id; 8]), b"").with_owner(Some(&owner));
    store.create(&SessionId::from_bytes([id; 16]), entry, expires_in, HOUR).await
}

#[tokio::test]
async fn a_full_store_refuses_a_new_session_and_drops_no_live_one() {
    let store = MemoryStore::with_capacity(8);
    for id in 0..8 {
        create(&store, id, HOUR).await.unwrap();
    }
    let refused = create(&store, 8, HOUR).await.unwrap_err();
    let StoreError::Unavailable { backend: "memory", source } = refused else { panic!("{refused:?}") };
    assert!(source.is::<CapacityReached>(), "{source:?}");
    assert_eq!(store.list(&Owner::from(42)).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_live_id_is_known_to_exist_also_when_the_store_is_full() {
    let store = MemoryStore::with_capacity(1);
    create(&store, 0, HOUR).await.unwrap();
    assert!(matches!(create(&store, 0, HOUR).await, Err(StoreError::AlreadyExists)));
}

#[tokio::test]
async fn expired_sessions_make_room_wherever_they_are() {
    let store = MemoryStore::with_capacity(100);
    for id in 0..100 {
        create(&store, id, if id % 2 == 0 { MINUTE } else { HOUR }).await.unwrap();
    }
    store.advance(MINUTE);
    for id in 100..150 {
        create(&store, id, HOUR).await.unwrap();
    }
    assert!(create(&store, 150, HOUR).await.is_err(), "a hundred are live");
    assert_eq!(store.list(&Owner::from(42)).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_deleted_session_a_revoked_and_a_purged_one_leave_their_place() {
    let store = MemoryStore::with_capacity(2);
    for _ in 0..10 {
        create(&store, 1, HOUR).await.unwrap();
        create(&store, 2, MINUTE).await.unwrap();
        assert!(store.delete(&SessionId::from_bytes([1; 16]), Revision::from_bytes([1; 8])).await.unwrap());
        create(&store, 3, HOUR).await.unwrap();
        assert_eq!(store.revoke(&Owner::from(42), Some(&SessionId::from_bytes([2; 16]))).await.unwrap(), 1);
        store.advance(MINUTE);
        assert_eq!(store.purge(10).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn clones_are_one_store_and_its_debug_shows_no_session() {
    let store = MemoryStore::with_capacity(3);
    create(&store.clone(), 7, HOUR).await.unwrap();
    assert_eq!(format!("{store:?}"), "MemoryStore { sessions: 1, capacity: 3 }");
    store.clone().advance(HOUR);
    assert_eq!(store.load(&SessionId::from_bytes([7; 16])).await.unwrap(), None);
}

async fn visit(store: &MemoryStore, id: u8, purpose: Purpose, expires_in: Duration) -> Result<(), StoreError> {
    let entry = Entry::new(Revision::from_bytes([id; 8]), b"").with_purpose(purpose);
    store.create(&SessionId::from_bytes([id; 16]), entry, expires_in, HOUR).await
}

#[tokio::test]
async fn the_last_quarter_is_kept_for_what_serves_a_login() {
    let store = MemoryStore::with_capacity(8);
    for id in 0..6 {
        visit(&store, id, Purpose::Visit, HOUR).await.unwrap();
    }
    let refused = visit(&store, 6, Purpose::Visit, HOUR).await.unwrap_err();
    let StoreError::Unavailable { backend: "memory", source } = refused else { panic!("{refused:?}") };
    assert!(source.is::<CapacityReached>(), "{source:?}");
    visit(&store, 7, Purpose::Login, HOUR).await.unwrap();
    create(&store, 8, HOUR).await.unwrap();
    assert!(create(&store, 9, HOUR).await.is_err(), "there is room for eight");
    assert!(visit(&store, 10, Purpose::Login, HOUR).await.is_err(), "there is room for eight");
    for id in [0, 1, 2, 3, 4, 5, 7, 8] {
        assert!(store.load(&SessionId::from_bytes([id; 16])).await.unwrap().is_some(), "{id} was live");
    }
}

/// Otherwise, on a site with many users, visitors would leave no room for the next login.
#[tokio::test]
async fn visitors_never_take_the_last_quarter_however_many_are_logged_in() {
    let store = MemoryStore::with_capacity(100);
    for id in 0..70 {
        create(&store, id, HOUR).await.unwrap();
    }
    let visits = 70..100;
    let mut taken = 0;
    for id in visits {
        taken += usize::from(visit(&store, id, Purpose::Visit, HOUR).await.is_ok());
    }
    assert_eq!(taken, 5);
    for id in 100..125 {
        create(&store, id, HOUR).await.unwrap();
    }
}

#[tokio::test]
async fn expired_sessions_make_room_for_visitors_up_to_their_part() {
    let store = MemoryStore::with_capacity(8);
    for id in 0..8 {
        create(&store, id, if id < 3 { MINUTE } else { HOUR }).await.unwrap();
    }
    assert!(visit(&store, 8, Purpose::Visit, HOUR).await.is_err());
    store.advance(MINUTE);
    visit(&store, 8, Purpose::Visit, HOUR).await.unwrap();
    assert!(visit(&store, 9, Purpose::Visit, HOUR).await.is_err(), "six are live");
    create(&store, 10, HOUR).await.unwrap();
}
