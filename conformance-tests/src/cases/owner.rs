//! Owners: `list`, `revoke`, and the owner that a session belongs to.

use std::collections::{BTreeMap, BTreeSet};

use session_core::{
    Expiry::{Extend, Keep, Restart},
    Owner, SessionId, Store,
};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second, third},
};

pub(crate) async fn list_shows_every_live_session_of_the_owner_and_no_other<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    assert!(trial.listed(&ours).await.is_empty(), "`list` showed a session of somebody who has none");
    for number in 0..30 {
        let user = [Some(&ours), Some(&theirs), None][number as usize % 3];
        trial.create(id(number), first().with_owner(user), HOUR, DAY).await;
    }
    assert_eq!(
        trial.listed(&ours).await,
        ids((0..30).step_by(3)),
        "`list` must show the owner's sessions and no other"
    );
    assert_eq!(trial.listed(&theirs).await, ids((1..30).step_by(3)), "`list` must show the owner's sessions, no other");
}

/// An index of keys has an order, and a range of it two ends. A range that ends too early leaves out a session, and nobody can
/// revoke that.
pub(crate) async fn list_and_revoke_find_an_id_at_each_end_of_an_order<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let beginning = |first| SessionId::from_bytes(std::array::from_fn(|at| if at == 0 { first } else { at as u8 }));
    let ends = [0, 0xff].map(|byte| SessionId::from_bytes([byte; 16]));
    let all: BTreeSet<_> = (0..=u8::MAX).map(beginning).chain(ends).collect();
    for id in &all {
        trial.create(*id, first().with_owner(Some(&user)), HOUR, DAY).await;
    }
    assert_eq!(trial.listed(&user).await, all, "`list` must show each of the owner's sessions, whatever its id is");
    let count = trial.revoke(&user, None).await;
    assert_eq!(count, all.len() as u64, "`revoke` must delete each of the owner's sessions, whatever its id is");
    for id in all {
        assert!(trial.load(id).await.is_none(), "`revoke` has left the session {id:?}, which begins with another byte");
    }
}

pub(crate) async fn list_shows_what_load_shows<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let mark = trial.mark();
    trial.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    trial.create(id(2), first().with_owner(Some(&user)), HOUR, DAY).await;
    trial.must_replace(id(2), 1, second().with_owner(Some(&user)), Extend(2 * HOUR)).await;
    let list: BTreeMap<_, _> = trial.list(&user).await.into_iter().collect();
    assert_eq!(list.len(), 2, "`list` must show the owner's two sessions, it showed {list:?}");
    for (id, listed) in list {
        let (entry, expires_in) = if id == self::id(1) { (first(), HOUR) } else { (second(), 2 * HOUR) };
        assert_eq!(listed.revision, entry.revision, "`list` showed another revision than was written");
        assert_eq!(listed.payload, entry.payload, "`list` showed another payload than was written");
        trial.assert_left("the expiry in a list", listed.expires_in, expires_in, mark);
        trial.assert_left("the end in a list", listed.ends_in, DAY, mark);
    }
}

pub(crate) async fn list_never_shows_an_expired_session<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), soon, DAY).await;
    trial.create(id(2), first().with_owner(Some(&user)), HOUR, soon).await;
    trial.create(id(3), first().with_owner(Some(&user)), HOUR, DAY).await;
    assert_eq!(trial.listed(&user).await, ids(1..4), "`list` misses a session that is still live");
    trial.pass(soon).await;
    assert_eq!(trial.listed(&user).await, ids([3]), "`list` must show the live session and no expired one");
}

/// The ends of two sessions are a fixed time apart. If a store measures each at an instant of its own, or keeps them
/// finer than it answers, that time changes from one list to the next. Then two readers disagree which session is
/// older.
pub(crate) async fn list_measures_all_sessions_at_one_instant<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for number in 0..40 {
        trial.create(id(number), first().with_owner(Some(&user)), HOUR, DAY).await;
    }
    let mut before = None;
    for _ in 0..20 {
        let list: BTreeMap<_, _> = trial.list(&user).await.into_iter().collect();
        let longest = list.values().map(|session| session.ends_in).max();
        let behind = list.into_iter().map(|(id, session)| (id, longest.map(|longest| longest - session.ends_in)));
        let behind: BTreeMap<_, _> = behind.collect();
        let before = before.get_or_insert_with(|| behind.clone());
        assert_eq!(*before, behind, "two lists disagree about the time between the ends of the same sessions");
    }
}

pub(crate) async fn revoke_keeps_exactly_the_session_that_it_was_told_to<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    for number in 0..5 {
        trial.create(id(number), first().with_owner(Some(&ours)), HOUR, DAY).await;
    }
    trial.create(id(5), first().with_owner(Some(&theirs)), HOUR, DAY).await;
    trial.create(id(6), first(), HOUR, DAY).await;
    let count = trial.revoke(&ours, Some(id(3))).await;
    assert!(trial.load(id(3)).await.is_some(), "`revoke` deleted the session that it was told to keep");
    assert_eq!(count, 4, "`revoke` must count the sessions that it deleted");
    assert_eq!(trial.listed(&ours).await, ids([3]), "`revoke` must keep exactly the session that it was told to");
    for number in [0, 1, 2, 4] {
        trial.assert_gone(id(number), &ours, "after `revoke`").await;
    }
    trial.loaded(id(5)).await;
    trial.loaded(id(6)).await;
    assert_eq!(trial.revoke(&ours, Some(id(5))).await, 1, "`revoke` must delete all, if the one to keep is not theirs");
    trial.assert_gone(id(3), &ours, "after `revoke`").await;
    trial.loaded(id(5)).await;
    assert_eq!(trial.revoke(&ours, None).await, 0, "`revoke` counted sessions where none are left");
}

pub(crate) async fn revoke_without_one_to_keep_deletes_them_all_and_no_others<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 4"));
    for number in 0..6 {
        let user = [Some(&ours), Some(&theirs), None][number as usize % 3];
        trial.create(id(number), first().with_owner(user), HOUR, DAY).await;
    }
    assert_eq!(trial.revoke(&ours, None).await, 2, "`revoke` must delete each of the owner's sessions and count them");
    trial.assert_gone(id(0), &ours, "after `revoke`").await;
    trial.assert_gone(id(3), &ours, "after `revoke`").await;
    for number in [1, 2, 4, 5] {
        assert!(trial.load(id(number)).await.is_some(), "`revoke` deleted a session that is not the owner's");
    }
    assert_eq!(trial.listed(&theirs).await, ids([1, 4]), "`revoke` changed another owner's list");
}

pub(crate) async fn revoke_counts_live_sessions_only<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let user = owner("user 42");
    trial.create(id(1), first().with_owner(Some(&user)), soon, DAY).await;
    trial.create(id(2), first().with_owner(Some(&user)), HOUR, soon).await;
    trial.create(id(3), first().with_owner(Some(&user)), HOUR, DAY).await;
    trial.pass(soon).await;
    assert_eq!(trial.revoke(&user, None).await, 1, "`revoke` must count the live session and no expired one");
}

pub(crate) async fn only_restart_changes_the_owner<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    for (number, expiry, entry) in [
        (1, Keep, second().with_owner(Some(&theirs))),
        (2, Extend(HOUR), second().with_owner(Some(&theirs))),
        (3, Keep, second()),
        (4, Extend(HOUR), second()),
    ] {
        trial.create(id(number), first().with_owner(Some(&ours)), HOUR, DAY).await;
        // Core never asks for this. So a store may refuse it with an error, or leave the owner as it is.
        let _refused = trial.store().replace(&id(number), revision(1), entry, expiry).await;
        assert!(trial.listed(&ours).await.contains(&id(number)), "`replace` with {expiry:?} took the owner away");
        assert!(trial.listed(&theirs).await.is_empty(), "`replace` with {expiry:?} changed the owner");
    }
    assert_eq!(trial.revoke(&theirs, None).await, 0, "a `replace` that is no `Restart` changed the owner");
    assert_eq!(trial.revoke(&ours, None).await, 4, "a `replace` that is no `Restart` changed the owner");
}

pub(crate) async fn restart_moves_the_session_between_the_owners_lists<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    let restart = Restart { expires_in: HOUR, ends_in: DAY };
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.must_replace(id(1), 1, second().with_owner(Some(&ours)), restart).await;
    assert_eq!(trial.listed(&ours).await, ids([1]), "a login did not put the session into its owner's list");
    trial.must_replace(id(1), 2, third().with_owner(Some(&theirs)), restart).await;
    assert!(trial.listed(&ours).await.is_empty(), "another user's login left the session in the old owner's list");
    assert_eq!(trial.listed(&theirs).await, ids([1]), "another user's login did not move the session to their list");
    trial.must_replace(id(1), 3, first(), restart).await;
    assert!(trial.listed(&theirs).await.is_empty(), "a `Restart` without an owner left the session in a list");
    assert!(trial.load(id(1)).await.is_some(), "a `Restart` without an owner lost the session");
}

pub(crate) async fn revoke_judges_the_owner_that_the_session_has_then<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    trial.create(id(1), first().with_owner(Some(&ours)), HOUR, DAY).await;
    let restart = Restart { expires_in: HOUR, ends_in: DAY };
    trial.must_replace(id(1), 1, second().with_owner(Some(&theirs)), restart).await;
    assert_eq!(trial.revoke(&ours, None).await, 0, "`revoke` counted a session that has become another owner's");
    assert!(trial.load(id(1)).await.is_some(), "`revoke` deleted a session that has become another owner's");
    assert_eq!(trial.revoke(&theirs, None).await, 1, "`revoke` missed a session that has become the owner's");
    trial.assert_gone(id(1), &theirs, "after `revoke`").await;
}

pub(crate) async fn owners_that_differ_in_one_byte_differ<S: Subject>(trial: &Trial<S>) {
    let long = |last: u8| [&[b'x'; 254][..], &[last]].concat();
    let names: Vec<Vec<u8>> = vec![
        b"anna".into(),
        b"Anna".into(),
        b"ANNA".into(),
        b"anna ".into(),
        b" anna".into(),
        b"anna\0".into(),
        b"anna\n".into(),
        b"ann".into(),
        "ännä".into(),
        "a\u{308}nna\u{308}".into(),
        "ÄNNÄ".into(),
        "ß".into(),
        "ss".into(),
        b"42".into(),
        b"042".into(),
        b"%".into(),
        b"_".into(),
        b"'; --".into(),
        b"\0".into(),
        b"\0\0".into(),
        b"\xff".into(),
        b"\xfe".into(),
        b"\xc3\x28".into(),
        long(b'x'),
        long(b'X'),
        long(b' '),
        long(0xff),
        vec![b'x'; 254],
    ];
    let owners: Vec<Owner> = names.iter().map(owner).collect();
    for (number, owner) in (0..).zip(&owners) {
        trial.create(id(number), first().with_owner(Some(owner)), HOUR, DAY).await;
    }
    for (number, owner) in (0..).zip(&owners) {
        assert_eq!(trial.listed(owner).await, ids([number]), "the list of {owner:?} is not its own");
    }
    for (number, owner) in (0..).zip(&owners) {
        assert_eq!(trial.revoke(owner, None).await, 1, "`revoke` of {owner:?} ended other sessions than its own");
        assert!(trial.load(id(number)).await.is_none(), "`revoke` of {owner:?} missed its session");
    }
}

/// A thousand sessions are more than any database puts into one page of an answer.
pub(crate) async fn an_owner_of_a_thousand_sessions_is_listed_and_revoked_whole<S: Subject>(trial: &Trial<S>) {
    const TASKS: u64 = 22;
    const SESSIONS: u64 = 1100;
    let user = owner("user 42");
    let create = trial.together(0, TASKS, move |task, store| async move {
        let user = owner("user 42");
        for number in (task..SESSIONS).step_by(TASKS as usize) {
            let entry = first().with_owner(Some(&user));
            answer("create", store.create(&id(number.into()), entry, HOUR, DAY).await);
        }
    });
    create.await;
    let listed = trial.listed(&user).await.len();
    assert_eq!(listed as u64, SESSIONS, "`list` must show all sessions of the owner, however many there are");
    assert_eq!(trial.revoke(&user, Some(id(0))).await, SESSIONS - 1, "`revoke` must end all of them, and count them");
    assert_eq!(trial.listed(&user).await, ids([0]), "after `revoke` exactly the session to keep must be left");
}

pub(crate) fn ids(numbers: impl IntoIterator<Item = u128>) -> BTreeSet<SessionId> {
    numbers.into_iter().map(id).collect()
}
