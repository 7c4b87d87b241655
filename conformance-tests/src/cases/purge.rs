//! `purge` deletes expired sessions, a few at a time. If the database expires them by itself, it answers `0`.

use std::ops::Range;

use session_core::{Expiry, Store};
use tokio::task::yield_now;

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, second},
};

pub(crate) async fn purge_deletes_no_live_session<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let user = owner("user 42");
    for number in 0..5 {
        trial.create(id(number), first().with_owner(Some(&user)), HOUR, DAY).await;
    }
    assert_eq!(trial.purge(100).await, 0, "`purge` counted sessions where none has expired");
    trial.create(id(5), first().with_owner(Some(&user)), soon, DAY).await;
    trial.pass(soon).await;
    assert!(trial.purge(100).await <= 1, "`purge` counted more sessions than have expired");
    for number in 0..5 {
        assert!(trial.load(id(number)).await.is_some(), "`purge` deleted a live session");
    }
    assert_eq!(trial.listed(&user).await.len(), 5, "`purge` took a live session out of its owner's list");
}

pub(crate) async fn purge_spares_a_session_until_its_expiry<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    trial.create(id(1), first(), soon, DAY).await;
    trial.create(id(2), first(), HOUR, soon).await;
    assert_eq!(trial.purge(100).await, 0, "`purge` counted a session that had not expired yet");
    for number in 1..=2 {
        assert!(trial.load(id(number)).await.is_some(), "`purge` deleted a session before its expiry");
    }
}

pub(crate) async fn purge_spares_a_session_whose_expiry_was_moved<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    for number in 0..4 {
        trial.create(id(number), first(), soon, DAY).await;
    }
    trial.must_touch(id(0), 1, HOUR).await;
    trial.must_replace(id(1), 1, second(), Expiry::Extend(HOUR)).await;
    trial.must_replace(id(2), 1, second(), Expiry::Restart { expires_in: HOUR, ends_in: DAY }).await;
    trial.pass(soon).await;
    assert!(trial.purge(100).await <= 1, "`purge` counted a session whose expiry had been moved");
    for number in 0..3 {
        assert!(trial.load(id(number)).await.is_some(), "`purge` deleted a session whose expiry had been moved");
    }
    assert!(trial.load(id(3)).await.is_none(), "an expired session was loaded");
}

pub(crate) async fn purge_deletes_at_most_its_limit<S: Subject>(trial: &Trial<S>) {
    expired(trial, 0..10).await;
    assert_eq!(trial.purge(0).await, 0, "`purge` with the limit 0 deleted something");
    let some = trial.purge(3).await;
    assert!(some <= 3, "`purge` with the limit 3 deleted {some} sessions");
    let mut all = some;
    while let more @ 1.. = trial.purge(u32::MAX).await {
        all += more;
        assert!(all <= 10, "of 10 expired sessions `purge` counted {all}");
    }
    assert!(
        all == 10 || all == 0,
        "of 10 expired sessions `purge` with the limit 3 and then without one deleted {all}"
    );
}

pub(crate) async fn purge_goes_on_until_none_is_left<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    for number in 0..4 {
        trial.create(id(number), first(), HOUR, DAY).await;
    }
    // The expiry moves nearer. An index in the order of expiries must follow.
    trial.must_touch(id(0), 1, soon).await;
    trial.must_touch(id(1), 1, soon).await;
    trial.must_replace(id(2), 1, second(), Expiry::Extend(soon)).await;
    trial.must_replace(id(3), 1, second(), Expiry::Restart { expires_in: soon, ends_in: DAY }).await;
    expired(trial, 4..10).await;
    trial.create(id(100), first(), HOUR, DAY).await;
    let mut calls = Vec::new();
    loop {
        calls.push(trial.purge(4).await);
        if calls.ends_with(&[0]) {
            break;
        }
        assert!(calls.len() < 10, "`purge` does not come to an end: {calls:?}");
    }
    let total: u64 = calls.iter().sum();
    assert!(total == 10 || total == 0, "of 10 expired sessions `purge` deleted {calls:?}");
    for number in 0..10 {
        assert!(trial.load(id(number)).await.is_none(), "an expired session was loaded");
        trial.create(id(number), first(), HOUR, DAY).await;
    }
    assert_eq!(trial.purge(100).await, 0, "`purge` counted sessions that were created again");
}

pub(crate) async fn purgers_beside_one_another_count_each_session_once<S: Subject>(trial: &Trial<S>) {
    for round in 0..2 {
        expired(trial, 0..20).await;
        let purged = trial.together(round, 8, |_, store| async move {
            let mut purged = 0;
            for _ in 0..20 {
                match answer("purge", store.purge(3).await) {
                    0 => break,
                    some => purged += some,
                }
            }
            purged
        });
        let purged: u64 = purged.await.into_iter().sum();
        assert!(purged <= 20, "8 purgers say that they deleted {purged} of 20 expired sessions");
    }
}

pub(crate) async fn purge_never_takes_a_session_that_was_created_while_it_ran<S: Subject>(trial: &Trial<S>) {
    for round in 0..2 {
        let base = 100 * round;
        expired(trial, base..base + 40).await;
        let work = trial.together(round, 8, move |number, store| async move {
            for step in 0..10 {
                if number % 2 == 0 {
                    answer("purge", store.purge(5).await);
                } else {
                    let over = id(base + u128::from(number / 2 * 10 + step));
                    answer("create", store.create(&over, second(), HOUR, DAY).await);
                }
                yield_now().await;
            }
        });
        work.await;
        for number in base..base + 40 {
            let loaded = trial.load(id(number)).await;
            assert!(loaded.is_some(), "`purge` deleted a session that was created over an expired one while it ran");
        }
    }
}

async fn expired<S: Subject>(trial: &Trial<S>, numbers: Range<u128>) {
    let soon = trial.soon();
    for number in numbers {
        trial.create(id(number), first(), soon, DAY).await;
    }
    trial.pass(soon).await;
}
