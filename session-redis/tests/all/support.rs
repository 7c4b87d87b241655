//! What the tests have in common.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_conformance::servers::Server;
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use session_redis::{
    Builder, RedisStore,
    redis::{self, AsyncConnectionConfig, Cmd, FromRedisValue, InfoDict, aio::MultiplexedConnection},
};

/// Longer than anything takes on a busy machine.
const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const ID: SessionId = SessionId::from_bytes([42; 16]);
pub(crate) const OLD: Revision = Revision::from_bytes([1; 8]);
pub(crate) const NEW: Revision = Revision::from_bytes([2; 8]);

pub(crate) fn entry(revision: Revision) -> Entry<'static> {
    Entry::new(revision, b"payload")
}

/// The name of the session's key.
pub(crate) fn key(id: &SessionId) -> String {
    format!("sessions:s:{id}")
}

/// An operator's connection. It waits long: by default the driver gives up after half a second, and a busy machine may
/// need more.
pub(crate) async fn admin(url: &str) -> MultiplexedConnection {
    let patient = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(MINUTE));
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

pub(crate) async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &[&str]) -> T {
    let mut words = Cmd::new();
    words.arg(command);
    words.query_async(connection).await.unwrap()
}

/// How often each command was called, also from within scripts.
pub(crate) async fn calls(admin: &mut MultiplexedConnection, command: &str) -> u64 {
    let stats: InfoDict = ask(admin, &["INFO", "commandstats"]).await;
    let line: String = stats.get(&format!("cmdstat_{command}")).unwrap_or_default();
    let calls = line.split(',').find_map(|field| field.strip_prefix("calls="));
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// The answers of loads that were asked for at once. The first goes alone, and the others share an `MGET`, unless this process has
/// stood still for long. Then they are asked for again.
pub(crate) async fn shared_loads(
    store: &RedisStore,
    admin: &mut MultiplexedConnection,
    ids: &[SessionId],
) -> Vec<Result<Option<Loaded>, StoreError>> {
    for _ in 0..100 {
        let before = calls(admin, "mget").await;
        let answers = join_all(ids.iter().map(|id| store.load(id))).await;
        if calls(admin, "mget").await > before {
            return answers;
        }
    }
    panic!("no loads were shared");
}

/// Waits until a client's command waits for the end of a pause.
pub(crate) async fn wait_for_blocked(admin: &mut MultiplexedConnection) {
    let start = Instant::now();
    while ask::<InfoDict>(admin, &["INFO", "clients"]).await.get("blocked_clients") != Some(1_u64) {
        assert!(start.elapsed() < Duration::from_secs(20), "the write did not arrive");
    }
}

/// Waits until each replica of this master has what the master has now.
pub(crate) async fn caught_up(master: &mut MultiplexedConnection) {
    let info: InfoDict = ask(master, &["INFO", "replication"]).await;
    let (offset, replicas): (u64, u64) =
        (info.get("master_repl_offset").unwrap(), info.get("connected_slaves").unwrap());
    let start = Instant::now();
    for replica in 0..replicas {
        loop {
            let info: InfoDict = ask(master, &["INFO", "replication"]).await;
            let replica: String = info.get(&format!("slave{replica}")).unwrap();
            let has = replica.split(',').find_map(|field| field.strip_prefix("offset=")).unwrap();
            if has.parse::<u64>().unwrap() >= offset {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "a replica lags behind {offset}: {replica}");
        }
    }
}

/// The settings of a store that waits long, however busy the machine is. By default it gives up after two seconds.
pub(crate) fn patient() -> Builder {
    RedisStore::builder().with_timeout(HOUR).with_connect_timeout(MINUTE)
}

/// A store that waits this long for an answer.
pub(crate) async fn store(server: &Server, timeout: Duration) -> RedisStore {
    RedisStore::builder().with_timeout(timeout).connect(server.url()).await.unwrap()
}

/// Runs every operation once, on the session and an owner, and returns how each failed.
pub(crate) async fn failures(store: &RedisStore) -> Vec<(&'static str, StoreError)> {
    let owner = Owner::from(42);
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let owned = entry(NEW).with_owner(Some(&owner));
    vec![
        ("create", store.create(&SessionId::from_bytes([7; 16]), entry(NEW), HOUR, HOUR).await.err()),
        (
            "create_then_load",
            store.create_then_load(&SessionId::from_bytes([8; 16]), owned, HOUR, HOUR, &ID).await.err(),
        ),
        ("load", store.load(&ID).await.err()),
        ("keep", store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.err()),
        ("restart", store.replace(&ID, OLD, owned, restart).await.err()),
        ("touch", store.touch(&ID, OLD, HOUR).await.err()),
        ("list", store.list(&owner).await.err()),
        ("revoke", store.revoke(&owner, None).await.err()),
        ("delete", store.delete(&ID, OLD).await.err()),
    ]
    .into_iter()
    .map(|(name, error)| (name, error.unwrap_or_else(|| panic!("{name} was answered"))))
    .collect()
}
