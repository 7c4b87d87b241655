//! `touch` moves the expiry and nothing else.

use session_core::{Expiry, SessionId};

use crate::{
    Subject,
    trial::{DAY, HOUR, SECOND, Trial, first, id, owner, revision, second},
};

pub(crate) async fn touch_sets_the_time_left_that_it_was_given<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    // Also by a little.
    for given in [3 * HOUR, HOUR / 2, HOUR, HOUR + SECOND, HOUR] {
        let mark = trial.mark();
        assert!(trial.touch(id(1), 1, given).await, "`touch` of a live session under its revision answered `false`");
        trial.assert_left("the expiry, after `touch`", trial.loaded(id(1)).await.expires_in, given, mark);
    }
}

pub(crate) async fn touch_keeps_payload_owner_and_revision<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    trial.must_touch(id(1), 1, 2 * HOUR).await;
    let loaded = trial.loaded(id(1)).await;
    assert_eq!(loaded.revision, revision(1), "`touch` changed the revision");
    assert_eq!(loaded.payload, "the first write", "`touch` changed the payload");
    assert_eq!(trial.listed(&user).await, [id(1)].into(), "`touch` changed the owner");
    assert!(trial.replace(id(1), 1, second(), Expiry::Keep).await, "`touch` changed the revision");
}

pub(crate) async fn touch_never_moves_the_expiry_past_the_end<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    trial.create(id(1), first(), soon / 2, soon).await;
    assert!(trial.touch(id(1), 1, HOUR).await, "`touch` past the end must move the expiry to the end, it did nothing");
    let loaded = trial.loaded(id(1)).await;
    assert!(loaded.expires_in <= soon, "`touch` moved the expiry past the end: {loaded:?}");
    trial.pass(soon).await;
    assert!(trial.load(id(1)).await.is_none(), "`touch` made a session outlive its end");
}

pub(crate) async fn touch_never_moves_the_end<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let mark = trial.mark();
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.pass(soon).await;
    for given in [2 * HOUR, 2 * DAY, HOUR / 2] {
        trial.must_touch(id(1), 1, given).await;
        trial.assert_left("the end, after `touch`", trial.loaded(id(1)).await.ends_in, DAY, mark);
    }
}

pub(crate) async fn touch_under_another_revision_does_nothing<S: Subject>(trial: &Trial<S>) {
    let mark = trial.mark();
    trial.create(id(1), first(), HOUR, DAY).await;
    let touched = trial.touch(id(1), 7, 2 * HOUR).await;
    trial.assert_left("the expiry, after a late `touch`", trial.loaded(id(1)).await.expires_in, HOUR, mark);
    assert!(!touched, "`touch` under another revision said that it was applied");
    trial.must_replace(id(1), 1, second(), Expiry::Keep).await;
    assert!(!trial.touch(id(1), 1, 2 * HOUR).await, "`touch` under the revision before said that it was applied");
    trial.assert_left("the expiry, after a late `touch`", trial.loaded(id(1)).await.expires_in, HOUR, mark);
}

pub(crate) async fn touch_never_revives_a_deleted_session<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    trial.must_delete(id(1), 1).await;
    never_revives(trial, id(1), "deleted").await;
    trial.create(id(2), first().with_owner(Some(&user)), HOUR, DAY).await;
    assert_eq!(trial.revoke(&user, None).await, 1);
    never_revives(trial, id(2), "revoked").await;
}

pub(crate) async fn touch_never_revives_an_expired_session<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), soon, DAY).await;
    trial.create(id(2), first().with_owner(Some(&user)), HOUR, soon).await;
    trial.pass(soon).await;
    never_revives(trial, id(1), "expired").await;
    never_revives(trial, id(2), "past its end").await;
}

async fn never_revives<S: Subject>(trial: &Trial<S>, id: SessionId, how: &str) {
    assert!(!trial.touch(id, 1, HOUR).await, "`touch` said that it touched a session that is {how}");
    trial.assert_gone(id, &owner("user 42"), &format!("after a late `touch` of a session that is {how}")).await;
}
