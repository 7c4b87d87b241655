//! Only `create` makes a session appear, and never over a live one.

use session_core::{Entry, Expiry::Keep, Store, StoreError};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

pub(crate) async fn a_created_session_loads_as_it_was_written<S: Subject>(trial: &Trial<S>) {
    let mark = trial.mark();
    trial.create(id(1), first(), HOUR, DAY).await;
    let loaded = trial.loaded(id(1)).await;
    assert_eq!(loaded.revision, revision(1), "`load` returned another revision than was written");
    assert_eq!(loaded.payload, "the first write", "`load` returned another payload than was written");
    trial.assert_left("the expiry that was created", loaded.expires_in, HOUR, mark);
    trial.assert_left("the end that was created", loaded.ends_in, DAY, mark);
}

pub(crate) async fn only_create_makes_a_session_appear<S: Subject>(trial: &Trial<S>) {
    use session_core::Expiry::{Extend, Restart};
    let user = owner("user 42");
    assert!(trial.load(id(1)).await.is_none(), "`load` found a session that nobody has created");
    for expiry in [Keep, Extend(HOUR), Restart { expires_in: HOUR, ends_in: DAY }] {
        let replaced = trial.replace(id(1), 1, second().with_owner(Some(&user)), expiry).await;
        assert!(!replaced, "`replace` with {expiry:?} said that it replaced a session that nobody has created");
        trial.assert_gone(id(1), &user, "after `replace`, without any `create`").await;
    }
    assert!(!trial.touch(id(1), 1, HOUR).await, "`touch` said that it touched a session that nobody has created");
    trial.assert_gone(id(1), &user, "after `touch`, without any `create`").await;
    assert!(!trial.delete(id(1), 1).await, "`delete` said that it deleted a session that nobody has created");
    trial.assert_gone(id(1), &user, "after `delete`, without any `create`").await;
    assert_eq!(trial.revoke(&user, None).await, 0, "`revoke` counted a session that nobody has created");
    trial.assert_gone(id(1), &user, "after `revoke`, without any `create`").await;
}

pub(crate) async fn create_over_a_live_session_is_already_exists<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    let again = trial.store().create(&id(1), second(), HOUR, DAY).await;
    assert!(
        matches!(again, Err(StoreError::AlreadyExists)),
        "`create` over a live session must answer `AlreadyExists`, it answered {again:?}"
    );
    let same = trial.store().create(&id(1), first(), HOUR, DAY).await;
    assert!(
        matches!(same, Err(StoreError::AlreadyExists)),
        "`create` must answer `AlreadyExists` also when the same write is delivered twice, it answered {same:?}"
    );
}

pub(crate) async fn a_refused_create_leaves_the_live_session_untouched<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    let mark = trial.mark();
    trial.create(id(1), first().with_owner(Some(&ours)), HOUR, DAY).await;
    let _refused = trial.store().create(&id(1), second().with_owner(Some(&theirs)), 2 * HOUR, 2 * DAY).await;
    let loaded = trial.loaded(id(1)).await;
    assert_eq!(loaded.revision, revision(1), "a refused `create` changed the revision");
    assert_eq!(loaded.payload, "the first write", "a refused `create` changed the payload");
    trial.assert_left("the expiry, after a refused `create`", loaded.expires_in, HOUR, mark);
    trial.assert_left("the end, after a refused `create`", loaded.ends_in, DAY, mark);
    assert!(trial.listed(&ours).await.contains(&id(1)), "a refused `create` took the session from its owner");
    assert!(trial.listed(&theirs).await.is_empty(), "a refused `create` gave the session to another owner");
}

pub(crate) async fn create_succeeds_over_an_expired_session<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let (before, after) = (owner("user 42"), owner("user 43"));
    trial.create(id(1), first().with_owner(Some(&before)), soon, DAY).await;
    trial.create(id(2), first().with_owner(Some(&before)), soon, soon).await;
    trial.pass(soon).await;
    let mark = trial.mark();
    trial.create(id(1), second().with_owner(Some(&after)), HOUR, 2 * DAY).await;
    trial.create(id(2), second(), HOUR, 2 * DAY).await;
    for id in [id(1), id(2)] {
        let loaded = trial.loaded(id).await;
        assert_eq!(loaded.revision, revision(2), "`create` over an expired session kept its revision");
        assert_eq!(loaded.payload, "the second write", "`create` over an expired session kept its payload");
        trial.assert_left("the expiry, created over an expired session", loaded.expires_in, HOUR, mark);
        trial.assert_left("the end, created over an expired session", loaded.ends_in, 2 * DAY, mark);
    }
    assert!(trial.listed(&before).await.is_empty(), "`create` over an expired session left it in its old owner's list");
    assert_eq!(trial.listed(&after).await, [id(1)].into(), "`create` over an expired session did not set the owner");
}

pub(crate) async fn create_succeeds_after_a_delete_and_a_revocation<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    assert!(trial.delete(id(1), 1).await, "`delete` of a live session under its revision answered `false`");
    trial.create(id(1), second().with_owner(Some(&user)), HOUR, DAY).await;
    assert_eq!(trial.loaded(id(1)).await.payload, "the second write");
    assert_eq!(trial.listed(&user).await, [id(1)].into(), "`list` misses a session that was created after a delete");
    assert_eq!(trial.revoke(&user, None).await, 1, "`revoke` missed a session that was created after a delete");
    trial.create(id(1), first(), HOUR, DAY).await;
    assert_eq!(trial.loaded(id(1)).await.payload, "the first write");
    assert!(trial.listed(&user).await.is_empty(), "a session that was created without an owner is in somebody's list");
}

/// An index may still have the owner or the expiry of the session that had this id before.
pub(crate) async fn a_session_that_is_made_again_has_nothing_of_the_one_before_it<S: Subject>(trial: &Trial<S>) {
    let (before, after, soon) = (owner("user 42"), owner("user 43"), trial.soon());
    let short = async |number| trial.create(id(number), first().with_owner(Some(&before)), soon, DAY).await;
    let again = async |number| trial.create(id(number), second().with_owner(Some(&after)), HOUR, DAY).await;
    short(0).await;
    short(1).await;
    trial.must_delete(id(0), 1).await;
    assert_eq!(trial.revoke(&before, None).await, 1, "`revoke` did not delete the one session that was left");
    again(0).await;
    again(1).await;
    short(2).await;
    short(3).await;
    trial.pass(soon).await;
    again(3).await;
    assert!(trial.purge(100).await <= 1, "`purge` counted a session that was made again under the id of an old one");
    again(2).await;
    assert_eq!(trial.purge(100).await, 0, "`purge` counted a session that was made again under the id of an old one");
    for (number, ended) in ["a `delete`", "a `revoke`", "a `purge`", "its expiry"].into_iter().enumerate() {
        let loaded = trial.load(id(number as u128)).await;
        assert!(loaded.is_some(), "a session was made again after {ended}, and ended when the old one would have");
    }
    let [was, is] = [trial.listed(&before).await, trial.listed(&after).await];
    assert!(was.is_empty(), "the list of the old owner shows sessions that were made again for another: {was:?}");
    assert_eq!(is, (0..4).map(id).collect(), "the list of the new owner lacks sessions that were made again");
}

pub(crate) async fn create_then_load_makes_the_session_and_loads_the_other<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    trial.create(id(9), first(), 2 * HOUR, 2 * DAY).await;
    for (number, payload) in [(1, &b"the first login"[..]), (2, b"the second login")] {
        // Written just before: what is loaded must be no older.
        trial.must_replace(id(9), number, Entry::new(revision(number + 1), payload), Keep).await;
        let mark = trial.mark();
        let other = trial.create_then_load(id(number.into()), first().with_owner(Some(&user)), id(9)).await;
        let other = other.unwrap_or_else(|| panic!("`create_then_load` did not find the other session, which is live"));
        assert_eq!(
            other.revision,
            revision(number + 1),
            "`create_then_load` returned another revision than was written"
        );
        assert_eq!(other.payload, payload, "`create_then_load` returned another payload than was written");
        let same = trial.loaded(id(9)).await;
        assert_eq!(same.revision, other.revision, "`create_then_load` changed the session that it loaded");
        trial.assert_left_at_least("the expiry of the loaded session", other.expires_in, same.expires_in, mark);
        trial.assert_left_at_least("the end of the loaded session", other.ends_in, same.ends_in, mark);
        let made = trial.loaded(id(number.into())).await;
        assert_eq!((made.revision, &made.payload[..]), (revision(1), first().payload), "it made another session");
        trial.assert_left("the expiry that was created", made.expires_in, HOUR, mark);
        trial.assert_left("the end that was created", made.ends_in, DAY, mark);
    }
    assert_eq!(trial.listed(&user).await, [id(1), id(2)].into(), "`create_then_load` left its session out of the list");
}

/// The load begins after the session was made.
pub(crate) async fn create_then_load_of_one_id_loads_what_it_made<S: Subject>(trial: &Trial<S>) {
    let mark = trial.mark();
    let loaded = trial.create_then_load(id(1), first(), id(1)).await;
    let loaded =
        loaded.unwrap_or_else(|| panic!("`create_then_load` did not find what it had made: it loads too early"));
    assert_eq!((loaded.revision, &loaded.payload[..]), (revision(1), first().payload));
    trial.assert_left("the expiry that was created and loaded", loaded.expires_in, HOUR, mark);
    trial.assert_left("the end that was created and loaded", loaded.ends_in, DAY, mark);
}

pub(crate) async fn create_then_load_finds_no_session_that_is_not_live<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    trial.create(id(8), first(), soon, DAY).await;
    trial.create(id(9), first(), HOUR, DAY).await;
    trial.must_delete(id(9), 1).await;
    trial.pass(soon).await;
    for (number, other) in [(7, "is missing"), (8, "has expired"), (9, "was deleted")] {
        let found = trial.create_then_load(id(10 + number), first(), id(number)).await;
        assert!(found.is_none(), "`create_then_load` found a session that {other}: {found:?}");
        trial.loaded(id(10 + number)).await;
    }
}

pub(crate) async fn create_then_load_over_a_live_session_is_already_exists<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    let mark = trial.mark();
    trial.create(id(1), first().with_owner(Some(&ours)), HOUR, DAY).await;
    trial.create(id(2), first(), HOUR, DAY).await;
    for then in [id(1), id(2), id(3)] {
        let entry = second().with_owner(Some(&theirs));
        let refused = trial.store().create_then_load(&id(1), entry, 2 * HOUR, 2 * DAY, &then).await;
        assert!(
            matches!(refused, Err(StoreError::AlreadyExists)),
            "`create_then_load` over a live session must answer `AlreadyExists`, it answered {refused:?}"
        );
        let loaded = trial.loaded(id(1)).await;
        assert_eq!(loaded.revision, revision(1), "a refused `create_then_load` changed the revision");
        assert_eq!(loaded.payload, "the first write", "a refused `create_then_load` changed the payload");
        trial.assert_left("the expiry, after a refused `create_then_load`", loaded.expires_in, HOUR, mark);
        trial.assert_left("the end, after a refused `create_then_load`", loaded.ends_in, DAY, mark);
    }
    assert!(trial.listed(&ours).await.contains(&id(1)), "a refused `create_then_load` took the session from its owner");
    assert!(trial.listed(&theirs).await.is_empty(), "a refused `create_then_load` gave the session to another owner");
}

pub(crate) async fn of_40_concurrent_creates_exactly_one_wins<S: Subject>(trial: &Trial<S>) {
    for round in 0..5 {
        one_create_wins(trial, round, "where there was none").await;
    }
}

pub(crate) async fn of_40_concurrent_creates_over_an_expired_session_exactly_one_wins<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    for round in 0..3 {
        trial.create(id(round), first(), soon, DAY).await;
    }
    trial.pass(soon).await;
    for round in 0..3 {
        one_create_wins(trial, round, "over an expired session").await;
    }
}

async fn one_create_wins<S: Subject>(trial: &Trial<S>, round: u128, place: &str) {
    let created = trial.together(round, 40, move |number, store| async move {
        let payload = number.to_be_bytes();
        match store.create(&id(round), Entry::new(revision(100 + number), &payload), HOUR, DAY).await {
            Err(StoreError::AlreadyExists) => None,
            other => {
                answer("create", other);
                Some(number)
            }
        }
    });
    let winners: Vec<u64> = created.await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "of 40 concurrent `create` {place} exactly one must win, these did: {winners:?}");
    let loaded = trial.loaded(id(round)).await;
    assert_eq!(loaded.revision, revision(100 + winners[0]), "the session {place} is not the winner's");
    assert_eq!(loaded.payload, winners[0].to_be_bytes()[..], "the session {place} is not the winner's");
}
