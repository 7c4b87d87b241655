//! The eight methods, ten times each: what the first requests do on connections that have been idle.

use futures_util::future::join_all;
use session_core::{Expiry, Owner, Revision, SessionId, Store, StoreError};

use crate::calls::{HOUR, REVISION, entry};

/// The operations, each on sessions of its own.
pub const OPERATIONS: [&str; 8] = ["load", "create", "replace", "touch", "delete", "list", "revoke", "purge"];

/// How often each operation is run.
const TIMES: u8 = 10;

/// The session that this operation uses the first time. Before it runs, [`prepare`] has made it, unless it is the one
/// that is created.
#[must_use]
pub fn session(operation: &str) -> SessionId {
    id(operation, 0)
}

fn id(operation: &str, number: u8) -> SessionId {
    let mut bytes = [42; 16];
    bytes[0] = OPERATIONS.iter().position(|name| *name == operation).unwrap().try_into().unwrap();
    bytes[1] = number;
    SessionId::from_bytes(bytes)
}

/// Makes the sessions that the operations find.
pub async fn prepare(store: &impl Store) {
    for operation in ["load", "replace", "touch", "delete"] {
        for number in 0..TIMES {
            // Another mode of the store may have made it.
            let _ = store.create(&id(operation, number), entry(REVISION), HOUR, HOUR).await;
        }
    }
}

/// Runs this operation ten times at once. None fails.
pub async fn all_at_once(store: &impl Store, operation: &str) {
    let answers = join_all((0..TIMES).map(|number| run(store, operation, number))).await;
    let failures: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Ok(true))).collect();
    assert!(failures.is_empty(), "{operation}: {failures:#?}");
}

/// Runs each operation ten times, one after the other. None fails.
pub async fn one_by_one(store: &impl Store) {
    for operation in OPERATIONS {
        for number in 0..TIMES {
            assert!(run(store, operation, number).await.unwrap(), "{operation}");
        }
    }
}

async fn run(store: &impl Store, operation: &str, number: u8) -> Result<bool, StoreError> {
    const NEXT: Revision = Revision::from_bytes([2; 8]);
    let (id, user) = (id(operation, number), Owner::from(42));
    match operation {
        "load" => store.load(&id).await.map(|loaded| loaded.is_some()),
        "create" => store.create(&id, entry(REVISION), HOUR, HOUR).await.map(|()| true),
        "replace" => store.replace(&id, REVISION, entry(NEXT), Expiry::Keep).await,
        "touch" => store.touch(&id, REVISION, HOUR).await,
        "delete" => store.delete(&id, REVISION).await,
        "list" => store.list(&user).await.map(|listed| listed.is_empty()),
        "revoke" => store.revoke(&user, None).await.map(|count| count == 0),
        _ => store.purge(10).await.map(|count| count == 0),
    }
}
