//! What only a master that sentinels watch does: it dies, and another takes its place.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, Store, StoreError};
use session_redis::{
    RedisStore,
    redis::{
        self, ConnectionAddr, ProtocolVersion,
        sentinel::{SentinelClientBuilder, SentinelServerType},
    },
};

use crate::succession::*;
use crate::support::{self, HOUR, ID, NEW, OLD, ask, calls, caught_up, entry, wait_for_blocked};

/// How long the stores of these tests wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The session, once the store finds it again. Until then each load fails, in time and with a typed error.
async fn found_again(store: &RedisStore) -> session_core::Loaded {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = store.load(&ID).await;
        assert!(asked.elapsed() < 5 * TIMEOUT, "it took {:?}: {answer:?}", asked.elapsed());
        match answer {
            Ok(session) => return session.unwrap_or_else(|| panic!("a session that is there was not found")),
            Err(StoreError::Unavailable { .. } | StoreError::TimedOut { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(start.elapsed() < FAILOVER, "no other server has become the master");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_killed_is_replaced_and_the_store_needs_no_restart() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let old = master(&server).await;
    caught_up(&mut node(old).await).await;
    server.node(old).kill();
    let error = store.touch(&ID, OLD, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
    // Many operations wait for the new master at once.
    let finding = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { found_again(&store).await })
    });
    for found in finding.collect::<Vec<_>>() {
        assert_eq!(found.await.unwrap().revision, OLD);
    }
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await.unwrap());
    assert!(store.delete(&ID, NEW).await.unwrap());

    // The old master comes back, and is made a replica. No write goes to it, before or after.
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    server.node(old).start();
    let (start, mut revisions) = (Instant::now(), [OLD, NEW]);
    while !is_replica(old).await {
        assert!(store.replace(&ID, revisions[0], entry(revisions[1]), Expiry::Keep).await.unwrap());
        revisions.reverse();
        assert!(start.elapsed() < FAILOVER, "the old master was not made a replica");
    }
    let again = support::store(&server, TIMEOUT).await;
    assert!(again.touch(&ID, revisions[0], HOUR).await.unwrap());
    let mut old = node(old).await;
    assert_eq!(calls(&mut old, "evalsha").await + calls(&mut old, "eval").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_servers_that_were_killed_and_started_again_need_no_restart_of_ours() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    caught_up(&mut node(master(&server).await).await).await;
    server.kill();
    let start = Instant::now();
    for (name, error) in support::failures(&store).await {
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{name}: {error:?}");
    }
    // No operation takes more than three round trips.
    assert!(start.elapsed() < 8 * 3 * TIMEOUT, "they took {:?}", start.elapsed());
    server.start();
    assert_eq!(found_again(&store).await.revision, OLD);
}

/// A machine that is cut off from the network closes no connection. When it comes back, it still takes itself for the
/// master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_falls_silent_is_left_and_not_written_to_when_it_wakes() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let port = master(&server).await;
    let mut old = node(port).await;
    caught_up(&mut old).await;
    server.node(port).pause();
    let error = store.load(&ID).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
    assert_eq!(found_again(&store).await.revision, OLD);
    server.node(port).resume();
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap());
    // Both calls are from the making of the session: the script was new to the server, so it was sent twice.
    assert_eq!(calls(&mut old, "evalsha").await + calls(&mut old, "eval").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_demoted_master_refuses_is_sent_to_its_successor() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, 20 * TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut succession = Succession::begin(&server).await;
    succession.complete().await;
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap());
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, NEW);
    assert!(calls(&mut succession.new, "get").await > 0, "the replica was read");
}

/// A login reads the epoch in the message of its write. If the master refuses the write, what it has read counts for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_demoted_master_reads_beside_a_refused_write_is_not_believed() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, 20 * TIMEOUT).await;
    let epoch = SessionId::from_bytes([7; 16]);
    store.create(&epoch, entry(OLD), HOUR, HOUR).await.unwrap();
    Succession::begin(&server).await.complete().await;
    // By another connection, so that this store still talks to the old master.
    let revoking = support::store(&server, 20 * TIMEOUT).await;
    assert!(revoking.replace(&epoch, OLD, entry(NEW), Expiry::Keep).await.unwrap());
    let (owner, long) = (Owner::from(42), [7; 9000]);
    for (id, payload) in [(SessionId::from_bytes([8; 16]), &b"short"[..]), (SessionId::from_bytes([9; 16]), &long)] {
        let login = entry(OLD).with_payload(payload).with_owner(Some(&owner));
        let read = store.create_then_load(&id, login, HOUR, HOUR, &epoch).await.unwrap().unwrap().unwrap();
        assert_eq!(read.revision, NEW, "{} bytes", payload.len());
    }
    assert_eq!(revoking.list(&owner).await.unwrap().len(), 2);
}

/// The master is replaced while a login is on its way. If the new master had only the session, it would survive "log out
/// everywhere".
#[tokio::test]
async fn a_session_and_its_entry_in_the_index_are_written_to_the_same_master() {
    for is_cut in [false, true] {
        let server = servers::own_redis_sentinel();
        let store = support::store(&server, 20 * TIMEOUT).await;
        // From now on the server knows the scripts.
        let (owner, other) = (Owner::from(42), SessionId::from_bytes([9; 16]));
        store.create(&other, entry(OLD).with_owner(Some(&Owner::from(1))), HOUR, HOUR).await.unwrap();
        let mut succession = Succession::begin(&server).await;
        let mut create = Box::pin(store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR));
        if is_cut {
            ask::<()>(&mut succession.old, &["CLIENT", "PAUSE", "60000", "WRITE"]).await;
            // One poll sends the login.
            let polled = std::future::poll_fn(|context| Poll::Ready(create.as_mut().poll(context))).await;
            assert!(polled.is_pending());
            wait_for_blocked(&mut succession.old).await;
            ask::<()>(&mut succession.old, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
            ask::<()>(&mut succession.old, &["CLIENT", "UNPAUSE"]).await;
        }
        succession.complete().await;
        let created = create.await;
        assert_eq!(created.is_err(), is_cut, "{created:?}");
        let live = store.load(&ID).await.unwrap().map_or(0, |_| 1);
        assert_eq!(live, u64::from(!is_cut));
        assert_eq!(store.revoke(&owner, None).await.unwrap(), live, "cut: {is_cut}");
        assert!(store.load(&ID).await.unwrap().is_none(), "cut: {is_cut}");
    }
}

/// Such a sentinel was on the same machine as the old master, and comes back together with it.
#[tokio::test]
async fn a_sentinel_that_does_not_know_the_successor_is_not_believed() {
    let server = servers::own_redis_sentinel();
    let mut succession = Succession::begin(&server).await;
    let [new_port, replica] = succession.ports;
    ask::<()>(&mut node(replica).await, &["REPLICAOF", "127.0.0.1", &new_port.to_string()]).await;
    let start = Instant::now();
    loop {
        let old: redis::Role = ask(&mut succession.old, &["ROLE"]).await;
        let new: redis::Role = ask(&mut succession.new, &["ROLE"]).await;
        match (old, new) {
            (redis::Role::Primary { replicas: left, .. }, redis::Role::Primary { replicas, .. })
                if left.is_empty() && !replicas.is_empty() =>
            {
                break;
            }
            roles => assert!(start.elapsed() < FAILOVER, "{roles:?}"),
        }
    }
    succession.watch([succession.old_port, new_port, new_port]).await;
    let before = calls(&mut succession.old, "get").await;
    for _ in 0..8 {
        let store = RedisStore::builder().with_connect_timeout(20 * TIMEOUT).connect(server.url()).await.unwrap();
        store.load(&ID).await.unwrap();
    }
    assert_eq!(calls(&mut succession.old, "get").await, before);
}

#[tokio::test]
async fn a_master_without_replicas_is_found_though_a_sentinel_keeps_silent() {
    let server = servers::own_redis_sentinel();
    let mut succession = Succession::begin(&server).await;
    succession.watch([succession.ports[0]; 3]).await;
    server.node(watch(&server).0[2].rsplit(':').next().unwrap().parse().unwrap()).pause();
    let store = RedisStore::builder().with_timeout(20 * TIMEOUT).with_connect_timeout(TIMEOUT);
    let store = store.connect(server.url()).await.unwrap();
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    assert_eq!(calls(&mut succession.new, "set").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_sent_once_also_when_its_connection_is_cut() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, HOUR).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut master = node(master(&server).await).await;
    ask::<()>(&mut master, &["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let writing = store.clone();
    let writing = tokio::spawn(async move { writing.replace(&ID, OLD, entry(NEW), Expiry::Keep).await });
    wait_for_blocked(&mut master).await;
    ask::<()>(&mut master, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    ask::<()>(&mut master, &["CLIENT", "UNPAUSE"]).await;
    let error = writing.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD, "the write was sent again");
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_operations_that_lose_their_connection_search_once() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, HOUR).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut master = node(master(&server).await).await;
    ask::<()>(&mut master, &["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    // Writes that begin a new lifetime share no trip, so each of them is under way.
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let mut writes: Vec<_> = (0..64).map(|_| Box::pin(store.replace(&ID, OLD, entry(NEW), restart))).collect();
    for write in &mut writes {
        let polled = std::future::poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        assert!(polled.is_pending(), "a server that stands still has answered");
    }
    wait_for_blocked(&mut master).await;
    let before = calls(&mut master, "role").await;
    ask::<()>(&mut master, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    ask::<()>(&mut master, &["CLIENT", "UNPAUSE"]).await;
    let afterwards = writes.into_iter().map(|write| {
        let store = store.clone();
        async move {
            write.await.unwrap_err();
            store.load(&ID).await.unwrap().unwrap()
        }
    });
    for loaded in futures_util::future::join_all(afterwards).await {
        assert_eq!(loaded.revision, OLD);
    }
    // For each sentinel the driver asks once, and the store asks once.
    let asked = calls(&mut master, "role").await - before;
    assert!((2..=6).contains(&asked), "{asked} times");
}

#[tokio::test]
async fn an_idle_connection_that_was_cut_is_made_again_before_the_next_write() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, 20 * TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut master = node(master(&server).await).await;
    let me = format!("id={} ", ask::<u64>(&mut master, &["CLIENT", "ID"]).await);
    for _ in 0..5 {
        ask::<()>(&mut master, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        // The sentinels' connections have names.
        let is_the_stores = |client: &str| client.contains(" name= ") && !client.starts_with(&me);
        while ask::<String>(&mut master, &["CLIENT", "LIST", "TYPE", "normal"]).await.lines().any(is_the_stores) {}
        // The end of the connection arrives before the answer to this.
        ask::<()>(&mut master, &["PING"]).await;
        assert!(store.touch(&ID, OLD, HOUR).await.unwrap());
    }
}

#[tokio::test]
async fn two_of_three_sentinels_may_be_gone() {
    let server = servers::own_redis_sentinel();
    let ports: Vec<u16> =
        watch(&server).0.iter().map(|host| host.rsplit(':').next().unwrap().parse().unwrap()).collect();
    server.node(ports[0]).kill();
    server.node(ports[1]).pause();
    let store = support::store(&server, 20 * TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
}

#[tokio::test]
async fn the_user_and_the_database_of_the_url_are_the_masters() {
    let server = servers::own_redis_sentinel();
    let mut master = node(master(&server).await).await;
    let rights = "+get +getrange +set +setrange +rename +del +pexpire +pexpireat +pttl +time +zadd +zrange +zrem +zremrangebyscore \
                  +eval +evalsha +role +select";
    let mut words = vec!["ACL", "SETUSER", "application", "on", ">p@ss/word", "~sessions:*"];
    words.extend(rights.split_whitespace());
    ask::<()>(&mut master, &words).await;
    let url = server.url().replace("//", "//application:p%40ss%2Fword@");
    let store = support::patient().connect(&format!("{url}/3")).await.unwrap();
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    assert_eq!(ask::<u64>(&mut master, &["DBSIZE"]).await, 0);
    ask::<()>(&mut master, &["SELECT", "3"]).await;
    assert_eq!(ask::<u64>(&mut master, &["DBSIZE"]).await, 1);
    let error = support::patient().connect(&url.replace("word", "wort")).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "a wrong password: {error:?}");
}

#[tokio::test]
async fn the_applications_client_finds_the_master_too() {
    let server = servers::own_redis_sentinel();
    let (hosts, name) = watch(&server);
    let client = || {
        let hosts = hosts.iter().map(|host| {
            let (host, port) = host.rsplit_once(':').unwrap();
            ConnectionAddr::Tcp(host.into(), port.parse().unwrap())
        });
        SentinelClientBuilder::new(hosts, name, SentinelServerType::Master).unwrap()
    };
    let resp3 = client().set_client_to_redis_protocol(ProtocolVersion::RESP3).build().unwrap();
    let store = support::patient().with_sentinel(resp3).await.unwrap();
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let resp2 = client().set_client_to_redis_protocol(ProtocolVersion::RESP2).build().unwrap();
    let error = support::patient().with_sentinel(resp2).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
}

#[tokio::test]
async fn connecting_says_at_once_what_is_wrong() {
    let server = servers::own_redis_sentinel();
    let (hosts, _) = watch(&server);
    let error = support::patient().connect(&format!("redis+sentinel://{}", hosts.join(","))).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "no name: {error:?}");
    let error = RedisStore::connect(&format!("redis+sentinel://{}/other", hosts.join(","))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "another name: {error:?}");
    let master = master(&server).await;
    let error = support::patient().connect(&format!("redis+sentinel://127.0.0.1:{master}/sessions")).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "no sentinel: {error:?}");
    let url = server.url().to_owned();
    drop(server);
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "nobody there: {error:?}");
}

#[tokio::test]
async fn each_operation_is_one_command_and_asks_nobody_else() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, HOUR).await;
    let mut master = node(master(&server).await).await;
    let other = SessionId::from_bytes([7; 16]);
    store.create(&other, entry(OLD), HOUR, HOUR).await.unwrap();
    store.replace(&other, OLD, entry(NEW), Expiry::Keep).await.unwrap();
    store.touch(&other, NEW, HOUR).await.unwrap();
    store.delete(&other, NEW).await.unwrap();
    macro_rules! costs {
        ($command:literal, $operation:expr) => {
            let (sent, roles) = (calls(&mut master, $command).await, calls(&mut master, "role").await);
            assert!($operation.await.is_ok(), stringify!($operation));
            assert_eq!(calls(&mut master, $command).await - sent, 1, stringify!($operation));
            assert_eq!(calls(&mut master, "role").await, roles, stringify!($operation));
        };
    }
    costs!("evalsha", store.create(&ID, entry(OLD), HOUR, HOUR));
    costs!("get", store.load(&ID));
    costs!("evalsha", store.replace(&ID, OLD, entry(NEW), Expiry::Keep));
    costs!("evalsha", store.touch(&ID, NEW, HOUR));
    costs!("evalsha", store.delete(&ID, NEW));
    // One for each script: a replace and a touch have the same one.
    assert_eq!(calls(&mut master, "eval").await, 3);
}
