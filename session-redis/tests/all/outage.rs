//! A server that is gone, slow, full, or not the master. Each call fails in time with a typed error, and the store
//! works again afterwards.

use std::{
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use outage_tests::{After, REVISION, Subject, async_trait};
use session_conformance::servers::{self, Proxy, Server};
use session_core::{Expiry, Owner, SessionId, Store, StoreError};
use session_redis::{RedisStore, redis};

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, calls, entry, failures, wait_for_blocked};

/// How long the stores of these tests wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

struct Redis;

#[async_trait]
impl Subject for Redis {
    type Store = RedisStore;

    const BACKEND: &'static str = "redis";
    const TIMEOUT: Duration = TIMEOUT;

    fn server() -> Server {
        servers::own_redis(&[])
    }

    async fn connect(&self, url: &str) -> Result<RedisStore, StoreError> {
        RedisStore::builder().with_timeout(TIMEOUT).connect(url).await
    }

    async fn recover(&self, store: &RedisStore, after: After) {
        match after {
            // A write is sent only once, so it succeeds only if the connection works.
            After::Failures => assert!(store.touch(&ID, REVISION, HOUR).await.unwrap()),
            // The server has done what it was asked: a write that has timed out may still be applied.
            After::Silence => assert!(store.load(&outage_tests::MADE).await.unwrap().is_some()),
            // A read is sent again, so it does not fail.
            After::Cut => {}
        }
    }
}

outage_tests::outage_tests!(Redis);

#[tokio::test]
async fn connections_that_the_server_cuts_are_made_again() {
    let server = Redis::server();
    let admin = admin(server.url()).await;
    let cut = async |_: &Server| {
        ask::<()>(&mut admin.clone(), &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    };
    outage_tests::cut(&server, &[Redis], cut).await;
}

fn is_unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { backend: "redis", .. } | StoreError::TimedOut { backend: "redis", .. })
}

/// All operations fail, each in time.
async fn all_fail(store: &RedisStore) {
    let start = Instant::now();
    for (name, error) in failures(store).await {
        assert!(is_unavailable(&error), "{name}: {error:?}");
    }
    // No operation takes more than three round trips.
    assert!(start.elapsed() < 8 * 3 * TIMEOUT, "they took {:?}", start.elapsed());
}

/// The session that was there is still there, and can be written.
async fn works(store: &RedisStore) {
    let loaded = store.load(&ID).await.unwrap().unwrap_or_else(|| panic!("the session has gone"));
    assert!(store.replace(&ID, loaded.revision, entry(OLD), Expiry::Extend(HOUR)).await.unwrap());
}

#[tokio::test]
async fn each_call_by_itself_fails_on_a_server_that_is_silent_and_on_one_that_was_killed() {
    let server = servers::own_redis(&[]);
    let store = support::store(&server, TIMEOUT / 4).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    server.pause();
    for (name, error) in failures(&store).await {
        assert!(matches!(error, StoreError::TimedOut { .. }), "{name}: {error:?}");
    }
    server.resume();
    // The server has done what it was asked: a write that has timed out may still be applied.
    assert_eq!(store.load(&SessionId::from_bytes([7; 16])).await.unwrap().unwrap().revision, NEW);
    server.kill();
    all_fail(&store).await;
}

/// The application's connection may have no timeout of its own, or a longer one.
#[tokio::test]
async fn the_stores_timeout_holds_on_the_applications_connection() {
    let server = servers::own_redis(&[]);
    let config = redis::aio::ConnectionManagerConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let client = redis::Client::open(server.url()).unwrap();
    let manager = client.get_connection_manager_with_config(config).await.unwrap();
    let store = RedisStore::builder().with_timeout(TIMEOUT / 4).with_manager(manager);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    server.pause();
    let failing = tokio::time::timeout(8 * 3 * TIMEOUT, failures(&store));
    for (name, error) in failing.await.unwrap() {
        assert!(matches!(error, StoreError::TimedOut { .. }), "{name}: {error:?}");
    }
    server.resume();
    assert_eq!(store.load(&SessionId::from_bytes([7; 16])).await.unwrap().unwrap().revision, NEW);
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_write_leaves_the_session_as_it_was() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let writing = store.clone();
    let writing = tokio::spawn(async move { writing.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await });
    wait_for_blocked(&mut admin).await;
    ask::<()>(&mut admin, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    ask::<()>(&mut admin, &["CLIENT", "UNPAUSE"]).await;
    let error = writing.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD, "the write was sent again");
    works(&store).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_write_has_written_once() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let store = support::patient().connect(proxy.url()).await.unwrap();
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    assert!(!store.replace(&ID, NEW, entry(NEW), Expiry::Keep).await.unwrap());
    let mut admin = admin(server.url()).await;
    let before = calls(&mut admin, "evalsha").await;

    proxy.lose_the_answer(ID.to_string().as_bytes());
    let error = store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, NEW);
    assert_eq!(calls(&mut admin, "evalsha").await, before + 1, "the write was sent again");

    // A read whose answer is lost is asked again.
    proxy.lose_the_answer(ID.to_string().as_bytes());
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, NEW);
    assert_eq!(proxy.lost(), 2);
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_sent_again() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, TIMEOUT).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    for (old, new) in [(OLD, NEW), (NEW, OLD)] {
        ask::<()>(&mut admin, &["SCRIPT", "FLUSH"]).await;
        let other = SessionId::from_bytes([7; 16]);
        store.create(&other, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
        assert!(store.replace(&ID, old, entry(new), Expiry::Keep).await.unwrap());
        assert!(store.touch(&ID, new, HOUR).await.unwrap());
        assert!(store.delete(&other, OLD).await.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_is_full_refuses_to_grow_and_lets_sessions_end() {
    let server = servers::own_redis(&["--maxmemory", "6mb"]);
    let store = support::store(&server, 20 * TIMEOUT).await;
    let (id, payload) = (|number: u128| SessionId::from_bytes(number.to_be_bytes()), vec![7; 20_000]);
    let mut full = 0;
    let error = loop {
        match store.create(&id(full), entry(OLD).with_payload(&payload), HOUR, HOUR).await {
            Ok(()) => full += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(full > 0, "the server was full from the start");
    assert_eq!(store.load(&id(full)).await.unwrap(), None, "a part of a session was made");
    let error = store.replace(&id(0), OLD, entry(NEW).with_payload(&payload), Expiry::Keep).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let mut admin = admin(server.url()).await;
    assert_eq!(ask::<u128>(&mut admin, &["DBSIZE"]).await, full, "something is left of a write that was refused");
    for number in 0..full {
        let loaded = store.load(&id(number)).await.unwrap().unwrap();
        assert_eq!((loaded.revision, loaded.payload.len()), (OLD, payload.len()), "session {number} of {full}");
    }
    assert!(store.touch(&id(0), OLD, HOUR).await.unwrap());
    for number in 0..full {
        assert!(store.delete(&id(number), OLD).await.unwrap());
    }
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
}

/// They are not staged, and the script itself returns the refusal. If it did not, the answer would be that a lost update is saved.
#[tokio::test]
async fn small_sessions_that_a_full_server_refuses_stay_as_they_are() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, 20 * TIMEOUT).await, admin(server.url()).await);
    let other = SessionId::from_bytes([7; 16]);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    store.create(&SessionId::from_bytes([8; 16]), entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let refused = [
        store.create(&other, entry(NEW), HOUR, HOUR).await.map(|()| true),
        store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await,
        store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR / 2)).await,
        store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await,
        store.replace(&ID, OLD, entry(NEW), restart).await,
    ];
    assert!(refused.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable { .. }))), "{refused:?}");
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 1, "what can be ended is ended");
    ask::<()>(&mut admin, &["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD);
    assert!(store.load(&other).await.unwrap().is_none());
}

/// It lags behind: it may still have a session that was ended.
#[tokio::test]
async fn connecting_refuses_a_replica() {
    let server = servers::own_redis(&[]);
    let mut admin = admin(server.url()).await;
    ask::<()>(&mut admin, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = support::patient().connect(server.url()).await.unwrap_err();
    let StoreError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().starts_with("the server is a replica"), "{source}");
    ask::<()>(&mut admin, &["REPLICAOF", "NO", "ONE"]).await;
    support::patient().connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_only_reads_is_unavailable_for_writes() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, TIMEOUT).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = store.touch(&ID, OLD, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    ask::<()>(&mut admin, &["REPLICAOF", "NO", "ONE"]).await;
    works(&store).await;
}

#[tokio::test]
async fn a_server_that_is_busy_with_another_script_is_unavailable() {
    let server = servers::own_redis(&["--busy-reply-threshold", "10"]);
    let (store, mut killer) = (support::store(&server, TIMEOUT).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut runner = admin(server.url()).await;
    let endless = tokio::spawn(async move {
        let endless: redis::RedisResult<()> =
            redis::cmd("EVAL").arg("while true do end").arg(0).query_async(&mut runner).await;
        endless
    });
    let start = Instant::now();
    let error = loop {
        match store.load(&ID).await {
            Ok(_) => assert!(start.elapsed() < Duration::from_secs(20), "the script has not begun"),
            Err(error) => break error,
        }
    };
    assert!(is_unavailable(&error), "{error:?}");
    all_fail(&store).await;
    ask::<()>(&mut killer, &["SCRIPT", "KILL"]).await;
    endless.await.unwrap().unwrap_err();
    works(&store).await;
}

#[tokio::test]
async fn a_future_that_is_dropped_in_flight_leaves_a_connection_that_works() {
    let server = servers::own_redis(&[]);
    let store = support::store(&server, 20 * TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, 2 * HOUR).await.unwrap();
    server.pause();
    for _ in 0..50 {
        let mut write = pin!(store.touch(&ID, OLD, HOUR));
        let polled = std::future::poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        assert!(polled.is_pending(), "a server that stands still has answered");
        tokio::task::yield_now().await;
    }
    server.resume();
    // Each answer goes to the operation that it belongs to.
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD);
    assert!(!store.touch(&ID, NEW, HOUR).await.unwrap());
    works(&store).await;
}

#[tokio::test]
async fn connecting_says_at_once_what_is_wrong() {
    let server = servers::own_redis(&["--requirepass", "a-password"]);
    let port = server.url().rsplit(':').next().unwrap();
    let error = support::patient().connect(server.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "no password: {error:?}");
    let error = support::patient().connect(&format!("redis://:wrong@127.0.0.1:{port}")).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "a wrong password: {error:?}");
    support::patient().connect(&format!("redis://:a-password@127.0.0.1:{port}")).await.unwrap();
    let error = support::patient().connect("no address").await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "no URL: {error:?}");
    server.kill();
    let error = RedisStore::connect(server.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "no server: {error:?}");
}
