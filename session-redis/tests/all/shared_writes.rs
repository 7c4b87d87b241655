//! Replaces and touches that wait at the same moment share one script, and go together with the loads that wait. Each has its
//! own outcome.

use std::{future::Future, pin::Pin, task::Poll, time::Duration};

use futures_util::future::join_all;
use session_conformance::servers::{self, Proxy};
use session_core::{Expiry, Loaded, SessionId, Store, StoreError};
use session_redis::{RedisStore, redis::aio::MultiplexedConnection};

use crate::support::{self, HOUR, NEW, OLD, admin, ask, calls, entry, key};

type Write<'a> = Pin<Box<dyn Future<Output = Result<bool, StoreError>> + Send + 'a>>;

const IDS: [SessionId; 6] = [
    SessionId::from_bytes([1; 16]),
    SessionId::from_bytes([2; 16]),
    SessionId::from_bytes([3; 16]),
    SessionId::from_bytes([4; 16]),
    SessionId::from_bytes([5; 16]),
    SessionId::from_bytes([6; 16]),
];

fn replace(store: &RedisStore, id: SessionId, expected: session_core::Revision) -> Write<'_> {
    let next = if expected == OLD { NEW } else { OLD };
    Box::pin(async move { store.replace(&id, expected, entry(next), Expiry::Extend(HOUR)).await })
}

fn touch(store: &RedisStore, id: SessionId) -> Write<'_> {
    Box::pin(async move { store.touch(&id, OLD, HOUR).await })
}

/// The expiry stays.
fn keep(store: &RedisStore, id: SessionId) -> Write<'_> {
    Box::pin(async move { store.replace(&id, OLD, entry(OLD), Expiry::Keep).await })
}

/// A store with the sessions in it, on a server that knows the script.
async fn filled(url: &str, ids: &[SessionId]) -> RedisStore {
    let store = support::patient().connect(url).await.unwrap();
    for id in ids {
        store.create(id, entry(OLD), HOUR, HOUR).await.unwrap();
    }
    assert!(!store.touch(&SessionId::from_bytes([255; 16]), OLD, HOUR).await.unwrap());
    store
}

async fn scripts(admin: &mut MultiplexedConnection) -> u64 {
    calls(admin, "evalsha").await
}

/// Sends the first write, and lines the others up behind it.
async fn line_up(writes: &mut [Write<'_>]) {
    for write in writes {
        let polled = std::future::poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
}

#[tokio::test]
async fn writes_that_wait_share_a_script_and_each_has_its_answer() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (filled(server.url(), &IDS).await, admin(server.url()).await);
    let [first, conflict, list, short, missing, touched] = IDS;
    ask::<()>(&mut admin, &["DEL", &key(&list), &key(&missing)]).await;
    ask::<()>(&mut admin, &["RPUSH", &key(&list), "x"]).await;
    ask::<()>(&mut admin, &["SET", &key(&short), "x"]).await;
    let before = scripts(&mut admin).await;
    let mut writes = vec![
        replace(&store, first, OLD),
        replace(&store, list, OLD),
        replace(&store, conflict, NEW),
        touch(&store, list),
        replace(&store, short, OLD),
        touch(&store, missing),
        touch(&store, touched),
        replace(&store, touched, OLD),
    ];
    line_up(&mut writes).await;
    let answers = join_all(writes).await;
    // The first has a script of its own, and the others share one. If this process stands still for 50 ms, some of
    // them do not wait for the first, and there are one or two scripts more.
    assert!((2..=4).contains(&(scripts(&mut admin).await - before)));
    for (number, expected) in
        [Some(true), None, Some(false), None, None, Some(false), Some(true), Some(true)].iter().enumerate()
    {
        match (&answers[number], expected) {
            (Ok(answer), Some(expected)) => assert_eq!(answer, expected, "write {number}"),
            (Err(StoreError::Corrupt { .. }), None) => {}
            (answer, _) => panic!("write {number}: {answer:?}"),
        }
    }
    assert_eq!(store.load(&touched).await.unwrap().unwrap().revision, NEW);
    assert_eq!(store.load(&conflict).await.unwrap().unwrap().revision, OLD);
    assert_eq!(ask::<u64>(&mut admin, &["LLEN", &key(&list)]).await, 1);
}

#[tokio::test]
async fn writes_of_one_session_that_share_a_script_keep_their_order() {
    let server = servers::own_redis(&[]);
    let store = filled(server.url(), &IDS).await;
    let mut writes = vec![
        replace(&store, IDS[0], OLD),
        replace(&store, IDS[1], OLD),
        replace(&store, IDS[1], OLD),
        replace(&store, IDS[1], NEW),
        touch(&store, IDS[1]),
        replace(&store, IDS[1], NEW),
    ];
    line_up(&mut writes).await;
    let answers: Vec<_> = join_all(writes).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [true, true, false, true, true, false]);
}

/// Redis 7.0 deletes a session whose end passes while the script runs, if the script moves the expiry.
#[tokio::test]
async fn writes_in_the_last_moment_leave_no_key_that_never_expires() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (filled(server.url(), &[]).await, admin(server.url()).await);
    let ids: Vec<_> = (0..64).map(|number| SessionId::from_bytes([number; 16])).collect();
    let moment = Duration::from_millis(5);
    for write in [touch, keep] {
        for _ in 0..100 {
            for created in join_all(ids.iter().map(|id| store.create(id, entry(OLD), moment, moment))).await {
                created.unwrap();
            }
            while join_all(ids.iter().map(|id| write(&store, *id))).await.into_iter().any(Result::unwrap) {}
            let left: Vec<String> = ask(&mut admin, &["KEYS", "*"]).await;
            for key in left {
                assert_ne!(ask::<i64>(&mut admin, &["PTTL", &key]).await, -1, "{key}");
            }
        }
    }
}

/// A load that goes alone, and the writes and loads that wait behind it.
async fn behind_a_load(store: &RedisStore) -> (Vec<Result<bool, StoreError>>, Vec<Result<Option<Loaded>, StoreError>>) {
    let mut first = store.load(&IDS[0]);
    assert!(std::future::poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await.is_pending());
    let (writes, loads) = (IDS[1..4].iter().map(|id| keep(store, *id)), IDS[3..].iter().map(|id| store.load(id)));
    let (first, writes, loads) = tokio::join!(first, join_all(writes), join_all(loads));
    assert!(first.unwrap().is_some());
    (writes, loads)
}

#[tokio::test]
async fn writes_and_loads_that_wait_go_together() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (filled(server.url(), &IDS).await, admin(server.url()).await);
    // If this process stands still for 50 ms, some of them do not wait for the others.
    for _ in 0..100 {
        let before = (scripts(&mut admin).await, calls(&mut admin, "mget").await);
        let (writes, loads) = behind_a_load(&store).await;
        assert!(writes.into_iter().all(Result::unwrap) && loads.into_iter().all(|load| load.unwrap().is_some()));
        let now = (scripts(&mut admin).await, calls(&mut admin, "mget").await);
        if (now.0 - before.0, now.1 - before.1) == (1, 1) {
            return;
        }
    }
    panic!("none of a hundred times did they go together");
}

#[tokio::test]
async fn what_the_server_refuses_is_no_failure_of_what_goes_along() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (filled(server.url(), &IDS).await, admin(server.url()).await);
    ask::<()>(&mut admin, &["ACL", "SETUSER", "default", "-evalsha"]).await;
    let (writes, loads) = behind_a_load(&store).await;
    assert!(writes.iter().all(Result::is_err), "{writes:?}");
    assert!(loads.iter().all(|load| matches!(load, Ok(Some(_)))), "{loads:?}");
    ask::<()>(&mut admin, &["ACL", "SETUSER", "default", "+evalsha", "-get", "-mget"]).await;
    let mut writes: Vec<_> = IDS[..4].iter().map(|id| keep(&store, *id)).collect();
    line_up(&mut writes).await;
    let (writes, loads) = tokio::join!(join_all(writes), join_all(IDS.iter().map(|id| store.load(id))));
    assert!(writes.iter().all(|write| matches!(write, Ok(true))), "{writes:?}");
    assert!(loads.iter().all(Result::is_err), "{loads:?}");
}

#[tokio::test]
async fn a_write_that_is_dropped_while_it_waits_changes_nothing() {
    let server = servers::own_redis(&[]);
    let store = filled(server.url(), &IDS).await;
    let mut writes: Vec<_> = IDS.iter().map(|id| replace(&store, *id, OLD)).collect();
    line_up(&mut writes).await;
    drop(writes.remove(3));
    for answer in join_all(writes).await {
        assert!(answer.unwrap());
    }
    for (number, id) in IDS.iter().enumerate() {
        let revision = store.load(id).await.unwrap().unwrap().revision;
        assert_eq!(revision, if number == 3 { OLD } else { NEW }, "session {number}");
    }
}

/// The one who has sent a write goes away. Those behind it must not wait for it.
#[tokio::test]
async fn a_first_write_that_is_dropped_holds_nobody_up() {
    let server = servers::own_redis(&[]);
    let store = filled(server.url(), &IDS).await;
    let mut writes: Vec<_> = IDS.iter().map(|id| replace(&store, *id, OLD)).collect();
    line_up(&mut writes).await;
    drop(writes.remove(0));
    for answer in join_all(writes).await {
        assert!(answer.unwrap());
    }
}

#[tokio::test]
async fn a_lost_answer_is_an_error_for_each_and_nothing_is_sent_twice() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let (store, mut admin) = (filled(proxy.url(), &IDS).await, admin(server.url()).await);
    let before = scripts(&mut admin).await;
    let mut writes: Vec<_> = IDS.iter().map(|id| replace(&store, *id, OLD)).collect();
    line_up(&mut writes).await;
    proxy.lose_the_answer(IDS[2].to_string().as_bytes());
    let answers = join_all(writes).await;
    assert_eq!(proxy.lost(), 1);
    assert!(matches!(answers[2], Err(StoreError::Unavailable { .. })), "{:?}", answers[2]);
    let sent = scripts(&mut admin).await - before;
    assert!(sent <= 6, "{sent} scripts for 6 writes");
    for (number, (id, answer)) in IDS.iter().zip(&answers).enumerate() {
        assert!(matches!(answer, Ok(true) | Err(StoreError::Unavailable { .. })), "write {number}: {answer:?}");
        let revision = store.load(id).await.unwrap().unwrap().revision;
        // What was sent once was done once. A second time it would have been a conflict, which is no error.
        assert!(revision == NEW || answer.is_err(), "write {number}: {answer:?}");
    }
    for (id, answer) in IDS.iter().zip(answers) {
        let now = store.load(id).await.unwrap().unwrap().revision;
        assert!(replace(&store, *id, now).await.unwrap(), "after {answer:?}");
    }
}

#[tokio::test]
async fn many_writes_at_once_are_each_done_once() {
    let server = servers::own_redis(&[]);
    let ids: Vec<_> = (0_u8..200).map(|number| SessionId::from_bytes([number; 16])).collect();
    let (store, mut admin) = (filled(server.url(), &ids).await, admin(server.url()).await);
    for expected in [OLD, NEW, OLD] {
        let before = scripts(&mut admin).await;
        for answer in join_all(ids.iter().map(|id| replace(&store, *id, expected))).await {
            assert!(answer.unwrap());
        }
        // The server does nothing else while a script runs, so a script writes 64 sessions at most.
        let sent = scripts(&mut admin).await - before;
        assert!((5..=200).contains(&sent), "{sent} scripts for 200 writes");
    }
    // A long payload keeps no other write waiting, and goes alone.
    let payload = vec![7; 1025];
    let before = scripts(&mut admin).await;
    let long = entry(OLD).with_payload(&payload);
    for answer in join_all(ids.iter().map(|id| store.replace(id, NEW, long, Expiry::Keep))).await {
        assert!(answer.unwrap());
    }
    assert_eq!(scripts(&mut admin).await - before, 200);
}
