//! Calls beside others that change the same row and do not contradict them. A store that compares a version of the row meets a
//! conflict then, and has to try again. It must not take the conflict for a `false`, or for nothing to do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use session_core::{
    Entry,
    Expiry::{Extend, Keep},
    SessionId, Store, StoreError,
};
use tokio::task::yield_now;

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

/// How many touch at once, and how often each does.
const TOUCHERS: u64 = 12;
const TOUCHES: u64 = 8;
const ROUNDS: u128 = 8;
/// How often each writes beside a revocation, at most. So a store that tries again after each conflict comes to an end.
const WRITES: u64 = 100;
/// How often a call is sent that has run out of time.
const SENDINGS: usize = 50;

/// The answer of a call beside many others. It may run out of time and say so. Then it is sent again, and the second value
/// tells that the outcome of the call before is unknown.
async fn sent_until_answered<T, W>(method: &str, call: impl Fn() -> W) -> (T, bool)
where
    W: Future<Output = Result<T, StoreError>>,
{
    for sendings in 0..SENDINGS {
        match call().await {
            Err(StoreError::TimedOut { .. }) => yield_now().await,
            answered => return (answer(method, answered), sendings > 0),
        }
    }
    panic!("`{method}` ran out of time {SENDINGS} times, beside calls that do not contradict it");
}

pub(crate) async fn touches_at_the_same_moment_are_all_applied<S: Subject>(trial: &Trial<S>) {
    for round in 0..ROUNDS / 2 {
        let id = id(round);
        trial.create(id, first(), HOUR, DAY).await;
        let touched = trial.together(round, 40, move |_, store| async move {
            sent_until_answered("touch", || store.touch(&id, revision(1), 2 * HOUR)).await.0
        });
        let refused = touched.await.into_iter().filter(|touched| !touched).count();
        assert!(refused == 0, "of 40 concurrent `touch` under the right revision {refused} were refused");
    }
}

pub(crate) async fn a_delete_or_replace_beside_many_touches_is_not_refused<S: Subject>(trial: &Trial<S>) {
    for round in 0..ROUNDS {
        let id = id(round);
        let deletes = round / 2 % 2 == 0;
        trial.create(id, first(), HOUR, DAY).await;
        let done = trial.together(round, 1 + TOUCHERS, move |number, store| async move {
            match number {
                0 if deletes => sent_until_answered("delete", || store.delete(&id, revision(1))).await,
                0 => sent_until_answered("replace", || store.replace(&id, revision(1), second(), Keep)).await,
                _ => {
                    touch_many_times(&*store, id).await;
                    (true, false)
                }
            }
        });
        let (done, is_unknown) = done.await[0];
        let method = if deletes { "delete" } else { "replace" };
        assert!(done || is_unknown, "a `{method}` under the right revision was refused, because many touches raced it");
        let found = trial.load(id).await.map(|loaded| loaded.revision);
        let expected = if deletes { None } else { Some(second().revision) };
        assert_eq!(found, expected, "a `{method}` under the right revision was lost, because many touches raced it");
    }
}

/// Touches under the first revision, until that is refused.
async fn touch_many_times(store: &impl Store, id: SessionId) {
    for _ in 0..TOUCHES {
        if !sent_until_answered("touch", || store.touch(&id, revision(1), HOUR)).await.0 {
            return;
        }
        // Without this, a store that never waits would let each caller run through alone.
        yield_now().await;
    }
}

/// What the writers of a session know of it.
struct Written {
    last: AtomicU64,
    is_over: AtomicBool,
}

impl Written {
    fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

pub(crate) async fn a_revoke_ends_a_session_that_is_written_without_a_pause<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for round in 0..ROUNDS {
        let id = id(round);
        let written = Arc::new(Written { last: AtomicU64::new(1), is_over: AtomicBool::new(false) });
        trial.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
        let answers = trial.together(round, 5, move |number, store| {
            let written = Arc::clone(&written);
            async move {
                match number {
                    0 => return revoke_while_it_is_written(&*store, &written).await,
                    1 => replace_without_a_pause(&*store, id, &written).await,
                    _ => touch_without_a_pause(&*store, id, &written).await,
                }
                (0, false)
            }
        });
        let (revoked, is_unknown) = answers.await[0];
        assert!(
            revoked == 1 || is_unknown,
            "a `revoke` beside a writer that makes no pause must end the session and count it, it answered {revoked}"
        );
        trial.assert_gone(id, &user, "a `revoke` ran beside a writer that makes no pause").await;
    }
}

async fn revoke_while_it_is_written(store: &impl Store, written: &Written) -> (u64, bool) {
    // The writers are at work by then.
    while written.last() < 3 && !written.is_over() {
        yield_now().await;
    }
    let user = owner("user 42");
    let revoked = sent_until_answered("revoke", || store.revoke(&user, None)).await;
    written.end();
    revoked
}

/// The one that replaces. It ends when the session is gone, or when the revocation has given up.
async fn replace_without_a_pause(store: &impl Store, id: SessionId, written: &Written) {
    let user = owner("user 42");
    for number in 1..=WRITES {
        if written.is_over() {
            return;
        }
        let expiry = if number % 2 == 0 { Keep } else { Extend(HOUR) };
        let entry = Entry::new(revision(number + 1), b"written without a pause").with_owner(Some(&user));
        let replace = || store.replace(&id, revision(number), entry, expiry);
        let (replaced, is_unknown) = sent_until_answered("replace", replace).await;
        if !replaced && !is_unknown {
            break;
        }
        written.last.store(number + 1, Ordering::SeqCst);
        yield_now().await;
    }
    written.end();
}

/// Touches move the version of the row, and leave its revision.
async fn touch_without_a_pause(store: &impl Store, id: SessionId, written: &Written) {
    while !written.is_over() {
        sent_until_answered("touch", || store.touch(&id, revision(written.last()), HOUR)).await;
        yield_now().await;
    }
}
