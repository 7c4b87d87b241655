//! What each operation costs, counted by the server.

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, SessionManager, Store};
use session_redis::redis::{InfoDict, aio::MultiplexedConnection};

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, calls, entry};

/// How often the server has read from a connection. A pipeline that is sent at once is read at once.
async fn reads(admin: &mut MultiplexedConnection) -> u64 {
    ask::<InfoDict>(admin, &["INFO", "stats"]).await.get("total_reads_processed").unwrap()
}

#[tokio::test]
async fn a_load_and_a_list_read_the_clock_before_the_sessions() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["CONFIG", "SET", "slowlog-log-slower-than", "0"]).await;
    store.load(&ID).await.unwrap();
    store.list(&owner).await.unwrap();
    // The log has the latest command first, with its words in the fourth place.
    let log: Vec<(i64, i64, i64, Vec<String>, String, String)> = ask(&mut admin, &["SLOWLOG", "GET", "-1"]).await;
    let mut words: Vec<_> = log.into_iter().rev().map(|entry| entry.3[0].to_uppercase()).collect();
    words.retain(|word| ["TIME", "GET", "ZRANGE"].contains(&word.as_str()));
    assert_eq!(words, ["TIME", "GET", "TIME", "ZRANGE", "TIME", "GET"]);
}

#[tokio::test]
async fn each_operation_costs_one_round_trip_and_a_logout_one_more() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let (owner, other, third) = (Owner::from(42), SessionId::from_bytes([43; 16]), SessionId::from_bytes([44; 16]));
    // It is staged, and the server still reads the message at once: its buffer has 16 KiB.
    let long = vec![7; 9_000];
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let owned = |revision| entry(revision).with_owner(Some(&owner));
    // From now on the server knows the scripts.
    store.create(&ID, owned(OLD), HOUR, HOUR).await.unwrap();
    store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap();
    store.replace(&ID, NEW, entry(OLD), restart).await.unwrap();
    store.touch(&ID, OLD, HOUR).await.unwrap();
    store.delete(&ID, OLD).await.unwrap();
    // The connection that `connect` has tried is being closed, and the server counts that as a read. So wait until it
    // is gone.
    while ask::<InfoDict>(&mut admin, &["INFO", "clients"]).await.get("connected_clients") != Some(2_u64) {}

    macro_rules! costs {
        ($trips:literal, $operation:expr) => {
            let before = reads(&mut admin).await;
            assert!($operation.await.is_ok(), stringify!($operation));
            // One of the reads is that of the `INFO` itself.
            assert_eq!(reads(&mut admin).await - before - 1, $trips, stringify!($operation));
        };
    }
    costs!(1, store.create(&ID, entry(OLD), HOUR, HOUR));
    costs!(1, store.load(&ID));
    costs!(1, store.replace(&ID, OLD, entry(NEW), Expiry::Keep));
    costs!(1, store.replace(&ID, NEW, entry(OLD), Expiry::Extend(HOUR)));
    costs!(1, store.replace(&ID, OLD, entry(NEW), restart));
    costs!(1, store.touch(&ID, NEW, HOUR));
    costs!(1, store.delete(&ID, NEW));
    costs!(1, store.load(&ID));
    costs!(1, store.create(&ID, owned(OLD), HOUR, HOUR));
    costs!(1, store.replace(&ID, OLD, owned(NEW), Expiry::Extend(HOUR)));
    costs!(1, store.replace(&ID, NEW, owned(OLD), restart));
    costs!(1, store.create(&other, owned(OLD), HOUR, HOUR));
    costs!(1, store.create_then_load(&third, owned(OLD), HOUR, HOUR, &ID));
    costs!(2, store.delete(&third, OLD));
    costs!(1, store.create_then_load(&third, owned(OLD).with_payload(&long), HOUR, HOUR, &ID));
    costs!(2, store.delete(&third, OLD));
    costs!(2, store.list(&owner));
    costs!(2, store.delete(&other, OLD));
    costs!(3, store.revoke(&owner, None));
    costs!(0, store.purge(10));
}

/// It makes the session and its entry in the owner's index, and then reads whether the owner has logged out everywhere.
#[tokio::test]
async fn a_login_of_a_new_visitor_takes_one_round_trip() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let manager = SessionManager::development(store.clone());
    manager.login_for_tests(42).await.unwrap();
    while ask::<InfoDict>(&mut admin, &["INFO", "clients"]).await.get("connected_clients") != Some(2_u64) {}
    let before = reads(&mut admin).await;
    manager.login_for_tests(42).await.unwrap();
    assert_eq!(reads(&mut admin).await - before - 1, 1);
}

/// A login makes a session under a new id and then deletes the visitor's.
#[tokio::test]
async fn a_login_that_gives_the_session_another_id_takes_two_round_trips() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let (owner, visitor, user) = (Owner::from(42), SessionId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
    let login = async || {
        let owned = entry(NEW).with_owner(Some(&owner));
        assert!(store.create_then_load(&user, owned, HOUR, HOUR, &ID).await.unwrap().unwrap().is_none());
        assert!(store.delete(&visitor, OLD).await.unwrap());
    };
    store.create(&visitor, entry(OLD), HOUR, HOUR).await.unwrap();
    login().await;
    store.revoke(&owner, None).await.unwrap();
    store.create(&visitor, entry(OLD), HOUR, HOUR).await.unwrap();
    while ask::<InfoDict>(&mut admin, &["INFO", "clients"]).await.get("connected_clients") != Some(2_u64) {}
    let before = reads(&mut admin).await;
    login().await;
    assert_eq!(reads(&mut admin).await - before - 1, 2);
    assert_eq!(store.list(&owner).await.unwrap().len(), 1);
}

/// The first message has a `GET`, too, which comes before the script has run.
#[tokio::test]
async fn a_server_that_does_not_know_the_script_reads_again_after_it_has_run() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let (owner, long) = (Owner::from(42), vec![7; 20_000]);
    for (number, payload) in (1..).zip([&b"short"[..], &long]) {
        ask::<()>(&mut admin, &["SCRIPT", "FLUSH"]).await;
        let id = SessionId::from_bytes([number; 16]);
        let owned = entry(OLD).with_payload(payload).with_owner(Some(&owner));
        let before = (calls(&mut admin, "evalsha").await, calls(&mut admin, "eval").await);
        let loaded = store.create_then_load(&id, owned, HOUR, HOUR, &id).await.unwrap().unwrap();
        assert_eq!(loaded.unwrap().payload, payload);
        let after = (calls(&mut admin, "evalsha").await, calls(&mut admin, "eval").await);
        assert_eq!(after, (before.0 + 1, before.1 + 1), "the server did not know the script");
    }
    assert_eq!(store.list(&owner).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_load_on_one_node_runs_no_script() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let before = (calls(&mut admin, "evalsha").await, calls(&mut admin, "get").await);
    store.load(&ID).await.unwrap().unwrap();
    assert_eq!((calls(&mut admin, "evalsha").await, calls(&mut admin, "get").await), (before.0, before.1 + 1));
}

#[tokio::test]
async fn nothing_walks_over_all_keys() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    store.list(&owner).await.unwrap();
    store.purge(10).await.unwrap();
    store.revoke(&owner, None).await.unwrap();
    for command in ["keys", "scan", "zscan", "randomkey"] {
        assert_eq!(calls(&mut admin, command).await, 0, "{command}");
    }
}

/// What a session leaves in the server when it is gone, and for how long at most.
#[tokio::test]
async fn a_deleted_session_leaves_nothing_behind() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    for _ in 0..2 {
        store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 2);
        let kept: i64 = ask(&mut admin, &["TTL", "sessions:o:42"]).await;
        assert!((7190..=7200).contains(&kept), "the index is kept for {kept} seconds");
        assert!(store.delete(&ID, OLD).await.unwrap());
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
    }
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn on_a_cluster_too_each_operation_is_one_command() {
    // Of its own, because the servers count the calls of all clients.
    let server = servers::own_redis_cluster();
    let store = support::patient().connect(server.url()).await.unwrap();
    let mut nodes = Vec::new();
    for node in server.url().rsplit('/').next().unwrap().split(',') {
        nodes.push(admin(&format!("redis://{node}")).await);
    }
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    store.load(&ID).await.unwrap();
    store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap();
    store.touch(&ID, NEW, HOUR).await.unwrap();
    store.delete(&ID, NEW).await.unwrap();
    macro_rules! costs_one {
        ($operation:expr) => {
            let mut counted = Vec::new();
            for node in &mut nodes {
                counted.push(calls(node, "evalsha").await);
            }
            assert!($operation.await.is_ok(), stringify!($operation));
            let mut more = 0;
            for (node, before) in nodes.iter_mut().zip(counted) {
                more += calls(node, "evalsha").await - before;
            }
            assert_eq!(more, 1, stringify!($operation));
        };
    }
    costs_one!(store.create(&ID, entry(OLD), HOUR, HOUR));
    costs_one!(store.load(&ID));
    costs_one!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep));
    costs_one!(store.touch(&ID, NEW, HOUR));
    costs_one!(store.delete(&ID, NEW));
}

#[tokio::test]
async fn the_rights_that_the_readme_names_are_enough() {
    let server = servers::own_redis(&[]);
    let mut admin = admin(server.url()).await;
    let rights = "+get +mget +getrange +set +setrange +rename +del +pexpire +pexpireat +pttl +time +zadd +zrange +zrem +zremrangebyscore \
                  +eval +evalsha";
    for (user, keys, more) in [("able", "~sessions:*", "+info"), ("barely", "~sessions:*", "+ping")] {
        let mut words = vec!["ACL", "SETUSER", user, "on", ">a-password", keys, more];
        words.extend(rights.split_whitespace());
        ask::<()>(&mut admin, &words).await;
        let url = server.url().replace("//", &format!("//{user}:a-password@"));
        let store = support::patient().connect(&url).await.unwrap();
        let owner = Owner::from(42);
        let owned = |revision| entry(revision).with_owner(Some(&owner));
        let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
        store.create(&ID, owned(OLD), HOUR, HOUR).await.unwrap();
        assert!(store.replace(&ID, OLD, owned(NEW), restart).await.unwrap());
        assert!(store.touch(&ID, NEW, HOUR).await.unwrap());
        let payload = vec![7; 20_000];
        let (long, other) = (owned(OLD).with_payload(&payload), SessionId::from_bytes([9; 16]));
        assert!(!store.replace(&ID, OLD, long, Expiry::Keep).await.unwrap());
        assert!(store.replace(&ID, NEW, long, Expiry::Keep).await.unwrap());
        assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await.unwrap());
        store.create(&other, long, HOUR, HOUR).await.unwrap();
        assert!(store.delete(&other, OLD).await.unwrap());
        assert_eq!(store.list(&owner).await.unwrap().len(), 1);
        for answer in support::shared_loads(&store, &mut admin, &[ID; 3]).await {
            assert!(answer.unwrap().is_some());
        }
        assert_eq!(store.revoke(&owner, None).await.unwrap(), 1);
        assert_eq!(store.load(&ID).await.unwrap(), None);
        store.create(&ID, owned(OLD), HOUR, HOUR).await.unwrap();
        assert!(store.delete(&ID, OLD).await.unwrap());
    }
    // The entries that the logins in place have left behind.
    assert_eq!(ask::<u64>(&mut admin, &["ZCARD", "sessions:o:42"]).await, 2);
    assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 1);
}

#[tokio::test]
async fn a_key_that_several_loads_ask_for_is_read_once() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["CONFIG", "SET", "slowlog-log-slower-than", "0"]).await;
    for answer in support::shared_loads(&store, &mut admin, &[ID; 5]).await {
        assert!(answer.unwrap().is_some());
    }
    let log: Vec<(i64, i64, i64, Vec<String>, String, String)> = ask(&mut admin, &["SLOWLOG", "GET", "-1"]).await;
    let shared = log.into_iter().map(|entry| entry.3).find(|words| words[0] == "MGET").unwrap();
    assert_eq!(shared, ["MGET".to_owned(), support::key(&ID)]);
}
