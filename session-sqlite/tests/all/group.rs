//! Writes that wait at the same moment share a transaction. Each still has its own outcome.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use session_core::{Entry, Expiry, Owner, Store, StoreError};
use session_sqlite::SqliteStore;
use tokio::runtime;

use crate::gate::{Gate, HOUR, REVISION, entry, id, next};

/// A write, and how many sessions it writes.
type Write = Pin<Box<dyn Future<Output = Result<u64, StoreError>>>>;

fn write<F>(gate: &Gate, write: impl FnOnce(SqliteStore) -> F) -> Write
where
    F: Future<Output = Result<u64, StoreError>> + 'static,
{
    Box::pin(write(gate.store.clone()))
}

fn create(gate: &Gate, number: u8, length: usize) -> Write {
    write(gate, async move |store| {
        let payload = vec![number; length];
        store.create(&id(number), Entry::new(REVISION, &payload), HOUR, HOUR).await.map(|()| 1)
    })
}

fn extend(gate: &Gate, number: u8) -> Write {
    write(gate, async move |store| {
        store.replace(&id(number), REVISION, next(), Expiry::Extend(HOUR)).await.map(u64::from)
    })
}

fn touch(gate: &Gate, number: u8) -> Write {
    write(gate, async move |store| store.touch(&id(number), REVISION, HOUR).await.map(u64::from))
}

fn delete(gate: &Gate, number: u8) -> Write {
    write(gate, async move |store| store.delete(&id(number), REVISION).await.map(u64::from))
}

/// Lets each write begin to wait, in this order. Between them no timer runs.
async fn line_up(writes: &mut [Write]) {
    poll_fn(|context| {
        for write in &mut *writes {
            assert!(write.as_mut().poll(context).is_pending(), "a write did not wait");
        }
        Poll::Ready(())
    })
    .await;
}

/// The outcomes of writes that have waited while another one was held.
async fn together(gate: &Gate, mut writes: Vec<Write>) -> Vec<Result<u64, StoreError>> {
    let first = gate.hold_a_write().await;
    line_up(&mut writes).await;
    gate.release();
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for write in writes {
        outcomes.push(write.await);
    }
    gate.assert_no_transaction_is_open().await;
    outcomes
}

#[tokio::test]
async fn a_write_that_comes_alone_is_one_statement() {
    let gate = Gate::new().await;
    let before = gate.prepared_statements().await;
    gate.store.create(&id(1), entry(), HOUR, HOUR).await.unwrap();
    for _ in 0..3 {
        assert!(gate.store.touch(&id(1), REVISION, HOUR).await.unwrap());
    }
    assert_eq!(gate.commits(), 4);
    assert_eq!(gate.prepared_statements().await - before, 2, "a create and a touch");
}

/// For example, a handler begins to save and then waits for something else.
#[tokio::test]
async fn a_write_that_nobody_polls_holds_nobody_up() {
    let gate = Gate::new().await;
    for number in [1, 2] {
        gate.store.create(&id(number), entry(), HOUR, HOUR).await.unwrap();
    }
    let mut left_alone = [extend(&gate, 1)];
    line_up(&mut left_alone).await;
    assert_eq!(touch(&gate, 2).await.unwrap(), 1);
    let [left_alone] = left_alone;
    assert_eq!(left_alone.await.unwrap(), 1);
}

#[tokio::test]
async fn writes_that_wait_go_together_each_with_its_own_outcome_and_in_their_order() {
    let gate = Gate::new().await;
    let user = Owner::from(42);
    for number in 1..6 {
        gate.store.create(&id(number), entry().with_owner(Some(&user)), HOUR, 2 * HOUR).await.unwrap();
    }
    let before = gate.commits();
    let revoke = write(&gate, async move |store| store.revoke(&Owner::from(42), Some(&id(1))).await);
    let writes = vec![
        extend(&gate, 1),
        // The one before has won.
        extend(&gate, 1),
        touch(&gate, 1),
        touch(&gate, 2),
        delete(&gate, 3),
        create(&gate, 3, 7),
        create(&gate, 2, 7),
        revoke,
    ];
    let outcomes = together(&gate, writes).await;
    assert!(matches!(outcomes[6], Err(StoreError::AlreadyExists)), "{:?}", outcomes[6]);
    let counts: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().copied()).collect();
    // The sessions 2, 4 and 5 are revoked. Session 3 was created again, without an owner.
    assert_eq!(counts, [Some(1), Some(0), Some(0), Some(1), Some(1), Some(1), None, Some(3)]);
    assert_eq!(gate.commits() - before, 2, "the held one by itself, and then all others");
    assert_eq!(gate.store.load(&id(1)).await.unwrap().unwrap().revision, next().revision);
}

#[tokio::test]
async fn a_commit_that_fails_is_the_error_of_each_write_and_nothing_is_half_done() {
    let gate = Gate::new().await;
    gate.store.create(&id(9), entry(), HOUR, HOUR).await.unwrap();
    gate.refuse_the_commit_after(1);
    // Neither "no" nor "it is there already" may be said of what was not committed.
    let writes = vec![create(&gate, 1, 7), create(&gate, 2, 7), delete(&gate, 8), create(&gate, 9, 7)];
    for outcome in together(&gate, writes).await {
        assert!(matches!(outcome, Err(StoreError::Backend { .. })), "{outcome:?}");
    }
    for number in [1, 2] {
        assert_eq!(gate.store.load(&id(number)).await.unwrap(), None);
        gate.store.create(&id(number), entry(), HOUR, HOUR).await.unwrap();
    }
}

/// The application's own triggers. SQLite undoes the statement, or the whole transaction.
#[tokio::test]
async fn an_error_of_one_statement_reaches_its_caller_only() {
    for kind in ["ABORT", "ROLLBACK", "FAIL"] {
        let gate = Gate::new().await;
        let trigger = format!(
            "CREATE TRIGGER bad BEFORE INSERT ON sessions WHEN NEW.payload = x'03030303030303' \
             BEGIN SELECT RAISE({kind}, 'bad'); END"
        );
        gate.run(&trigger).await;
        let outcomes = together(&gate, (1..6).map(|number| create(&gate, number, 7)).collect()).await;
        for (outcome, number) in outcomes.iter().zip(1..) {
            assert_eq!(outcome.is_err(), number == 3, "{kind}, {number}: {outcome:?}");
            assert_eq!(gate.store.load(&id(number)).await.unwrap().is_some(), number != 3, "{kind}, {number}");
        }
    }
}

/// SQLite then rolls the whole transaction back by itself.
#[tokio::test]
async fn a_full_disk_is_the_error_of_what_does_not_fit() {
    let gate = Gate::new().await;
    gate.limit_pages(20).await;
    let writes = (1..6).map(|number| create(&gate, number, if number == 3 { 200_000 } else { 7 }));
    let outcomes = together(&gate, writes.collect()).await;
    for (outcome, number) in outcomes.iter().zip(1..) {
        let is_full = matches!(outcome, Err(StoreError::Unavailable { .. }));
        assert_eq!((is_full, outcome.is_err()), (number == 3, number == 3), "{number}: {outcome:?}");
        assert_eq!(gate.store.load(&id(number)).await.unwrap().is_some(), number != 3, "{number}");
    }
}

#[tokio::test]
async fn a_caller_that_is_dropped_changes_nothing_for_the_others() {
    let gate = Gate::new().await;
    let first = gate.hold_a_write().await;
    let mut writes: Vec<_> = (1..6).map(|number| create(&gate, number, 7)).collect();
    line_up(&mut writes).await;
    // Session 2, before its write begins.
    drop(writes.remove(1));
    gate.hold_at_row(2);
    gate.release();
    first.await.unwrap().unwrap();
    gate.is_held().await;
    // Session 3, in the middle of its group.
    drop(writes.remove(1));
    gate.release();
    for write in writes {
        assert_eq!(write.await.unwrap(), 1);
    }
    gate.assert_no_transaction_is_open().await;
    for number in [1, 3, 4, 5] {
        assert!(gate.store.load(&id(number)).await.unwrap().is_some(), "{number}");
    }
    assert_eq!(gate.store.load(&id(2)).await.unwrap(), None, "it was dropped before its write began");
}

/// The one whose write is under way alone, and for whose end the others wait.
#[tokio::test]
async fn a_first_caller_that_is_dropped_holds_nobody_up() {
    let gate = Gate::new().await;
    let first = gate.hold_a_write().await;
    let mut writes: Vec<_> = (1..4).map(|number| create(&gate, number, 7)).collect();
    line_up(&mut writes).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.release();
    for write in writes {
        assert_eq!(write.await.unwrap(), 1);
    }
    assert!(gate.store.load(&id(0)).await.unwrap().is_some(), "what was sent is done wholly");
    gate.assert_no_transaction_is_open().await;
}

/// A runtime that ends with its group in the middle: after the first row, and in the commit.
#[test]
fn a_runtime_that_ends_loses_no_acknowledged_write_and_leaves_no_transaction_open() {
    for in_the_commit in [false, true] {
        let callers = runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ends = runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        callers.block_on(async {
            let gate = Gate::new().await;
            let first = gate.hold_a_write_on(ends.handle()).await;
            let mut writes: Vec<_> = (1..4).map(|number| create(&gate, number, 7)).collect();
            {
                // They wait on that runtime, and are polled to their end on another.
                let _there = ends.enter();
                line_up(&mut writes).await;
            }
            if in_the_commit {
                gate.hold_the_commit_after(1)
            } else {
                gate.hold_at_row(1)
            }
            gate.release();
            first.await.unwrap().unwrap();
            gate.is_held().await;
            ends.shutdown_background();
            for write in writes {
                let error = write.await.unwrap_err();
                assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            }
            gate.release();
            // It waits for the lock until the old connection is done.
            gate.store.create(&id(5), entry(), HOUR, HOUR).await.unwrap();
            gate.assert_no_transaction_is_open().await;
            assert!(gate.store.load(&id(0)).await.unwrap().is_some());
            for number in 1..4 {
                let is_there = gate.store.load(&id(number)).await.unwrap().is_some();
                assert_eq!(is_there, in_the_commit, "{number}: a group is done wholly or not at all");
            }
        });
    }
}

#[tokio::test]
async fn a_write_that_waits_for_its_turn_too_long_times_out_and_is_not_done() {
    let gate = Gate::with_timeout(Duration::from_millis(200)).await;
    let first = gate.hold_a_write().await;
    let mut writes: Vec<_> = (1..4).map(|number| create(&gate, number, 7)).collect();
    line_up(&mut writes).await;
    for write in writes {
        let error = write.await.unwrap_err();
        assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
    }
    gate.release();
    first.await.unwrap().unwrap();
    for number in 1..4 {
        assert_eq!(gate.store.load(&id(number)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_pool_without_a_free_connection_times_out_before_its_own_patience_ends() {
    let gate = Gate::with_timeout(Duration::from_millis(200)).await;
    let taken = gate.take_the_connection().await;
    let start = std::time::Instant::now();
    let error = gate.store.create(&id(1), entry(), HOUR, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "the pool waits 30 seconds");
    drop(taken);
    gate.store.create(&id(1), entry(), HOUR, HOUR).await.unwrap();
}

#[tokio::test]
async fn a_write_that_waits_with_others_until_after_the_expiry_does_nothing() {
    let gate = Gate::new().await;
    let soon = Duration::from_millis(500);
    for number in 1..4 {
        gate.store.create(&id(number), entry(), soon, HOUR).await.unwrap();
    }
    let first = gate.hold_a_write().await;
    let mut writes = vec![extend(&gate, 1), touch(&gate, 2), delete(&gate, 3)];
    line_up(&mut writes).await;
    // In real time: SQLite's clock cannot be moved.
    tokio::time::sleep(soon + Duration::from_millis(100)).await;
    gate.release();
    first.await.unwrap().unwrap();
    for write in writes {
        assert_eq!(write.await.unwrap(), 0, "a write that waited until after the expiry was applied");
    }
}

#[tokio::test]
async fn large_payloads_and_many_writes_go_in_several_transactions() {
    let gate = Gate::new().await;
    let length = |number| if number < 4 { 700_000 } else { 7 };
    let writes = (1..100).map(|number| create(&gate, number, length(number))).collect();
    for outcome in together(&gate, writes).await {
        assert_eq!(outcome.unwrap(), 1);
    }
    // The held one; 1; 2; 3 with the rest of 64; and 35 more.
    assert_eq!(gate.commits(), 5);
    for number in 1..100 {
        assert_eq!(gate.store.load(&id(number)).await.unwrap().unwrap().payload, vec![number; length(number)]);
    }
}
