//! Operations that race one another. No session revives, none is half there, and no list lacks one.

use std::collections::BTreeSet;

use session_core::{
    Entry,
    Expiry::{Extend, Keep, Restart},
    Owner, SessionId, Store, StoreError,
};
use tokio::task::yield_now;

use super::owner::ids;
use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

const ROUNDS: u128 = 200;

pub(crate) async fn nothing_revives_when_delete_races_replace_touch_and_list<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for round in 0..ROUNDS {
        let id = id(round);
        trial.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
        let answers = trial.together(round, 4, move |number, store| async move {
            let user = owner("user 42");
            let second = second().with_owner(Some(&user));
            match number {
                0 => answer("delete", store.delete(&id, revision(1)).await),
                1 => answer("replace", store.replace(&id, revision(1), second, Extend(HOUR)).await),
                2 => answer("touch", store.touch(&id, revision(1), HOUR).await),
                _ => half_a_session_in(&store, &user).await,
            }
        });
        let answers = answers.await;
        let (deleted, replaced, half) = (answers[0], answers[1], answers[3]);
        assert!(!half, "`list` showed a session that is neither the old one nor the new one");
        assert!(!(deleted && replaced), "`delete` and `replace` under one revision both say that they won");
        assert!(deleted || replaced, "`delete` and `replace` under one revision both say that they lost");
        if deleted {
            trial.assert_gone(id, &user, "a `delete` raced `replace` and `touch`, and won").await;
        } else {
            assert_eq!(trial.loaded(id).await.revision, revision(2), "a `replace` won against `delete`, and is lost");
            trial.must_delete(id, 2).await;
        }
    }
}

pub(crate) async fn nothing_revives_when_revoke_races_replace_touch_and_list<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for round in 0..ROUNDS {
        let id = id(round);
        trial.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
        let answers = trial.together(round, 4, move |number, store| async move {
            let user = owner("user 42");
            let second = second().with_owner(Some(&user));
            match number {
                0 => answer("revoke", store.revoke(&user, None).await) == 1,
                1 => answer("replace", store.replace(&id, revision(1), second, Keep).await),
                2 => answer("touch", store.touch(&id, revision(1), HOUR).await),
                _ => half_a_session_in(&store, &user).await,
            }
        });
        let answers = answers.await;
        assert!(!answers[3], "`list` showed a session that is neither the old one nor the new one");
        trial.assert_gone(id, &user, "a `revoke` raced `replace` and `touch`").await;
        assert!(answers[0], "a `revoke` that raced `replace` did not count the session that is gone");
    }
}

pub(crate) async fn a_revoke_that_races_a_login_takes_the_session_or_leaves_it<S: Subject>(trial: &Trial<S>) {
    let theirs = owner("user 43");
    for round in 0..ROUNDS / 2 {
        let id = id(round);
        trial.create(id, first().with_owner(Some(&owner("user 42"))), HOUR, DAY).await;
        let answers = trial.together(round, 2, move |number, store| async move {
            let (ours, theirs) = (owner("user 42"), owner("user 43"));
            let restart = Restart { expires_in: HOUR, ends_in: DAY };
            match number {
                0 => answer("revoke", store.revoke(&ours, None).await) == 1,
                _ => {
                    let entry = second().with_owner(Some(&theirs));
                    answer("replace", store.replace(&id, revision(1), entry, restart).await)
                }
            }
        });
        let answers = answers.await;
        let (revoked, moved) = (answers[0], answers[1]);
        assert!(!(revoked && moved), "`revoke` and another owner's login both say that they won");
        assert!(revoked || moved, "`revoke` and another owner's login both say that they lost");
        assert_eq!(
            trial.load(id).await.is_some(),
            moved,
            "the loser of `revoke` and another owner's login was applied"
        );
        assert_eq!(trial.listed(&theirs).await.contains(&id), moved, "the list disagrees with the login that won");
        assert!(!trial.listed(&owner("user 42")).await.contains(&id), "the session is in the list of its old owner");
    }
}

pub(crate) async fn a_late_touch_never_moves_the_expiry_of_the_login_that_overtook_it<S: Subject>(trial: &Trial<S>) {
    for round in 0..ROUNDS / 2 {
        let id = id(round);
        trial.create(id, first(), HOUR, DAY).await;
        let mark = trial.mark();
        let answers = trial.together(round, 2, move |number, store| async move {
            match number {
                0 => answer("touch", store.touch(&id, revision(1), 5 * HOUR).await),
                _ => {
                    let restart = Restart { expires_in: 2 * HOUR, ends_in: DAY };
                    answer("replace", store.replace(&id, revision(1), second(), restart).await)
                }
            }
        });
        assert!(answers.await[1], "a `replace` under the right revision was refused, because a `touch` raced it");
        trial.assert_left("the expiry that a login set", trial.loaded(id).await.expires_in, 2 * HOUR, mark);
    }
}

pub(crate) async fn a_replace_with_keep_never_undoes_the_touch_that_it_races<S: Subject>(trial: &Trial<S>) {
    for round in 0..ROUNDS / 2 {
        let id = id(round);
        let mark = trial.mark();
        trial.create(id, first(), HOUR, DAY).await;
        let answers = trial.together(round, 2, move |number, store| async move {
            match number {
                0 => answer("touch", store.touch(&id, revision(1), 5 * HOUR).await),
                _ => answer("replace", store.replace(&id, revision(1), second(), Keep).await),
            }
        });
        let answers = answers.await;
        let (touched, replaced) = (answers[0], answers[1]);
        assert!(replaced, "a `replace` under the right revision was refused, because a `touch` raced it");
        let (what, given) = if touched {
            ("the expiry that a `touch` set, after a `replace` with `Keep` that raced it", 5 * HOUR)
        } else {
            ("the expiry, after a `touch` that came too late", HOUR)
        };
        trial.assert_left(what, trial.loaded(id).await.expires_in, given, mark);
    }
}

/// A store may delete what it finds expired. It must not take what was made in its place by then.
pub(crate) async fn a_read_of_an_expired_session_never_takes_the_one_in_its_place<S: Subject>(trial: &Trial<S>) {
    let (user, soon) = (owner("user 42"), trial.soon());
    for round in 0..2 {
        let all = 100 * round..100 * round + 40;
        for number in all.clone() {
            trial.create(id(number), first().with_owner(Some(&user)), soon, DAY).await;
        }
        trial.pass(soon).await;
        let work = trial.together(round, 8, move |number, store| async move {
            let user = owner("user 42");
            for step in 0..10 {
                let id = id(100 * round + u128::from(number / 2 * 10 + step));
                if number % 2 == 0 {
                    answer("create", store.create(&id, second().with_owner(Some(&user)), HOUR, DAY).await);
                } else {
                    answer("load", store.load(&id).await);
                    answer("list", store.list(&user).await);
                }
                yield_now().await;
            }
        });
        work.await;
        for number in all.clone() {
            let loaded = trial.load(id(number)).await;
            assert!(loaded.is_some(), "a `load` or `list` took a session that was made over an expired one");
        }
        let listed = trial.listed(&user).await;
        assert!(
            all.map(id).all(|id| listed.contains(&id)),
            "a `load` or `list` took a session out of the list that was made over an expired one"
        );
    }
}

/// A revocation moves the epoch of the owner and then lists the sessions. A login makes a session and then loads the epoch. So
/// one of them sees the other.
pub(crate) async fn a_login_sees_the_write_before_a_list_that_misses_it<S: Subject>(trial: &Trial<S>) {
    for round in 0..ROUNDS {
        let (login, epoch) = (id(round), id(1000 + round));
        trial.create(epoch, first(), HOUR, DAY).await;
        let answers = trial.together(round, 2, move |number, store| async move {
            let user = owner("user 42");
            if number == 0 {
                let made = store.create_then_load(&login, first().with_owner(Some(&user)), HOUR, DAY, &epoch).await;
                let seen = answer("the load of `create_then_load`", answer("create_then_load", made));
                return seen.is_some_and(|seen| seen.revision == revision(2));
            }
            assert!(answer("replace", store.replace(&epoch, revision(1), second(), Keep).await));
            answer("list", store.list(&user).await).iter().any(|(id, _)| *id == login)
        });
        let answers = answers.await;
        assert!(
            answers[0] || answers[1],
            "`create_then_load` did not see a write, and the `list` after that write did not see its session"
        );
        trial.must_delete(login, 1).await;
    }
}

/// A `delete` may take the session out of an index in a later step. That step must not take the new session out.
pub(crate) async fn a_session_that_is_made_again_while_it_is_deleted_is_listed<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for round in 0..ROUNDS / 2 {
        let id = id(round);
        trial.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
        let answers = trial.together(round, 2, move |number, store| async move {
            if number == 0 {
                return answer("delete", store.delete(&id, revision(1)).await);
            }
            let user = owner("user 42");
            loop {
                match store.create(&id, second().with_owner(Some(&user)), HOUR, DAY).await {
                    Err(StoreError::AlreadyExists) => yield_now().await,
                    created => {
                        answer("create", created);
                        return true;
                    }
                }
            }
        });
        assert!(answers.await[0], "a `delete` under the right revision was refused");
        assert_eq!(trial.loaded(id).await.revision, revision(2), "a `delete` took what was created after it");
        assert!(
            trial.listed(&user).await.contains(&id),
            "a `delete` took the session that came after it out of the list"
        );
        trial.must_delete(id, 2).await;
    }
}

pub(crate) async fn list_is_exact_once_concurrent_changes_are_over<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    for round in 0..2 {
        let change = trial.together(round, 8, |task, store| async move {
            let (ours, theirs) = (owner("user 42"), owner("user 43"));
            let restart = Restart { expires_in: HOUR, ends_in: DAY };
            for step in 0..8 {
                let id = id(u128::from(task * 8 + step));
                answer("create", store.create(&id, first().with_owner(Some(&ours)), HOUR, DAY).await);
                let done = match step % 4 {
                    0 => Ok(true),
                    1 => store.replace(&id, revision(1), second().with_owner(Some(&theirs)), restart).await,
                    2 => store.delete(&id, revision(1)).await,
                    _ => store.replace(&id, revision(1), second(), restart).await,
                };
                assert!(answer("a change", done), "a change under the right revision, by one task alone, was refused");
            }
        });
        change.await;
        let expected = |kind| ids((0..64).filter(|number| number % 4 == kind));
        assert_eq!(trial.listed(&ours).await, expected(0), "the list is not exact after concurrent changes");
        assert_eq!(trial.listed(&theirs).await, expected(1), "the list is not exact after concurrent changes");
        assert_eq!(trial.revoke(&ours, None).await, 16, "`revoke` is not exact after concurrent changes");
        assert_eq!(trial.revoke(&theirs, None).await, 16, "`revoke` is not exact after concurrent changes");
        for number in (3..64).step_by(4) {
            assert!(trial.delete(id(number), 2).await, "a session without an owner was revoked");
        }
    }
}

/// Some sessions stand while others come, change hands and go.
pub(crate) async fn list_misses_no_session_that_stands_and_shows_no_strangers<S: Subject>(trial: &Trial<S>) {
    let standing = || (1000..1005).map(id).collect::<BTreeSet<SessionId>>();
    let ours = owner("user 42");
    for id in standing() {
        trial.create(id, Entry::new(revision(1), ours.as_bytes()).with_owner(Some(&ours)), HOUR, DAY).await;
    }
    for round in 0..2 {
        let change = trial.together(round, 6, move |task, store| async move {
            let (ours, theirs) = (owner("user 42"), owner("user 43"));
            for step in 0..15 {
                if task < 2 {
                    let list = answer("list", store.list(&ours).await);
                    let shown: BTreeSet<_> = list.iter().map(|(id, _)| *id).collect();
                    assert_eq!(shown.len(), list.len(), "`list` showed a session twice");
                    assert!(shown.is_superset(&standing()), "`list` missed a session that was the owner's throughout");
                    let strangers = list.iter().any(|(_, session)| session.payload != ours.as_bytes());
                    assert!(!strangers, "`list` showed a session as it was when it was another owner's");
                    yield_now().await;
                } else {
                    come_change_hands_and_go(&*store, id(u128::from(task * 100 + step)), [&ours, &theirs]).await;
                }
            }
        });
        change.await;
        assert_eq!(trial.listed(&ours).await, standing(), "the list is not exact after concurrent changes");
    }
}

async fn come_change_hands_and_go(store: &impl Store, id: SessionId, [ours, theirs]: [&Owner; 2]) {
    let owned = |number, owner| Entry::new(revision(number), Owner::as_bytes(owner)).with_owner(Some(owner));
    let restart = Restart { expires_in: HOUR, ends_in: DAY };
    answer("create", store.create(&id, owned(1, ours), HOUR, DAY).await);
    // Without this, with a store that never waits, nobody would see the session in between.
    yield_now().await;
    assert!(answer("replace", store.replace(&id, revision(1), owned(2, theirs), restart).await));
    yield_now().await;
    assert!(answer("replace", store.replace(&id, revision(2), owned(3, ours), restart).await));
    yield_now().await;
    assert!(answer("delete", store.delete(&id, revision(3)).await));
}

async fn half_a_session_in(store: &impl Store, owner: &Owner) -> bool {
    let entries = [first(), second()];
    let whole = |session: &session_core::Loaded| {
        entries.iter().any(|entry| entry.revision == session.revision && entry.payload == session.payload)
    };
    !answer("list", store.list(owner).await).iter().all(|(_, session)| whole(session))
}
