//! The index of an owner's sessions: what it costs, when an entry is removed, and two versions of the store on one
//! server.

use std::time::Duration;

use session_conformance::servers;
use session_core::{Owner, SessionId, Store, StoreError};
use session_redis::{
    RedisStore,
    redis::{Cmd, FromRedisValue, aio::ConnectionLike},
};

use crate::support::{self, HOUR, ID, NEW, OLD, admin, ask, calls, entry, key};

/// The beginning of the second half of an entry that tells when it was written.
const TIMED: &[u8] = b"at=";

async fn send<T: FromRedisValue>(connection: &mut impl ConnectionLike, words: &[&[u8]]) -> T {
    Cmd::new().arg(words).query_async(connection).await.unwrap()
}

/// Makes the entries of this index older by some seconds, as if they had been written earlier.
async fn age(connection: &mut impl ConnectionLike, prefix: &str, seconds: u64) {
    let index = format!("{prefix}:o:42");
    let entries: Vec<(Vec<u8>, f64)> =
        send(connection, &[b"ZRANGE", index.as_bytes(), b"0", b"-1", b"WITHSCORES"]).await;
    for (entry, score) in entries.iter().filter(|(entry, _)| entry[16..].starts_with(TIMED)) {
        let time = u64::from_be_bytes(std::array::from_fn(|at| if at < 3 { 0 } else { entry[16 + at] }));
        let older = [&entry[..16], TIMED, &(time - seconds).to_be_bytes()[3..]].concat();
        let session = format!("{prefix}:s:{}", SessionId::from_bytes(entry[..16].try_into().unwrap()));
        send::<()>(connection, &[b"ZREM", index.as_bytes(), entry]).await;
        send::<()>(connection, &[b"ZADD", index.as_bytes(), score.to_string().as_bytes(), &older]).await;
        // One step: a session may expire between two, and the second would make a key of the binding alone.
        let bind = b"if redis.call('GETRANGE', KEYS[1], 24, 31) == ARGV[1] then redis.call('SETRANGE', KEYS[1], 24, ARGV[2]) end";
        send::<()>(connection, &[b"EVAL", bind, b"1", session.as_bytes(), &entry[16..], &older[16..]]).await;
    }
}

async fn entries(connection: &mut impl ConnectionLike, prefix: &str) -> Vec<Vec<u8>> {
    send(connection, &[b"ZRANGE", format!("{prefix}:o:42").as_bytes(), b"0", b"-1"]).await
}

fn id(number: u128) -> SessionId {
    SessionId::from_bytes(number.to_be_bytes())
}

/// Logs in `count` times. The sessions expire at once, and end in a day.
async fn expired(store: &RedisStore, count: u128) {
    let owner = Owner::from(42);
    for number in 0..count {
        let owned = entry(OLD).with_owner(Some(&owner));
        store.create(&id(number), owned, Duration::ZERO, 24 * HOUR).await.unwrap();
    }
}

/// Logs in `count` times. The sessions stay live.
async fn live(store: &RedisStore, count: u128) {
    let owner = Owner::from(42);
    for number in 0..count {
        store.create(&id((1 << 100) + number), entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_and_a_revocation_cost_what_is_alive() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    for lists in [true, false] {
        expired(&store, 500).await;
        live(&store, 3).await;
        age(&mut admin, "sessions", 2 * 3600).await;
        if lists {
            for _ in 0..2 {
                let before = calls(&mut admin, "get").await;
                assert_eq!(store.list(&owner).await.unwrap().len(), 3);
                assert_eq!(calls(&mut admin, "get").await - before, 3);
                assert_eq!(entries(&mut admin, "sessions").await.len(), 3);
            }
        }
        let before = calls(&mut admin, "evalsha").await;
        assert_eq!(store.revoke(&owner, None).await.unwrap(), 3);
        // The dead entries are removed in four batches.
        let batches = if lists { 0 } else { 4 };
        assert!(calls(&mut admin, "evalsha").await - before <= 3 + batches, "lists: {lists}");
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
    }
}

#[tokio::test]
async fn a_revocation_takes_dead_entries_out_too() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    expired(&store, 20).await;
    live(&store, 3).await;
    age(&mut admin, "sessions", 2 * 3600).await;
    let kept = id(1 << 100);
    assert_eq!(store.revoke(&owner, Some(&kept)).await.unwrap(), 2);
    let left = entries(&mut admin, "sessions").await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0][..16], *kept.as_bytes());
}

#[tokio::test]
async fn an_entry_without_a_session_stays_for_an_hour_and_a_minute() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    expired(&store, 5).await;
    for seconds in [0, 61, 3500] {
        age(&mut admin, "sessions", seconds).await;
        assert_eq!(store.list(&owner).await.unwrap(), []);
        assert_eq!(store.revoke(&owner, None).await.unwrap(), 0);
        assert_eq!(entries(&mut admin, "sessions").await.len(), 5, "another {seconds} seconds");
    }
    age(&mut admin, "sessions", 200).await;
    assert_eq!(store.list(&owner).await.unwrap(), []);
    assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn a_login_that_is_refused_leaves_no_entry() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let (owner, long) = (Owner::from(42), vec![7; 20_000]);
    let restart = session_core::Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    for payload in [&b"short"[..], &long] {
        let owned = |revision| entry(revision).with_payload(payload).with_owner(Some(&owner));
        assert!(!store.replace(&ID, OLD, owned(NEW), restart).await.unwrap());
        store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
        assert!(!store.replace(&ID, NEW, owned(NEW), restart).await.unwrap());
        assert!(matches!(store.create(&ID, owned(NEW), HOUR, HOUR).await, Err(StoreError::AlreadyExists)));
        assert!(entries(&mut admin, "sessions").await.is_empty());
        assert!(store.replace(&ID, OLD, owned(NEW), restart).await.unwrap());
        assert_eq!(store.list(&owner).await.unwrap()[0].1.payload, payload);
        assert_eq!(entries(&mut admin, "sessions").await.len(), 1);
        assert!(store.delete(&ID, NEW).await.unwrap());
        assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
    }
}

/// If the index cannot be written, the session would survive "log out everywhere".
#[tokio::test]
async fn a_session_whose_index_is_foreign_is_not_made() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    ask::<()>(&mut admin, &["SET", "sessions:o:42", "x"]).await;
    let (owned, other) = (entry(NEW).with_owner(Some(&owner)), SessionId::from_bytes([7; 16]));
    let error = store.create(&other, owned, HOUR, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(store.load(&other).await.unwrap(), None);
    let restart = session_core::Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let error = store.replace(&ID, OLD, owned, restart).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(store.load(&ID).await.unwrap().unwrap().revision, OLD);
}

/// A login in place gives the session an entry of its own.
#[tokio::test]
async fn an_old_entry_goes_once_another_login_has_taken_its_session_over() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let (owner, other) = (Owner::from(42), Owner::from(43));
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    age(&mut admin, "sessions", 2 * 3600).await;
    let restart = session_core::Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    assert!(store.replace(&ID, OLD, entry(NEW).with_owner(Some(&owner)), restart).await.unwrap());
    assert_eq!(entries(&mut admin, "sessions").await.len(), 2);
    assert_eq!(store.list(&owner).await.unwrap().len(), 1);
    assert_eq!(entries(&mut admin, "sessions").await.len(), 1);
    age(&mut admin, "sessions", 2 * 3600).await;
    assert!(store.replace(&ID, NEW, entry(OLD).with_owner(Some(&other)), restart).await.unwrap());
    assert_eq!(store.list(&owner).await.unwrap(), []);
    assert!(entries(&mut admin, "sessions").await.is_empty());
    assert_eq!(store.list(&other).await.unwrap().len(), 1);
}

/// A session has expired, but its key was told to stay. Its entry stays in the index, because the server may be
/// replaced by one whose clock is behind.
#[tokio::test]
async fn an_entry_stays_while_anything_of_its_login_is_there() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), Duration::from_millis(200), HOUR).await.unwrap();
    ask::<()>(&mut admin, &["PERSIST", &key(&ID)]).await;
    age(&mut admin, "sessions", 2 * 3600).await;
    while store.load(&ID).await.unwrap().is_some() {}
    assert_eq!(store.list(&owner).await.unwrap(), []);
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 0);
    assert_eq!(entries(&mut admin, "sessions").await.len(), 1);
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn dead_entries_leave_the_index_of_a_cluster_too() {
    let url = servers::redis_cluster().url();
    let store = support::patient().with_prefix("apart").unwrap().connect(url).await.unwrap();
    let nodes = url.rsplit('/').next().unwrap().split(',').map(|node| format!("redis://{node}"));
    let client = session_redis::redis::cluster::ClusterClient::builder(nodes);
    let client = client.connection_timeout(HOUR).response_timeout(HOUR).build().unwrap();
    goes_when_it_is_old(&store, &mut client.get_async_connection().await.unwrap(), "apart").await;
}

#[cfg(feature = "sentinel")]
#[tokio::test]
async fn dead_entries_leave_the_index_of_a_watched_master_too() {
    let url = servers::redis_sentinel().url();
    let store = support::patient().with_prefix("watched").unwrap().connect(url).await.unwrap();
    let sentinels = url.strip_prefix("redis+sentinel://").unwrap();
    let (sentinels, name) = sentinels.split_once('/').unwrap();
    let sentinel = format!("redis://{}", sentinels.split(',').next().unwrap());
    let words: [&[u8]; 3] = [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()];
    let (host, port): (String, u16) = send(&mut admin(&sentinel).await, &words).await;
    let mut master = admin(&format!("redis://{host}:{port}")).await;
    goes_when_it_is_old(&store, &mut master, "watched").await;
}

#[cfg(any(feature = "cluster", feature = "sentinel"))]
async fn goes_when_it_is_old(store: &RedisStore, connection: &mut impl ConnectionLike, prefix: &str) {
    let owner = Owner::from(42);
    expired(store, 20).await;
    live(store, 2).await;
    age(connection, prefix, 60).await;
    assert_eq!(store.list(&owner).await.unwrap().len(), 2);
    assert_eq!(entries(connection, prefix).await.len(), 22);
    age(connection, prefix, 2 * 3600).await;
    assert_eq!(store.list(&owner).await.unwrap().len(), 2);
    assert_eq!(entries(connection, prefix).await.len(), 2);
    expired(store, 20).await;
    age(connection, prefix, 2 * 3600).await;
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 2);
    assert_eq!(entries(connection, prefix).await.len(), 0);
}

/// The commands of the version before this one, which writes the session's revision as the second half of an entry.
mod before {
    pub(super) const INDEX: &str = "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000)
redis.call('ZADD',KEYS[1],'GT',now+ARGV[2],ARGV[1])
redis.call('ZREMRANGEBYSCORE',KEYS[1],'-inf',now)
redis.call('PEXPIREAT',KEYS[1],redis.call('ZRANGE',KEYS[1],-1,-1,'WITHSCORES')[2])
return 1";
    pub(super) const CREATE: &str = "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000)
if not redis.call('SET',KEYS[1],ARGV[1],'NX') then return 0 end
local e=now+ARGV[3]
local x=math.min(now+ARGV[2],e)
redis.call('SETRANGE',KEYS[1],8,struct.pack('>I8I8',x,e))
redis.call('PEXPIREAT',KEYS[1],x)
return 1";
    pub(super) const DELETE: &str = "local h=redis.call('GETRANGE',KEYS[1],0,287)
redis.call('DEL',KEYS[1])
return h:sub(25,32)..h:sub(34,33+h:byte(33))";
}

#[tokio::test]
async fn an_entry_of_the_version_before_stays_until_its_end_and_its_session_is_listed_and_revoked() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    let member = [ID.as_bytes(), &OLD.as_bytes()[..]].concat();
    let login: [&[u8]; 6] = [b"EVAL", before::INDEX.as_bytes(), b"1", b"sessions:o:42", &member, b"7200000"];
    send::<()>(&mut admin, &login).await;
    // This entry's session is not there yet, and may come at any time.
    live(&store, 1).await;
    assert_eq!(store.list(&owner).await.unwrap().len(), 1);
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 1);
    assert_eq!(entries(&mut admin, "sessions").await, [member]);
    let frame = [OLD.as_bytes(), &[0; 16][..], OLD.as_bytes(), b"\x0242payload"].concat();
    let key = key(&ID);
    let create: [&[u8]; 7] = [b"EVAL", before::CREATE.as_bytes(), b"1", key.as_bytes(), &frame, b"3600000", b"3600000"];
    send::<()>(&mut admin, &create).await;
    assert_eq!(store.list(&owner).await.unwrap()[0].0, ID);
    assert_eq!(store.revoke(&owner, None).await.unwrap(), 1);
    assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn the_version_before_lists_and_deletes_what_this_one_has_written() {
    let server = servers::own_redis(&[]);
    let (store, mut admin) = (support::store(&server, HOUR).await, admin(server.url()).await);
    let owner = Owner::from(42);
    store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    let entries = entries(&mut admin, "sessions").await;
    // The older version accepts entries of this length only, and reads the id from the first sixteen bytes.
    assert_eq!((entries.len(), entries[0].len(), &entries[0][..16]), (1, 24, &ID.as_bytes()[..]));
    let key = key(&ID);
    let deleted: Vec<u8> = send(&mut admin, &[b"EVAL", before::DELETE.as_bytes(), b"1", key.as_bytes()]).await;
    let member = [ID.as_bytes(), &deleted[..8]].concat();
    assert_eq!(send::<u64>(&mut admin, &[b"ZREM", b"sessions:o:42", &member]).await, 1);
    assert_eq!(ask::<u64>(&mut admin, &["DBSIZE"]).await, 0);
}
