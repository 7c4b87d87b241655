//! What only a cluster does: its nodes die one by one, and its keys move.

use std::time::{Duration, Instant};

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, Store, StoreError};
use session_redis::{
    RedisStore,
    redis::{self, aio::MultiplexedConnection, cluster::ClusterClient, cluster_read_routing::RandomReplicaStrategy},
};

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, calls, caught_up, entry, key, wait_for_blocked};

async fn nodes(url: &str) -> Vec<MultiplexedConnection> {
    let mut nodes = Vec::new();
    for node in url.rsplit('/').next().unwrap().split(',') {
        nodes.push(admin(&format!("redis://{node}")).await);
    }
    nodes
}

async fn slot(node: &mut MultiplexedConnection) -> String {
    ask::<u16>(node, &["CLUSTER", "KEYSLOT", &key(&ID)]).await.to_string()
}

/// The index of the node that has the session's key.
async fn home(nodes: &mut [MultiplexedConnection]) -> usize {
    let slot = slot(&mut nodes[0]).await;
    for (index, node) in nodes.iter_mut().enumerate() {
        let count: redis::RedisResult<u64> = redis::cmd("EXISTS").arg(key(&ID)).query_async(node).await;
        if count.is_ok() {
            return index;
        }
    }
    panic!("no node has slot {slot}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_sent_once_also_when_its_connection_is_cut() {
    let server = servers::own_redis_cluster();
    let store = support::store(&server, HOUR).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut nodes = nodes(server.url()).await;
    let home = home(&mut nodes).await;
    let node = &mut nodes[home];
    ask::<()>(node, &["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let writing = store.clone();
    let writing = tokio::spawn(async move { writing.replace(&ID, OLD, entry(NEW), Expiry::Keep).await });
    wait_for_blocked(node).await;
    ask::<()>(node, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    ask::<()>(node, &["CLIENT", "UNPAUSE"]).await;
    let error = writing.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD, "the write was sent again");
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_was_killed_and_started_again_needs_no_restart_of_ours() {
    let server = servers::own_redis_cluster();
    let store = support::store(&server, Duration::from_secs(1)).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    server.kill();
    for (name, error) in support::failures(&store).await {
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{name}: {error:?}");
    }
    server.start();
    let start = Instant::now();
    // For a while after its nodes have started, a cluster is still down.
    while let Err(error) = store.touch(&ID, OLD, HOUR).await {
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "still, after {:?}: {error:?}", start.elapsed());
    }
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_killed_is_replaced_by_its_replica_and_the_store_needs_no_restart() {
    let server = servers::own_redis_cluster();
    let store = support::store(&server, Duration::from_secs(1)).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut nodes = nodes(server.url()).await;
    let home = home(&mut nodes).await;
    caught_up(&mut nodes[home]).await;
    let port = server.url().rsplit('/').next().unwrap().split(',').nth(home).unwrap().rsplit(':').next().unwrap();
    server.node(port.parse().unwrap()).kill();
    works_again(&store).await;
    // The other nodes have learnt of it, too.
    let again = support::store(&server, Duration::from_secs(5)).await;
    works_again(&again).await;
    server.node(port.parse().unwrap()).start();
    works_again(&store).await;
}

/// The store knows where the slot was, and nobody tells it that the slot moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_found_and_written_while_their_slot_moves() {
    let server = servers::own_redis_cluster();
    let store: RedisStore = support::store(&server, Duration::from_secs(5)).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let mut nodes = nodes(server.url()).await;
    let (from, slot) = (home(&mut nodes).await, slot(&mut nodes[0]).await);
    let to = (from + 1) % nodes.len();
    let names =
        [ask::<String>(&mut nodes[from], &["CLUSTER", "MYID"]).await, ask(&mut nodes[to], &["CLUSTER", "MYID"]).await];
    ask::<()>(&mut nodes[to], &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &names[0]]).await;
    ask::<()>(&mut nodes[from], &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &names[1]]).await;
    works(&store, "before the key moves").await;

    let address = server.url().rsplit('/').next().unwrap().split(',').nth(to).unwrap();
    let (host, port) = address.split_once(':').unwrap();
    ask::<()>(&mut nodes[from], &["MIGRATE", host, port, &key(&ID), "0", "5000"]).await;
    works(&store, "after the key has moved").await;
    let others: Vec<_> = (0..32).map(|_| store.load(&ID)).collect();
    for other in others {
        assert!(other.await.unwrap().is_some());
    }

    for node in &mut nodes {
        ask::<()>(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &names[1]]).await;
    }
    works(&store, "after the slot has moved").await;
}

/// Waits until the store works again. Until the cluster is up operations fail with an error, but never find the session
/// missing.
async fn works_again(store: &RedisStore) {
    let start = Instant::now();
    let attempt = async || {
        let loaded = store.load(&ID).await?.unwrap_or_else(|| panic!("a session that is there was not found"));
        assert!(store.replace(&ID, loaded.revision, entry(OLD), Expiry::Extend(HOUR)).await?);
        store.touch(&ID, OLD, HOUR).await
    };
    while let Err(error) = attempt().await {
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(120), "still, after {:?}: {error:?}", start.elapsed());
    }
}

async fn works(store: &RedisStore, when: &str) {
    let loaded = store.load(&ID).await.unwrap().unwrap_or_else(|| panic!("{when}: the session has gone"));
    let next = if loaded.revision == OLD { NEW } else { OLD };
    assert!(store.replace(&ID, loaded.revision, entry(next), Expiry::Extend(HOUR)).await.unwrap(), "{when}");
    assert!(store.touch(&ID, next, HOUR).await.unwrap(), "{when}");
    // Too long for a script, so it is staged under a second key.
    let payload = vec![7; 20_000];
    let long = entry(loaded.revision).with_payload(&payload);
    assert!(store.replace(&ID, next, long, Expiry::Keep).await.unwrap(), "{when}, long");
    assert_eq!(store.load(&ID).await.unwrap().unwrap().payload, payload, "{when}, long");
    assert!(store.replace(&ID, loaded.revision, entry(next), Expiry::Keep).await.unwrap(), "{when}, short again");
}

/// How often the replicas have been asked for a string, and for a sorted set.
async fn reads(replicas: &mut [MultiplexedConnection]) -> (u64, u64) {
    let mut reads = (0, 0);
    for replica in replicas {
        reads.0 += calls(replica, "get").await;
        reads.1 += calls(replica, "zrange").await;
    }
    reads
}

/// A replica may lag behind a login. A revocation that asks one would miss the session.
#[tokio::test]
async fn no_replica_is_asked_also_where_the_application_s_connection_would() {
    let server = servers::own_redis_cluster();
    let known: String = ask(&mut nodes(server.url()).await[0], &["CLUSTER", "NODES"]).await;
    let address = |node: &str| node.split_whitespace().nth(1)?.split('@').next().map(str::to_owned);
    let replicas: Vec<_> = known.lines().filter(|node| node.contains("slave ")).filter_map(address).collect();
    let mut replicas = nodes(&replicas.join(",")).await;
    let urls = server.url().rsplit('/').next().unwrap().split(',').map(|node| format!("redis://{node}"));
    let client = ClusterClient::builder(urls).retries(0).read_routing_strategy(RandomReplicaStrategy);
    let client = client.connection_timeout(HOUR).response_timeout(HOUR).build().unwrap();
    let writing = support::store(&server, Duration::from_secs(5)).await;
    let (mut number, start) = (0_u128, Instant::now());
    // A node names no replica before that replica has caught up with the first write.
    let connection = loop {
        writing.create(&SessionId::from_bytes(number.to_be_bytes()), entry(OLD), HOUR, HOUR).await.unwrap();
        number += 1;
        let mut connection = client.get_async_connection().await.unwrap();
        // In the slot of the index that is asked for below.
        let mut get = redis::cmd("GET");
        get.arg("{sessions:o:42}").exec_async(&mut connection).await.unwrap();
        if reads(&mut replicas).await.0 > 0 {
            break connection;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the driver asks no replica: {known}");
    };
    let before = reads(&mut replicas).await;
    let (store, owner) = (support::patient().with_cluster(connection), Owner::from(42));
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    for _ in 0..20 {
        assert!(store.load(&ID).await.unwrap().is_some());
        assert_eq!(store.list(&owner).await.unwrap().len(), 1);
    }
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 1);
    assert_eq!(reads(&mut replicas).await, before);
}

#[tokio::test]
async fn a_long_frame_is_renamed_on_a_cluster_too() {
    let store = support::patient().with_prefix("long").unwrap();
    let store = store.connect(servers::redis_cluster().url()).await.unwrap();
    let mut nodes = nodes(servers::redis_cluster().url()).await;
    let payload = vec![7; 20_000];
    let long = |revision| entry(revision).with_payload(&payload);
    let mut renames = 0;
    for node in &mut nodes {
        renames += calls(node, "rename").await;
    }
    for number in 0..30 {
        let id = SessionId::from_bytes([number; 16]);
        store.create(&id, long(OLD), HOUR, HOUR).await.unwrap();
        assert!(store.replace(&id, OLD, long(NEW), Expiry::Keep).await.unwrap());
        assert_eq!(store.load(&id).await.unwrap().unwrap().payload, payload);
    }
    let mut more = 0;
    for node in &mut nodes {
        more += calls(node, "rename").await;
    }
    assert!(more - renames >= 60, "{} of 60 were renamed", more - renames);
}

/// Sessions of one owner are in many slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owners_sessions_are_found_on_every_node() {
    let store = support::patient().with_prefix("many").unwrap();
    let store = store.connect(servers::redis_cluster().url()).await.unwrap();
    let owner = Owner::from(42);
    for number in 0..200 {
        let id = SessionId::from_bytes([number; 16]);
        store.create(&id, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    }
    assert_eq!(store.list(&owner).await.unwrap().len(), 200);
    assert_eq!(store.revoke(&owner, Some(&SessionId::from_bytes([7; 16]))).await.unwrap(), 199);
    assert_eq!(store.list(&owner).await.unwrap().len(), 1);
}
