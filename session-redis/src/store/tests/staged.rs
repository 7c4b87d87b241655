//! A staged frame whose script fails, comes too late, or finds it gone.

use super::*;

/// Long enough to be staged.
const LONG: [u8; 8192] = [7; 8192];

const RECORDING: &str = "redis.call('RPUSH', 'staged', KEYS[2], redis.call('PTTL', KEYS[2])) return 1";

/// Runs every write of a long frame, the last ones over a session of the old revision.
async fn every_write(store: &RedisStore) -> [Result<bool, StoreError>; 4] {
    let long = Entry::new(NEW, &LONG);
    let created = store.create(&SessionId::from_bytes([7; 16]), long, HOUR, HOUR).await;
    [
        created.map(|()| true),
        store.replace(&ID, OLD, long, Expiry::Keep).await,
        store.replace(&ID, OLD, long, Expiry::Extend(HOUR)).await,
        store.replace(&ID, OLD, long, RESTART).await,
    ]
}

#[tokio::test]
async fn a_staged_frame_that_is_gone_is_unavailable_whatever_the_session_is() {
    let mut bench = Bench::new().await;
    let after_a_loss = |script: &Lua| {
        // A short frame without an owner is the only one that has one key.
        Lua::new(format!("redis.call('DEL', KEYS[2] and KEYS[#KEYS] or '') {}", script.text).leak())
    };
    let scripts = bench.scripts();
    (scripts.create, scripts.replace) = (after_a_loss(&scripts.create), after_a_loss(&scripts.replace));
    let owner = bench.owner.clone();
    for revision in [None, Some(OLD), Some(NEW)] {
        bench.ask::<()>(&[b"FLUSHALL"]).await;
        if let Some(revision) = revision {
            bench.store.create(&ID, Entry::new(revision, b""), HOUR, HOUR).await.unwrap();
        }
        let of_owner = Entry::new(NEW, &LONG).with_owner(Some(&owner));
        let created = bench.store.create(&SessionId::from_bytes([8; 16]), of_owner, HOUR, HOUR).await.map(|()| true);
        // The script also writes the index, or takes the owner out of the frame.
        let with_owner = [
            created,
            bench.store.replace(&ID, OLD, of_owner, RESTART).await,
            bench.store.replace(&ID, OLD, of_owner, Expiry::Keep).await,
        ];
        for answer in every_write(&bench.store).await.into_iter().chain(with_owner) {
            assert!(
                matches!(answer, Err(StoreError::Unavailable { backend: "redis", .. })),
                "{revision:?}: {answer:?}"
            );
        }
        assert_eq!(bench.store.load(&ID).await.unwrap().map(|loaded| loaded.revision), revision);
        assert_eq!(bench.ask::<usize>(&[b"DBSIZE"]).await, revision.iter().count());
    }
}

#[tokio::test]
async fn each_call_stages_its_frame_under_a_key_of_its_own_that_expires_with_the_call() {
    let mut bench = Bench::new().await;
    (bench.scripts().create, bench.scripts().replace) = (Lua::new(RECORDING), Lua::new(RECORDING));
    for answer in every_write(&bench.store).await {
        assert!(answer.unwrap());
    }
    let seen: Vec<(String, u64)> = bench.ask(&[b"LRANGE", b"staged", b"0", b"-1"]).await;
    let mut keys: Vec<_> = seen.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "{seen:?}");
    for (key, lives_for) in &seen {
        // A cluster takes the slot of what is between the first braces.
        let (prefix, rest) = key.split_once('{').unwrap();
        let (tag, _random) = rest.split_once('}').unwrap();
        assert!(prefix.starts_with("sessions:"), "{key}");
        let of_id = |id: &SessionId| bench.store.session_key(id) == tag.as_bytes();
        assert!(of_id(&ID) || of_id(&SessionId::from_bytes([7; 16])), "{key}");
        assert!((1..=3_600_000).contains(lives_for), "{lives_for} milliseconds");
    }
}

#[tokio::test]
async fn what_a_script_that_fails_leaves_behind_expires_with_the_call() {
    let mut bench = Bench::new().await;
    (bench.scripts().create, bench.scripts().replace) = (Lua::new("error('broken')"), Lua::new("error('broken')"));
    for answer in every_write(&bench.store).await {
        assert!(matches!(answer, Err(StoreError::Backend { .. })), "{answer:?}");
    }
    let keys: Vec<Vec<u8>> = bench.ask(&[b"KEYS", b"*"]).await;
    assert_eq!(keys.len(), 4);
    for key in keys {
        assert!((1..=3_600_000).contains(&bench.ask::<i64>(&[b"PTTL", &key]).await));
    }
}
