//! A hosted Redis: another server takes over behind the same address.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::*;
use session_conformance::servers::{self, Server};
use session_core::{Owner, SessionId, Store, StoreError};
use session_redis::{
    RedisStore,
    redis::{self, Client, InfoDict},
};
use tokio::net::{TcpListener, TcpStream};

/// An address that leads to the first of two servers. The second is a replica of the first.
struct Endpoint {
    old: Server,
    new: Server,
    url: String,
    leads_to: Arc<AtomicU16>,
}

fn port(server: &Server) -> u16 {
    server.url().rsplit(':').next().unwrap().parse().unwrap()
}

impl Endpoint {
    async fn start() -> Self {
        let [old, new] = [(); 2].map(|()| servers::own_redis(&["--repl-diskless-sync-delay", "0"]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let leads_to = Arc::new(AtomicU16::new(port(&old)));
        let now = Arc::clone(&leads_to);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(("127.0.0.1", now.load(Ordering::SeqCst))).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            }
        });
        follow(&new, &old).await;
        Self { old, new, url, leads_to }
    }

    /// Makes the second server a master, too. The first does not know of it.
    async fn promote(&self) {
        ask::<()>(&mut admin(self.new.url()).await, &["REPLICAOF", "NO", "ONE"]).await;
    }

    /// Makes the first server follow the second. New connections lead to the second; nobody cuts the old ones.
    async fn demote(&self) {
        self.leads_to.store(port(&self.new), Ordering::SeqCst);
        follow(&self.old, &self.new).await;
    }
}

/// Makes one server the replica of another, and waits until it has caught up.
async fn follow(replica: &Server, master: &Server) {
    ask::<()>(&mut admin(replica.url()).await, &["REPLICAOF", "127.0.0.1", &port(master).to_string()]).await;
    let (mut admin, start) = (admin(master.url()).await, Instant::now());
    loop {
        let replicas: u64 =
            ask::<InfoDict>(&mut admin, &["INFO", "replication"]).await.get("connected_slaves").unwrap();
        if replicas == 1 {
            return caught_up(&mut admin).await;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "nobody follows {}", master.url());
    }
}

/// A store at the address, with a session in it that both servers have.
async fn open(endpoint: &Endpoint) -> RedisStore {
    let store = RedisStore::builder().with_timeout(Duration::from_secs(20)).connect(&endpoint.url).await.unwrap();
    store.create(&ID, entry(OLD).with_owner(Some(&Owner::from(1))), HOUR, HOUR).await.unwrap();
    caught_up(&mut admin(endpoint.old.url()).await).await;
    store
}

#[tokio::test]
async fn a_store_finds_the_successor_at_its_address() {
    let endpoint = Endpoint::start().await;
    let store = open(&endpoint).await;
    endpoint.promote().await;
    endpoint.demote().await;
    assert!(store.touch(&ID, OLD, HOUR).await.unwrap(), "the old server has refused it, so the new one gets it");
    let mut new = admin(endpoint.new.url()).await;
    let before = calls(&mut new, "get").await;
    assert!(store.load(&ID).await.unwrap().is_some());
    assert_eq!(calls(&mut new, "get").await, before + 1);
}

/// A replica may be set to answer nothing while it cannot reach its master.
#[tokio::test]
async fn a_load_that_an_old_server_refuses_finds_the_successor() {
    let endpoint = Endpoint::start().await;
    let store = open(&endpoint).await;
    endpoint.promote().await;
    let mut old = admin(endpoint.old.url()).await;
    ask::<()>(&mut old, &["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    ask::<()>(&mut old, &["REPLICAOF", "127.0.0.1", "1"]).await;
    endpoint.leads_to.store(port(&endpoint.new), Ordering::SeqCst);
    assert!(store.load(&ID).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_stays_a_replica_is_unavailable_to_writes() {
    let endpoint = Endpoint::start().await;
    let store = open(&endpoint).await;
    ask::<()>(&mut admin(endpoint.old.url()).await, &["REPLICAOF", "127.0.0.1", "1"]).await;
    for _ in 0..50 {
        let error = store.touch(&ID, OLD, HOUR).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    let mut old = admin(endpoint.old.url()).await;
    ask::<()>(&mut old, &["REPLICAOF", "NO", "ONE"]).await;
    assert!(store.touch(&ID, OLD, HOUR).await.unwrap());
    let connections: InfoDict = ask(&mut old, &["INFO", "stats"]).await;
    let count: u64 = connections.get("total_connections_received").unwrap();
    assert!(count < 20, "{count} connections: each refusal has made a new one");
}

/// If the new master had only the session, it would survive "log out everywhere".
#[tokio::test]
async fn a_session_and_its_entry_in_the_index_go_to_the_same_server() {
    let endpoint = Endpoint::start().await;
    let store = open(&endpoint).await;
    endpoint.promote().await;
    endpoint.demote().await;
    let mut old = admin(endpoint.old.url()).await;
    let before = calls(&mut old, "zadd").await;
    let (owner, id) = (Owner::from(42), SessionId::from_bytes([7; 16]));
    store.create(&id, entry(NEW).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    assert!(calls(&mut old, "zadd").await > before, "the old server was not asked");
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 1);
    assert!(store.load(&id).await.unwrap().is_none());
}

/// The store does not close the application's own connection.
#[tokio::test]
async fn a_connection_of_the_application_s_own_stays_where_it_is() {
    let endpoint = Endpoint::start().await;
    open(&endpoint).await;
    let client = Client::open(endpoint.url.as_str()).unwrap();
    let patient =
        redis::aio::ConnectionManagerConfig::new().set_response_timeout(Some(HOUR)).set_connection_timeout(Some(HOUR));
    let store = RedisStore::new(client.get_connection_manager_with_config(patient).await.unwrap());
    assert!(store.touch(&ID, OLD, HOUR).await.unwrap());
    endpoint.promote().await;
    endpoint.demote().await;
    let error = store.touch(&ID, OLD, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

/// The old server is a replica that no longer gets any writes. The session is used on the new server, but has expired
/// on the old one.
#[tokio::test]
async fn what_an_old_server_has_forgotten_stays_in_the_index_of_its_successor() {
    for revokes in [false, true] {
        let endpoint = Endpoint::start().await;
        let (store, owner, id) = (open(&endpoint).await, Owner::from(42), SessionId::from_bytes([7; 16]));
        store.create(&id, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
        let (mut old, mut new) = (admin(endpoint.old.url()).await, admin(endpoint.new.url()).await);
        // Makes the entry two hours old.
        let age = "local m=redis.call('ZRANGE',KEYS[1],0,0)[1]
local binding=struct.pack('>c3I5','at=',redis.call('TIME')[1]-7200)
redis.call('ZADD',KEYS[1],redis.call('ZSCORE',KEYS[1],m),m:sub(1,16)..binding)
redis.call('ZREM',KEYS[1],m)
redis.call('SETRANGE',KEYS[2],24,binding)";
        ask::<()>(&mut old, &["EVAL", age, "2", "sessions:o:42", &key(&id)]).await;
        caught_up(&mut old).await;
        endpoint.promote().await;
        ask::<()>(&mut old, &["DEL", &key(&id)]).await;
        ask::<()>(&mut old, &["REPLICAOF", "127.0.0.1", "1"]).await;
        endpoint.leads_to.store(port(&endpoint.new), Ordering::SeqCst);
        match revokes {
            true => drop(store.revoke(&owner, None).await),
            false => assert_eq!(store.list(&owner).await.unwrap(), [], "the store has asked the old server"),
        }
        assert_eq!(ask::<u64>(&mut new, &["ZCARD", "sessions:o:42"]).await, 1, "revokes: {revokes}");
        assert_eq!(store.list(&owner).await.unwrap().len(), 1);
    }
}
