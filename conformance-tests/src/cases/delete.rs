//! `delete` ends one session, if it is still the one that was read.

use session_core::{Expiry, Store};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

pub(crate) async fn a_deleted_session_is_neither_loaded_nor_listed<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    trial.create(id(2), first().with_owner(Some(&user)), HOUR, DAY).await;
    assert!(trial.delete(id(1), 1).await, "`delete` of a live session under its revision answered `false`");
    trial.assert_gone(id(1), &user, "after `delete`").await;
    assert!(!trial.delete(id(1), 1).await, "a second `delete` said that it deleted the session again");
    assert_eq!(trial.listed(&user).await, [id(2)].into(), "`delete` of one session took another with it");
    trial.loaded(id(2)).await;
}

pub(crate) async fn delete_under_another_revision_does_nothing<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    assert!(!trial.delete(id(1), 7).await, "`delete` under another revision said that it was applied");
    trial.must_replace(id(1), 1, second(), Expiry::Keep).await;
    assert!(!trial.delete(id(1), 1).await, "`delete` under the revision before said that it was applied");
    assert_eq!(trial.loaded(id(1)).await.revision, revision(2), "a `delete` under another revision was applied");
}

pub(crate) async fn delete_of_an_expired_session_says_so<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    trial.create(id(1), first(), soon, DAY).await;
    trial.create(id(2), first(), HOUR, soon).await;
    trial.pass(soon).await;
    for id in [id(1), id(2)] {
        assert!(!trial.delete(id, 1).await, "`delete` said that it deleted a session that had expired before");
    }
}

pub(crate) async fn of_40_concurrent_deletes_exactly_one_wins<S: Subject>(trial: &Trial<S>) {
    for round in 0..5 {
        trial.create(id(round), first(), HOUR, DAY).await;
        let deleted = trial.together(round, 40, move |_, store| async move {
            answer("delete", store.delete(&id(round), revision(1)).await)
        });
        let winners = deleted.await.into_iter().filter(|deleted| *deleted).count();
        assert_eq!(winners, 1, "of 40 concurrent `delete` exactly one must say that it deleted the session");
    }
}
