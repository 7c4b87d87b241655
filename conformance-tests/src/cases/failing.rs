//! A database that answers nothing, and one that has no room left.

use std::sync::Arc;

use session_core::{
    Entry,
    Expiry::{Keep, Restart},
    Purpose, SessionId, Store,
    StoreError::{self, AlreadyExists},
};
use tokio::time::timeout;

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, first, id, in_tasks, owner, revision, second},
};

/// The calls to a database that answers nothing. `purge` may answer without asking it, and has to come to an end.
const METHODS: [&str; 9] =
    ["load", "create", "create_then_load", "replace", "touch", "delete", "list", "revoke", "purge"];

pub(crate) async fn a_call_without_an_answer_ends_in_time_with_an_error<S: Subject>(trial: &Trial<S>) {
    let Some(trial) = trial.unanswered().await else { return };
    let patience = trial.patience();
    let call = |method| {
        let store = trial.store();
        async move { timeout(patience, call(store, method)).await }
    };
    for (method, answer) in METHODS.into_iter().zip(in_tasks(METHODS.map(call).into(), 0).await) {
        match answer {
            Ok(Err(StoreError::TimedOut { .. } | StoreError::Unavailable { .. })) => {}
            Ok(Ok(_)) if method == "purge" => {}
            Ok(Ok(answer)) => panic!("`{method}` got no answer from the database, and yet it said {answer}"),
            Ok(Err(error)) => panic!("`{method}` got no answer: that is `TimedOut` or `Unavailable`, not {error:?}"),
            Err(_) => panic!(
                "`{method}` got no answer, and still waits after {patience:?}: it has to end by the timeout that \
                 `Subject::open_unanswered` gives the store"
            ),
        }
    }
}

async fn call(store: Arc<impl Store>, method: &str) -> Result<String, StoreError> {
    let (id, expected, user) = (id(1), revision(1), owner("user 42"));
    let owned = second().with_owner(Some(&user));
    let restart = Restart { expires_in: HOUR, ends_in: DAY };
    Ok(match method {
        "load" => format!("{:?}", store.load(&id).await?),
        "create" => format!("{:?}", store.create(&id, first(), HOUR, DAY).await?),
        "create_then_load" => format!("{:?}", store.create_then_load(&id, first(), HOUR, DAY, &id).await?),
        "replace" => store.replace(&id, expected, owned, restart).await?.to_string(),
        "touch" => store.touch(&id, expected, HOUR).await?.to_string(),
        "delete" => store.delete(&id, expected).await?.to_string(),
        "list" => format!("{:?}", store.list(&user).await?),
        "revoke" => store.revoke(&user, None).await?.to_string(),
        _ => store.purge(10).await?.to_string(),
    })
}

/// The size of the sessions that fill a database, and how many of them go into 64 MiB.
const LARGE: usize = 64 * 1024;
const TOO_MANY: usize = 1024;

/// The sessions that are there before. Every second one has an owner.
const EARLIER: u128 = 8;

pub(crate) async fn a_full_database_refuses_writes_and_loses_no_session<S: Subject>(trial: &Trial<S>) {
    let Some(trial) = &trial.with_little_room().await else { return };
    let user = owner("user 42");
    for number in 0..EARLIER {
        let entry = first().with_owner(Some(&user).filter(|_| number % 2 == 1)).with_purpose(Purpose::Login);
        trial.create(id(number), entry, HOUR, DAY).await;
    }
    // Some room may be kept for logins.
    let visitors = fill(trial, 1_000_000, Purpose::Visit).await;
    let logins = fill(trial, 2_000_000, Purpose::Login).await;
    for number in 0..EARLIER {
        let loaded = trial.load(id(number)).await;
        let is_whole = loaded.is_some_and(|loaded| loaded.payload == "the first write");
        assert!(is_whole, "a full database has lost a session to make room, or a part of it: {}", id(number));
    }
    for number in visitors.iter().chain(&logins) {
        let loaded = trial.load(id((*number).into())).await;
        let is_whole = loaded.is_some_and(|loaded| loaded.payload == noise(*number));
        assert!(is_whole, "`create` said that it was done, and the full database does not have the session: {number}");
    }
    assert!(
        visitors.len() < TOO_MANY && logins.len() < TOO_MANY,
        "64 MiB are stored, and the database is not full: does `Subject::open_with_little_room` limit it?"
    );
    for number in 0..EARLIER {
        assert_truthful(trial, id(number)).await;
    }
}

/// Makes sessions until there is room for no other, and returns their numbers.
async fn fill<S: Subject>(trial: &Trial<S>, from: u64, purpose: Purpose) -> Vec<u64> {
    let mut made = Vec::new();
    for number in (from..).take(TOO_MANY) {
        let (id, payload) = (id(number.into()), noise(number));
        let entry = Entry::new(revision(1), &payload).with_purpose(purpose);
        match trial.store().create(&id, entry, HOUR, DAY).await {
            Ok(()) => made.push(number),
            Err(AlreadyExists) => panic!("a `create` in a full database said that another had made the session"),
            Err(_) => {
                let loaded = trial.load(id).await;
                let is_half = loaded.is_some_and(|loaded| loaded.payload != payload);
                assert!(!is_half, "a `create` that was refused left a part of the session: {id}");
                return made;
            }
        }
    }
    made
}

/// Bytes that a database cannot compress.
fn noise(mut number: u64) -> Vec<u8> {
    let mut next = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number.to_be_bytes()
    };
    (0..LARGE / 8).flat_map(|_| next()).collect()
}

/// A write in a full database is done or fails. It never says that another was quicker, and it leaves no half.
async fn assert_truthful<S: Subject>(trial: &Trial<S>, id: SessionId) {
    let touched = trial.store().touch(&id, revision(1), HOUR).await;
    assert!(!matches!(touched, Ok(false)), "a `touch` in a full database said that the session was another's");
    let replaced = trial.store().replace(&id, revision(1), second(), Keep).await;
    assert!(!matches!(replaced, Ok(false)), "a `replace` in a full database said that the session was another's");
    let loaded = trial.loaded(id).await;
    let written = if loaded.revision == revision(2) { second() } else { first() };
    assert_eq!(loaded.payload, written.payload, "a `replace` in a full database left half of a session");
    assert!(replaced.is_err() || loaded.revision == revision(2), "`replace` said that it was done, but it was not");
    let deleted = trial.store().delete(&id, loaded.revision).await;
    assert!(!matches!(deleted, Ok(false)), "a `delete` in a full database said that the session was another's");
    let is_there = trial.load(id).await.is_some();
    assert!(deleted.is_err() || !is_there, "`delete` said that it was done, but it was not");
}
