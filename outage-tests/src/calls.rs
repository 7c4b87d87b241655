//! The calls during an outage and after it, and their outcomes.

use std::time::Duration;

use futures_util::future::join_all;
use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use tokio::time::timeout;

use crate::{After, CONNECTIONS, Subject};

/// Longer than a test takes.
pub const HOUR: Duration = Duration::from_secs(3600);
/// The session that is there before the outage.
pub const ID: SessionId = SessionId::from_bytes([42; 16]);
/// Its revision.
pub const REVISION: Revision = Revision::from_bytes([1; 8]);

/// How long all calls together may take until they have failed. Each takes two or three timeouts and half a second; the
/// rest is for a slow machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);

/// A session that calls try to make during the outage. The server may still make it afterwards.
pub const MADE: SessionId = SessionId::from_bytes([7; 16]);
/// A session that is not there.
const MISSING: SessionId = SessionId::from_bytes([8; 16]);

/// The content of the session.
#[must_use]
pub fn entry(revision: Revision) -> Entry<'static> {
    Entry::new(revision, b"payload")
}

/// Stores with a session in them, whose connections are all open and idle.
pub(crate) async fn open<S: Subject>(subjects: &[S], url: &str) -> Vec<S::Store> {
    let mut stores = Vec::new();
    for subject in subjects {
        let store = subject.connect(url).await.unwrap();
        subject.prepare(&store).await;
        // The modes of one store share the session.
        match store.create(&ID, entry(REVISION), HOUR, HOUR).await {
            Ok(()) | Err(StoreError::AlreadyExists) => {}
            Err(error) => panic!("{error:?}"),
        }
        load_on_every_connection(&store).await;
        stores.push(store);
    }
    stores
}

/// Checks that each call fails in time, and with such an error.
pub(crate) async fn everything_fails<S: Subject>(subject: &S, store: &S::Store, is_right: fn(&StoreError) -> bool) {
    let calls = async { tokio::join!(answers(store), subject.other_calls(store)) };
    let Ok((failures, others)) = timeout(DEADLINE, calls).await else { panic!("calls still wait after {DEADLINE:?}") };
    for (name, answer) in failures.into_iter().chain(others) {
        let Err(error) = answer else { panic!("{name} was answered") };
        assert!(is_an_outage::<S>(&error) && is_right(&error), "{name}: {error:?}");
    }
}

/// The methods of the contract, all at once. The server may still carry out some of them after the outage, but no test
/// looks at that. A store may purge without asking its server, so `purge` is left out.
async fn answers(store: &impl Store) -> Vec<(&'static str, Result<(), StoreError>)> {
    let owner = Owner::from(42);
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let owned = entry(REVISION).with_owner(Some(&owner));
    let answers = tokio::join!(
        async { store.load(&ID).await.map(drop) },
        async { store.create(&MADE, entry(REVISION), HOUR, HOUR).await },
        async { store.replace(&ID, REVISION, entry(REVISION), Expiry::Keep).await.map(drop) },
        async { store.replace(&MISSING, REVISION, owned, restart).await.map(drop) },
        async { store.touch(&ID, REVISION, HOUR).await.map(drop) },
        async { store.delete(&MISSING, REVISION).await.map(drop) },
        async { store.list(&owner).await.map(drop) },
        async { store.revoke(&owner, None).await.map(drop) },
    );
    vec![
        ("load", answers.0),
        ("create", answers.1),
        ("replace and keep", answers.2),
        ("replace and restart", answers.3),
        ("touch", answers.4),
        ("delete", answers.5),
        ("list", answers.6),
        ("revoke", answers.7),
    ]
}

/// Checks that each call works, and that the session is still there.
pub(crate) async fn everything_works<S: Subject>(subject: &S, store: &S::Store, after: After) {
    subject.recover(store, after).await;
    assert!(store.load(&ID).await.unwrap().is_some(), "the session was lost");
    assert!(store.touch(&ID, REVISION, HOUR).await.unwrap());
    assert!(store.replace(&ID, REVISION, entry(REVISION), Expiry::Extend(HOUR)).await.unwrap());
    load_on_every_connection(store).await;
}

async fn load_on_every_connection(store: &impl Store) {
    let loads = join_all((0..2 * CONNECTIONS).map(|_| store.load(&ID))).await;
    for loaded in loads {
        assert!(loaded.unwrap().is_some(), "the session was lost");
    }
}

/// Whether the error says that the backend cannot be reached, or has not answered in time.
pub(crate) fn is_an_outage<S: Subject>(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable { backend, .. } | StoreError::TimedOut { backend, .. } => *backend == S::BACKEND,
        _ => false,
    }
}
