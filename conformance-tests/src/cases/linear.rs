//! Each session is a compare-and-swap register.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use session_core::{
    Entry,
    Expiry::{Extend, Keep},
    Revision, SessionId, Store, StoreError,
};
use tokio::task::yield_now;

use crate::{
    Subject,
    history::{Call, Event, linearizable},
    trial::{DAY, HOUR, Trial, answer, id, revision},
};

const TASKS: u64 = 6;
const STEPS: u64 = 25;

pub(crate) async fn a_concurrent_history_is_linearizable<S: Subject>(trial: &Trial<S>) {
    for round in 0..4 {
        let clock = Arc::new(AtomicU64::new(0));
        let histories = trial.together(round, TASKS, move |task, store| {
            let clock = Arc::clone(&clock);
            async move { one_client(&*store, id(round), task, &clock).await }
        });
        let history = histories.await.concat();
        if let Err(unexplained) = linearizable(history) {
            panic!(
                "no order of atomic steps explains these answers; mend the cases of the single methods first. After the \
                 last call that is explained {unexplained}"
            );
        }
    }
}

/// Creates, reads, writes and deletes one session in turn. Each call expects the revision that the client has seen
/// last.
async fn one_client(store: &impl Store, id: SessionId, task: u64, clock: &AtomicU64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut seen = revision(0);
    for step in 0..STEPS {
        let own = revision(1 + task * STEPS + step);
        let began = clock.fetch_add(1, Ordering::SeqCst);
        let call = one_call(store, &id, (step + task) % 7, seen, own).await;
        let answered = clock.fetch_add(1, Ordering::SeqCst);
        match call {
            Call::Load { found: Some(found) } => seen = found,
            Call::Create { revision, created: true } | Call::Replace { revision, replaced: true, .. } => {
                seen = revision
            }
            _ => {}
        }
        events.push(Event { call, began, answered });
        // Without this, a store that never waits would let each client run through alone.
        yield_now().await;
    }
    events
}

async fn one_call(store: &impl Store, id: &SessionId, kind: u64, seen: Revision, own: Revision) -> Call {
    let entry = Entry::new(own, own.as_bytes());
    match kind {
        0 => match store.create(id, entry, HOUR, DAY).await {
            Err(StoreError::AlreadyExists) => Call::Create { revision: own, created: false },
            created => {
                answer("create", created);
                Call::Create { revision: own, created: true }
            }
        },
        1 | 4 => {
            let loaded = answer("load", store.load(id).await);
            if let Some(loaded) = &loaded {
                assert_eq!(
                    loaded.payload,
                    loaded.revision.as_bytes()[..],
                    "a load answered a revision with a payload that was not written with it"
                );
            }
            Call::Load { found: loaded.map(|loaded| loaded.revision) }
        }
        2 | 5 => {
            let expiry = if kind == 2 { Keep } else { Extend(HOUR) };
            let replaced = answer("replace", store.replace(id, seen, entry, expiry).await);
            Call::Replace { expected: seen, revision: own, replaced }
        }
        3 => Call::Touch { expected: seen, touched: answer("touch", store.touch(id, seen, HOUR).await) },
        _ => Call::Delete { expected: seen, deleted: answer("delete", store.delete(id, seen).await) },
    }
}
