//! `replace`: one winner, never a revival, and the three things that it does to the expiry.

use session_core::{
    Entry,
    Expiry::{self, Extend, Keep, Restart},
    SessionId, Store,
};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second, third},
};

const EACH_EXPIRY: [Expiry; 3] = [Keep, Extend(HOUR), Restart { expires_in: HOUR, ends_in: DAY }];

pub(crate) async fn replace_writes_the_payload_and_the_revision<S: Subject>(trial: &Trial<S>) {
    for (number, expiry) in (0..).zip(EACH_EXPIRY) {
        trial.create(id(number), first(), HOUR, DAY).await;
        assert!(trial.replace(id(number), 1, second(), expiry).await, "`replace` under the right revision did nothing");
        let loaded = trial.loaded(id(number)).await;
        assert_eq!(loaded.revision, revision(2), "`replace` with {expiry:?} did not write the revision");
        assert_eq!(loaded.payload, "the second write", "`replace` with {expiry:?} did not write the payload");
    }
}

pub(crate) async fn replace_under_another_revision_does_nothing<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    let mark = trial.mark();
    trial.create(id(1), first().with_owner(Some(&ours)), HOUR, DAY).await;
    for expiry in [Keep, Extend(2 * HOUR), Restart { expires_in: 2 * HOUR, ends_in: 2 * DAY }] {
        let replaced = trial.replace(id(1), 7, second().with_owner(Some(&theirs)), expiry).await;
        assert!(!replaced, "`replace` with {expiry:?} under another revision said that it was applied");
        let loaded = trial.loaded(id(1)).await;
        assert_eq!(loaded.revision, revision(1), "`replace` under another revision changed the revision");
        assert_eq!(loaded.payload, "the first write", "`replace` under another revision changed the payload");
        trial.assert_left("the expiry, after a `replace` under another revision", loaded.expires_in, HOUR, mark);
        trial.assert_left("the end, after a `replace` under another revision", loaded.ends_in, DAY, mark);
        assert!(trial.listed(&ours).await.contains(&id(1)), "`replace` under another revision changed the owner");
    }
}

pub(crate) async fn of_40_concurrent_replaces_exactly_one_wins<S: Subject>(trial: &Trial<S>) {
    for round in 0..5 {
        trial.create(id(round), first(), HOUR, DAY).await;
        let replaced = trial.together(round, 40, move |number, store| async move {
            let payload = number.to_be_bytes();
            let entry = Entry::new(revision(100 + number), &payload);
            answer("replace", store.replace(&id(round), revision(1), entry, Extend(HOUR)).await).then_some(number)
        });
        let winners: Vec<u64> = replaced.await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "of 40 concurrent `replace` under one revision these won: {winners:?}");
        let loaded = trial.loaded(id(round)).await;
        assert_eq!(loaded.revision, revision(100 + winners[0]), "the session is not the winner's");
        assert_eq!(loaded.payload, winners[0].to_be_bytes()[..], "the session is not the winner's");
    }
}

pub(crate) async fn a_replace_that_is_delivered_twice_applies_once<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.must_replace(id(1), 1, second(), Keep).await;
    assert!(!trial.replace(id(1), 1, second(), Keep).await, "a `replace` that was delivered twice was applied twice");
    trial.must_replace(id(1), 2, third(), Keep).await;
    assert!(!trial.replace(id(1), 1, second(), Keep).await, "a `replace` that came again late was applied twice");
    assert_eq!(trial.loaded(id(1)).await.payload, "the third write", "a late second delivery overwrote a later write");

    for round in 0..4 {
        let id = id(2 + round);
        trial.create(id, first(), HOUR, DAY).await;
        let again = trial.together(round, 8, move |_, store| async move {
            answer("replace", store.replace(&id, revision(1), second(), Keep).await)
        });
        let applied = again.await.into_iter().filter(|applied| *applied).count();
        assert_eq!(applied, 1, "of 8 concurrent deliveries of one `replace` exactly one must be applied");
    }
}

pub(crate) async fn replace_never_revives_a_deleted_session<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for (number, expiry) in (0..).zip(EACH_EXPIRY) {
        trial.create(id(number), first().with_owner(Some(&user)), HOUR, DAY).await;
        trial.must_delete(id(number), 1).await;
        never_revives(trial, id(number), expiry, "deleted").await;
    }
}

pub(crate) async fn replace_never_revives_a_revoked_session<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for (number, expiry) in (0..).zip(EACH_EXPIRY) {
        trial.create(id(number), first().with_owner(Some(&user)), HOUR, DAY).await;
        assert_eq!(trial.revoke(&user, None).await, 1);
        never_revives(trial, id(number), expiry, "revoked").await;
    }
}

pub(crate) async fn replace_never_revives_an_expired_session<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let user = owner("user 42");
    for number in 0..6 {
        let (expires_in, ends_in) = if number < 3 { (soon, DAY) } else { (HOUR, soon) };
        trial.create(id(number), first().with_owner(Some(&user)), expires_in, ends_in).await;
    }
    trial.pass(soon).await;
    for (number, expiry) in (0..).zip(EACH_EXPIRY.into_iter().chain(EACH_EXPIRY)) {
        never_revives(trial, id(number), expiry, "expired").await;
    }
}

async fn never_revives<S: Subject>(trial: &Trial<S>, id: SessionId, expiry: Expiry, how: &str) {
    let user = owner("user 42");
    let replaced = trial.replace(id, 1, second().with_owner(Some(&user)), expiry).await;
    assert!(!replaced, "`replace` with {expiry:?} said that it replaced a session that is {how}");
    trial.assert_gone(id, &user, &format!("after a late `replace` with {expiry:?} of a session that is {how}")).await;
}

pub(crate) async fn replace_with_keep_leaves_expiry_and_end_alone<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let mark = trial.mark();
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.pass(soon).await;
    trial.must_replace(id(1), 1, second(), Keep).await;
    let loaded = trial.loaded(id(1)).await;
    trial.assert_left("the expiry, after a `replace` with `Keep`", loaded.expires_in, HOUR, mark);
    trial.assert_left("the end, after a `replace` with `Keep`", loaded.ends_in, DAY, mark);
}

pub(crate) async fn replace_with_keep_leaves_an_expiry_alone_that_a_touch_has_moved<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    let mark = trial.mark();
    trial.must_touch(id(1), 1, 3 * HOUR).await;
    trial.must_replace(id(1), 1, second(), Keep).await;
    let loaded = trial.loaded(id(1)).await;
    trial.assert_left("the expiry that a touch moved, after `Keep`", loaded.expires_in, 3 * HOUR, mark);
    let mark = trial.mark();
    trial.must_touch(id(1), 2, HOUR / 2).await;
    trial.must_replace(id(1), 2, third(), Keep).await;
    let loaded = trial.loaded(id(1)).await;
    trial.assert_left("the expiry that a touch moved nearer, after `Keep`", loaded.expires_in, HOUR / 2, mark);
}

pub(crate) async fn replace_with_extend_moves_the_expiry<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    for (number, given) in [(2, 3 * HOUR), (3, HOUR / 2)] {
        let mark = trial.mark();
        trial.must_replace(id(1), number - 1, Entry::new(revision(number), b""), Extend(given)).await;
        let loaded = trial.loaded(id(1)).await;
        trial.assert_left("the expiry, after a `replace` with `Extend`", loaded.expires_in, given, mark);
    }
}

pub(crate) async fn replace_with_extend_never_passes_the_end<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    trial.create(id(1), first(), soon / 2, soon).await;
    trial.must_replace(id(1), 1, second(), Extend(HOUR)).await;
    let loaded = trial.loaded(id(1)).await;
    assert!(loaded.expires_in <= soon, "`Extend` moved the expiry past the end: {loaded:?}");
    trial.pass(soon).await;
    assert!(trial.load(id(1)).await.is_none(), "`Extend` made a session outlive its end");
}

pub(crate) async fn replace_with_keep_or_extend_never_moves_the_end<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let mark = trial.mark();
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.create(id(2), first(), HOUR, DAY).await;
    trial.pass(soon).await;
    trial.must_replace(id(1), 1, second(), Extend(2 * HOUR)).await;
    trial.must_replace(id(2), 1, second(), Keep).await;
    trial.assert_left("the end, after `Extend`", trial.loaded(id(1)).await.ends_in, DAY, mark);
    trial.assert_left("the end, after `Keep`", trial.loaded(id(2)).await.ends_in, DAY, mark);
    trial.must_replace(id(1), 2, third(), Extend(2 * DAY)).await;
    let loaded = trial.loaded(id(1)).await;
    trial.assert_left("the end, after an `Extend` beyond it", loaded.ends_in, DAY, mark);
    assert!(loaded.expires_in <= loaded.ends_in, "`Extend` moved the expiry past the end: {loaded:?}");
}

pub(crate) async fn replace_with_restart_moves_expiry_and_end<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    let lifetimes = [(2 * HOUR, 3 * DAY), (HOUR / 2, HOUR), (4 * HOUR, 3 * HOUR), (HOUR, DAY)];
    for (number, (expires_in, ends_in)) in (2..).zip(lifetimes) {
        let mark = trial.mark();
        let entry = Entry::new(revision(number), b"");
        trial.must_replace(id(1), number - 1, entry, Restart { expires_in, ends_in }).await;
        let loaded = trial.loaded(id(1)).await;
        trial.assert_left("the expiry, after `Restart`", loaded.expires_in, expires_in.min(ends_in), mark);
        trial.assert_left("the end, after `Restart`", loaded.ends_in, ends_in, mark);
    }
}
