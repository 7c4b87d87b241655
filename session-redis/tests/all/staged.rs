//! A frame of 8 KiB or more is written under a key of its own, and the script renames that key: what becomes of it.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use session_conformance::servers::{self, Proxy};
use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use session_redis::redis::aio::MultiplexedConnection;

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, calls, entry, key};

const RESTART: Expiry = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };

/// The longest frame that goes through the script, and the shortest that does not.
const LENGTHS: [usize; 2] = [8191 - 33, 8192 - 33];

#[tokio::test]
async fn a_frame_of_8_kib_is_renamed_and_a_shorter_one_is_not() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    for (length, renames) in LENGTHS.into_iter().zip([0, 1]) {
        let (old, new) = (vec![7; length], vec![8; length]);
        let before = calls(&mut admin, "rename").await;
        store.create(&ID, Entry::new(OLD, &old), HOUR, HOUR).await.unwrap();
        assert_eq!(calls(&mut admin, "rename").await - before, renames, "create of {length}");
        for expiry in [Expiry::Keep, Expiry::Extend(HOUR), RESTART] {
            let before = calls(&mut admin, "rename").await;
            assert!(store.replace(&ID, OLD, Entry::new(NEW, &new), expiry).await.unwrap());
            assert_eq!(calls(&mut admin, "rename").await - before, renames, "{expiry:?} of {length}");
            assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, new);
            assert!(store.replace(&ID, NEW, Entry::new(OLD, &old), expiry).await.unwrap());
        }
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 1);
        store.delete(&ID, OLD).await.unwrap();
    }
}

#[tokio::test]
async fn a_staged_frame_and_its_script_are_one_trip() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let long = vec![7; 66_000];
    store.create(&ID, Entry::new(OLD, &long), HOUR, HOUR).await.unwrap();
    assert!(store.replace(&ID, OLD, Entry::new(NEW, &long), Expiry::Keep).await.unwrap());
    let before = calls(&mut admin, "rename").await;
    let mut replace = Box::pin(store.replace(&ID, NEW, Entry::new(OLD, &long), Expiry::Keep));
    // One poll hands all of it to the connection. This is one thread, so the write is not polled again before the script
    // has run.
    let polled = std::future::poll_fn(|context| Poll::Ready(replace.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    let start = Instant::now();
    while calls(&mut admin, "rename").await == before {
        assert!(start.elapsed() < Duration::from_secs(20), "the script waits for a second trip");
    }
    assert!(replace.await.unwrap());
}

#[tokio::test]
async fn a_long_frame_keeps_what_a_short_one_keeps() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    for length in LENGTHS {
        let (payload, owner) = (vec![7; length], Owner::from(42));
        let long = |revision| Entry::new(revision, &payload).with_owner(Some(&owner));
        store.create(&ID, long(OLD), HOUR / 4, HOUR).await.unwrap();
        let kept = async |admin: &mut _, most: i64| {
            let kept: i64 = ask(admin, &["PTTL", &key(&ID)]).await;
            assert!((most - 60_000..=most).contains(&kept), "{kept} of {most}, {length} bytes");
            let loaded = store.load(&ID).await.unwrap().unwrap();
            assert_eq!(loaded.payload, payload);
            let (expires_in, ends_in) = (loaded.expires_in.as_millis() as i64, loaded.ends_in.as_millis() as i64);
            assert!((most - 60_000..=most).contains(&expires_in), "{expires_in} of {most}, {length} bytes");
            assert!((3_540_000..=3_600_000).contains(&ends_in), "{ends_in}, {length} bytes");
            assert_eq!(store.list(&owner).await.unwrap().len(), 1);
        };
        kept(&mut admin, 900_000).await;
        assert!(store.replace(&ID, OLD, long(NEW), Expiry::Keep).await.unwrap());
        kept(&mut admin, 900_000).await;
        assert!(store.replace(&ID, NEW, long(OLD), Expiry::Extend(HOUR / 2)).await.unwrap());
        kept(&mut admin, 1_800_000).await;
        assert!(store.replace(&ID, OLD, long(NEW), Expiry::Extend(2 * HOUR)).await.unwrap());
        kept(&mut admin, 3_600_000).await;
        // Another owner is ignored, of the same length or of another, and so is none.
        for other in [Some(Owner::from(43)), Some(Owner::from(4_000_000)), None] {
            let foreign = Entry::new(OLD, &payload).with_owner(other.as_ref());
            assert!(store.replace(&ID, NEW, foreign, Expiry::Keep).await.unwrap());
            kept(&mut admin, 3_600_000).await;
            assert!(store.replace(&ID, OLD, long(NEW), Expiry::Keep).await.unwrap());
            kept(&mut admin, 3_600_000).await;
        }
        // The session and the index of its owner.
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 2);
        assert_eq!(store.revoke(&owner, None).await.unwrap(), 1);
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
    }
}

/// Waits until the server has removed the keys that have expired.
async fn wait_until_empty(admin: &mut MultiplexedConnection) {
    let start = Instant::now();
    while ask::<u64>(admin, &["DBSIZE"]).await > 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "a key of a session that is over stays");
    }
}

#[tokio::test]
async fn a_long_frame_whose_session_is_over_at_once_leaves_nothing() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    for length in LENGTHS {
        let payload = vec![7; length];
        let long = |revision| Entry::new(revision, &payload);
        let nothing = Duration::ZERO;
        store.create(&ID, long(OLD), nothing, HOUR).await.unwrap();
        wait_until_empty(&mut admin).await;
        for expiry in [Expiry::Extend(nothing), Expiry::Restart { expires_in: HOUR, ends_in: nothing }] {
            store.create(&ID, long(OLD), HOUR, HOUR).await.unwrap();
            assert!(store.replace(&ID, OLD, long(NEW), expiry).await.unwrap());
            wait_until_empty(&mut admin).await;
        }
    }
}

#[tokio::test]
async fn a_refused_long_frame_leaves_nothing_staged() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let payload = vec![7; LENGTHS[1]];
    let long = Entry::new(NEW, &payload);
    for expiry in [Expiry::Keep, Expiry::Extend(HOUR), RESTART] {
        assert!(!store.replace(&ID, OLD, long, expiry).await.unwrap(), "there is none");
    }
    assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
    let key = key(&ID);
    for (command, is_corrupt) in
        [(&["DEL", &key][..], false), (&["SET", &key, "x"], true), (&["RPUSH", &key, "x"], true)]
    {
        ask::<()>(&mut admin, &["FLUSHALL"]).await;
        store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
        if is_corrupt {
            ask::<()>(&mut admin, &["DEL", &key]).await;
            ask::<()>(&mut admin, command).await;
        }
        let answer = store.create(&ID, long, HOUR, HOUR).await;
        assert!(matches!(answer, Err(StoreError::AlreadyExists)), "{command:?}: {answer:?}");
        for expiry in [Expiry::Keep, Expiry::Extend(HOUR), RESTART] {
            let answer = store.replace(&ID, NEW, long, expiry).await;
            match is_corrupt {
                true => assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{command:?}: {answer:?}"),
                false => assert!(!answer.unwrap(), "another revision"),
            }
        }
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 1, "{command:?}");
    }
}

#[tokio::test]
async fn of_long_frames_that_are_written_at_once_one_wins() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let payloads: Vec<_> = (0_u8..16).map(|number| vec![number; 20_000]).collect();
    let writes = payloads.iter().zip(0_u64..).map(|(payload, number)| {
        store.replace(&ID, OLD, Entry::new(Revision::from_bytes(number.to_be_bytes()), payload), Expiry::Keep)
    });
    let won: Vec<_> = join_all(writes).await.into_iter().map(Result::unwrap).collect();
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, payloads[winner]);
    assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 1);
}

#[tokio::test]
async fn a_long_frame_whose_answer_is_lost_was_written_once() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let store = support::patient().connect(proxy.url()).await.unwrap();
    let mut admin = admin(server.url()).await;
    let payload = vec![7; 66_000];
    store.create(&ID, Entry::new(OLD, &payload), HOUR, HOUR).await.unwrap();
    assert!(!store.replace(&ID, NEW, Entry::new(NEW, &payload), Expiry::Keep).await.unwrap());
    let before = calls(&mut admin, "evalsha").await;
    proxy.lose_the_answer(ID.to_string().as_bytes());
    let error = store.replace(&ID, OLD, Entry::new(NEW, &payload), Expiry::Keep).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let loaded = store.load(&ID).await.unwrap().unwrap();
    // The connection may be cut while the long message is on its way.
    assert!([OLD, NEW].contains(&loaded.revision));
    assert!(calls(&mut admin, "evalsha").await <= before + 1, "the write was sent again");
}

#[tokio::test]
async fn a_long_frame_is_written_after_the_server_has_forgotten_the_script() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let payload = vec![7; 66_000];
    for _ in 0..2 {
        ask::<()>(&mut admin, &["SCRIPT", "FLUSH"]).await;
        store.create(&ID, Entry::new(OLD, &payload), HOUR, HOUR).await.unwrap();
        assert!(store.replace(&ID, OLD, Entry::new(NEW, &payload), Expiry::Keep).await.unwrap());
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 1);
        assert!(store.delete(&ID, NEW).await.unwrap());
    }
    let other = SessionId::from_bytes([7; 16]);
    assert!(!store.replace(&other, OLD, Entry::new(NEW, &payload), Expiry::Keep).await.unwrap());
}
