//! The two steps of a login on a cluster, with time between them: the second step is held, comes late, or never comes.

use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, aio::MultiplexedConnection};
use session_conformance::servers::{self, Server};

use super::*;
use crate::script::Lua;

mod staged;

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);
const OLD: Revision = Revision::from_bytes([1; 8]);
const NEW: Revision = Revision::from_bytes([2; 8]);
const RESTART: Expiry = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };

async fn connect(url: &str) -> MultiplexedConnection {
    // By default the driver gives up after half a second, which a busy machine may need.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(HOUR));
    redis::Client::open(url).unwrap().get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

/// A store and an operator's connection, on a server of their own.
struct Bench {
    store: RedisStore,
    admin: MultiplexedConnection,
    owner: Owner,
    _server: Server,
}

impl Bench {
    async fn new() -> Self {
        let server = servers::own_redis(&[]);
        let admin = connect(server.url()).await;
        let store = RedisStore::builder().with_timeout(HOUR).connect(server.url()).await.unwrap();
        Self { store, admin, owner: Owner::from(42), _server: server }
    }

    /// A cluster of one node, where a login still takes two steps.
    async fn on_a_cluster() -> Self {
        // By default the bus port is the node's port plus 10000, which may be above the last port.
        let bus = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let server = servers::own_redis(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
        let mut admin = connect(server.url()).await;
        Cmd::new().arg(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).exec_async(&mut admin).await.unwrap();
        while !redis::cmd("CLUSTER").arg("INFO").query_async::<String>(&mut admin).await.unwrap().contains("state:ok") {
        }
        let url = server.url().replace("redis://", "redis+cluster://");
        let store = RedisStore::builder().with_timeout(HOUR).connect(&url).await.unwrap();
        Self { store, admin, owner: Owner::from(42), _server: server }
    }

    /// The store's scripts, for a test to replace one.
    fn scripts(&mut self) -> &mut Scripts {
        &mut Arc::get_mut(&mut self.store.0).unwrap().scripts
    }

    async fn ask<T: FromRedisValue>(&mut self, words: &[&[u8]]) -> T {
        Cmd::new().arg(words).query_async(&mut self.admin).await.unwrap()
    }

    /// The first step of a login whose session ends in an hour. Returns the binding.
    async fn first_step(&self) -> [u8; 8] {
        let key = self.store.owner_key(&self.owner);
        let arguments: [&[u8]; 2] = [ID.as_bytes(), b"7200000"];
        let index =
            Call { script: &self.store.0.scripts.index, key: &key, others: &[], frame: None, arguments: &arguments };
        let Value::BulkString(binding) = self.store.0.connection.run(index).await.unwrap() else {
            panic!("no binding")
        };
        binding.try_into().unwrap()
    }

    /// The second step, for a new session or over the one with the old revision.
    async fn second_step(&self, is_new: bool, binding: [u8; 8]) -> Value {
        let key = self.store.session_key(&ID);
        let frame = self.store.sent(self.owned(NEW), &key).unwrap();
        let (script, mut arguments) = match is_new {
            true => (&self.store.0.scripts.create, vec![]),
            false => (&self.store.0.scripts.replace, vec![&OLD.as_bytes()[..]]),
        };
        arguments.extend([b"3600000", b"3600000", &binding[..]]);
        let write = Call { script, key: &key, others: &[], frame: Some(&frame), arguments: &arguments };
        self.store.0.connection.run(write).await.unwrap()
    }

    /// Makes this entry older by some seconds, as if the time had passed. Returns its new binding.
    async fn age(&mut self, binding: [u8; 8], seconds: u64) -> [u8; 8] {
        let older = older(binding, seconds);
        let key = self.store.owner_key(&self.owner);
        let [from, to] = [binding, older].map(|binding| Member::new(&ID, binding));
        let score: Vec<u8> = self.ask(&[b"ZSCORE", &key, from.as_bytes()]).await;
        self.ask::<()>(&[b"ZREM", &key, from.as_bytes()]).await;
        self.ask::<()>(&[b"ZADD", &key, &score, to.as_bytes()]).await;
        older
    }

    async fn entries(&self) -> Vec<Member> {
        self.store.index(&self.owner).await.unwrap().members
    }

    async fn is_listed(&self) -> bool {
        !self.store.list(&self.owner).await.unwrap().is_empty()
    }

    fn owned(&self, revision: Revision) -> Entry<'_> {
        Entry::new(revision, b"payload").with_owner(Some(&self.owner))
    }
}

fn older(binding: [u8; 8], seconds: u64) -> [u8; 8] {
    let time = u64::from_be_bytes(binding) & 0xff_ffff_ffff;
    let older = (time - seconds).to_be_bytes();
    std::array::from_fn(|at| if at < 3 { binding[at] } else { older[at] })
}

#[tokio::test]
async fn an_entry_whose_session_is_still_on_its_way_stays() {
    let mut bench = Bench::new().await;
    let binding = bench.first_step().await;
    assert!(!bench.is_listed().await);
    assert_eq!(bench.store.revoke(&bench.owner, None).await.unwrap(), 0);
    assert_eq!(bench.second_step(true, binding).await, Value::Int(1));
    assert!(bench.is_listed().await, "a login that was under way is missing from the list");
    assert_eq!(bench.store.revoke(&bench.owner, None).await.unwrap(), 1);
    assert_eq!(bench.ask::<u64>(&[b"DBSIZE"]).await, 0);
}

/// This holds however long the second step takes, and even if somebody lists or revokes before it.
#[tokio::test]
async fn a_session_is_in_the_list_or_was_never_made_however_late_its_second_step_comes() {
    let mut bench = Bench::new().await;
    for (round, seconds) in [0, 58, 62, 3600, 3659, 3662, 100_000].into_iter().enumerate() {
        for (is_new, revokes) in [(true, false), (true, true), (false, false), (false, true)] {
            bench.ask::<()>(&[b"FLUSHALL"]).await;
            if !is_new {
                bench.store.create(&ID, Entry::new(OLD, b""), HOUR, HOUR).await.unwrap();
            }
            let binding = bench.first_step().await;
            let binding = bench.age(binding, seconds).await;
            match revokes {
                true => drop(bench.store.revoke(&bench.owner, None).await.unwrap()),
                false => assert!(!bench.is_listed().await),
            }
            // The key holds an anonymous session, which is not the one that the entry belongs to.
            let is_forgotten = seconds > 3660 && (is_new || !revokes);
            assert_eq!(bench.entries().await.is_empty(), is_forgotten, "round {round}, {is_new}, {revokes}");
            let is_made = bench.second_step(is_new, binding).await == Value::Int(1);
            assert_eq!(is_made, seconds < 60, "round {round}, {is_new}, {revokes}");
            assert_eq!(bench.is_listed().await, is_made, "round {round}, {is_new}, {revokes}");
        }
    }
}

#[tokio::test]
async fn a_second_step_over_a_minute_late_changes_nothing() {
    let mut bench = Bench::new().await;
    bench.store.create(&ID, bench.owned(OLD), HOUR, HOUR).await.unwrap();
    let key = bench.store.session_key(&ID);
    let before: Vec<u8> = bench.ask(&[b"DUMP", &key]).await;
    let late = older(bench.first_step().await, 62);
    let answer = bench.second_step(false, late).await;
    assert!(matches!(answer, Value::Array(_)), "{answer:?}");
    assert_eq!(bench.ask::<Vec<u8>>(&[b"DUMP", &key]).await, before);
    bench.ask::<()>(&[b"DEL", &key]).await;
    let answer = bench.second_step(true, late).await;
    assert!(matches!(answer, Value::Array(_)), "{answer:?}");
    assert_eq!(bench.store.load(&ID).await.unwrap(), None);
}

/// A script of the index whose answer is half an hour old for the session's server. Either the second step is late, or
/// the clocks of the two differ.
const BEHIND: &str = "local at=struct.pack('>c3I5','at=',redis.call('TIME')[1]-1800)
redis.call('ZADD',KEYS[1],redis.call('TIME')[1]*1000+ARGV[2],ARGV[1]..at)
return at";

#[tokio::test]
async fn two_servers_whose_clocks_differ_refuse_no_login() {
    let mut bench = Bench::on_a_cluster().await;
    bench.scripts().index = Lua::new(BEHIND);
    bench.store.create(&ID, bench.owned(OLD), HOUR, HOUR).await.unwrap();
    assert!(bench.is_listed().await);
    assert!(bench.store.replace(&ID, OLD, bench.owned(NEW), RESTART).await.unwrap());
    assert!(bench.is_listed().await);
    assert!(!bench.store.replace(&ID, OLD, bench.owned(NEW), RESTART).await.unwrap(), "the answer of the second try");
    assert!(bench.store.delete(&ID, NEW).await.unwrap());
}

#[tokio::test]
async fn a_login_whose_second_step_is_late_twice_is_unavailable_and_nothing_is_written() {
    let mut bench = Bench::on_a_cluster().await;
    bench.store.create(&ID, Entry::new(OLD, b""), HOUR, HOUR).await.unwrap();
    let late = "redis.call('INCR','{'..KEYS[1]..'}:tries') return {1}";
    (bench.scripts().create, bench.scripts().replace) = (Lua::new(late), Lua::new(late));
    let other = SessionId::from_bytes([7; 16]);
    let error = bench.store.create(&other, bench.owned(NEW), HOUR, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { backend: "redis", .. }), "{error:?}");
    let error = bench.store.replace(&ID, OLD, bench.owned(NEW), RESTART).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { backend: "redis", .. }), "{error:?}");
    for id in [other, ID] {
        let tries = [b"{", &bench.store.session_key(&id)[..], b"}:tries"].concat();
        assert_eq!(bench.ask::<u64>(&[b"GET", &tries]).await, 2);
    }
    assert_eq!(bench.store.load(&other).await.unwrap(), None);
    assert_eq!(bench.store.load(&ID).await.unwrap().unwrap().revision, OLD);
}

/// A delete removes the entry of the session that it has deleted, and no other.
#[tokio::test]
async fn entries_of_one_second_differ() {
    let bench = Bench::new().await;
    let mut bindings = Vec::new();
    for _ in 0..50 {
        bindings.push(bench.first_step().await);
    }
    bindings.sort_unstable();
    bindings.dedup();
    assert_eq!((bindings.len(), bench.entries().await.len()), (50, 50));
}
