//! What is in the server: the keys and their times to live, which the eight methods do not show.

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, Store, StoreError};
use session_redis::redis::aio::MultiplexedConnection;

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, entry, key};

/// Whether the key expires by itself, at the session's end an hour from now or before.
async fn goes_in_time(admin: &mut MultiplexedConnection) -> bool {
    (1..=3_600_000).contains(&ask::<i64>(admin, &["PTTL", &key(&ID)]).await)
}

#[tokio::test]
async fn a_key_never_outlives_the_end_of_its_session() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), 2 * HOUR, HOUR).await.unwrap();
    assert!(goes_in_time(&mut admin).await, "after a create");
    assert!(store.touch(&ID, OLD, 2 * HOUR).await.unwrap());
    assert!(goes_in_time(&mut admin).await, "after a touch");
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Extend(2 * HOUR)).await.unwrap());
    assert!(goes_in_time(&mut admin).await, "after an extension");
    assert!(store.replace(&ID, NEW, entry(OLD), Expiry::Keep).await.unwrap());
    assert!(goes_in_time(&mut admin).await, "after a write that keeps it");
    let restart = Expiry::Restart { expires_in: 2 * HOUR, ends_in: HOUR };
    assert!(store.replace(&ID, OLD, entry(NEW), restart).await.unwrap());
    assert!(goes_in_time(&mut admin).await, "after a new lifetime");
}

/// An entry is removed with the session that was deleted, and not with the next session under the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_made_while_its_predecessor_is_deleted_is_listed() {
    let server = servers::own_redis(&[]);
    let (store, owner) = (support::store(&server, HOUR).await, Owner::from(42));
    for round in 0_u8..100 {
        let id = SessionId::from_bytes([round; 16]);
        store.create(&id, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
        let (deleting, of_task) = (store.clone(), owner.clone());
        let deleting = tokio::spawn(async move { deleting.delete(&id, OLD).await });
        while let Err(error) = store.create(&id, entry(NEW).with_owner(Some(&of_task)), HOUR, HOUR).await {
            assert!(matches!(error, StoreError::AlreadyExists), "{error:?}");
        }
        assert!(deleting.await.unwrap().unwrap());
        let listed = store.list(&owner).await.unwrap();
        assert_eq!(listed.len(), 1, "round {round}");
        assert_eq!(store.revoke(&owner, None).await.unwrap(), 1, "round {round}");
    }
}

/// The same write may arrive twice, late and with less time left.
#[tokio::test]
async fn an_index_is_kept_for_the_longest_of_its_sessions() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    // Two sessions, and of the second case one session that is made twice.
    for (user, ids, lifetimes) in [(42, [1, 2], [1, 5]), (43, [3, 3], [5, 1]), (44, [4, 5], [5, 1])] {
        let (owner, index) = (Owner::from(user), format!("sessions:o:{user}"));
        let mut longest = 0;
        for (id, hours) in ids.into_iter().zip(lifetimes) {
            let id = SessionId::from_bytes([id; 16]);
            store.create(&id, entry(OLD).with_owner(Some(&owner)), HOUR, hours * HOUR).await.ok();
            longest = longest.max(hours);
            let (kept, most): (i64, _) = (ask(&mut admin, &["TTL", &index]).await, i64::from(longest + 1) * 3600);
            assert!((most - 10..=most).contains(&kept), "user {user}'s index is kept for {kept} seconds");
        }
    }
}

#[tokio::test]
async fn a_login_removes_the_entries_whose_time_is_over() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    let owned = entry(OLD).with_owner(Some(&owner));
    store.create(&ID, owned, HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["ZADD", "sessions:o:42", "1000", "sixteen bytes id at=12345"]).await;
    store.create(&SessionId::from_bytes([9; 16]), owned, HOUR, HOUR).await.unwrap();
    assert_eq!(ask::<u64>(&mut admin, &["ZCARD", "sessions:o:42"]).await, 2);
}

#[tokio::test]
async fn an_index_that_was_told_to_stay_stays() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    let owned = entry(OLD).with_owner(Some(&owner));
    store.create(&ID, owned, HOUR, 5 * HOUR).await.unwrap();
    ask::<()>(&mut admin, &["PERSIST", "sessions:o:42"]).await;
    store.create(&SessionId::from_bytes([9; 16]), owned, HOUR, HOUR).await.unwrap();
    assert_eq!(ask::<i64>(&mut admin, &["TTL", "sessions:o:42"]).await, -1);
    assert_eq!(store.list(&owner).await.unwrap().len(), 2);
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn a_server_without_tls_is_an_error_and_no_panic() {
    let server = servers::own_redis(&[]);
    let url = server.url().replace("redis://", "rediss://");
    let builder = session_redis::RedisStore::builder().with_connect_timeout(std::time::Duration::from_secs(2));
    let error = builder.connect(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_prefix_cannot_smuggle_anything_in() {
    for prefix in ["", "Sessions", "4two", "a b", "a:", "{a}", "a*", "é", "a-b", "a\0", &"a".repeat(49)] {
        assert!(session_redis::RedisStore::builder().with_prefix(prefix).is_err(), "{prefix}");
    }
}
