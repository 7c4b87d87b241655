//! Futures that are dropped. Each call has happened wholly or not at all, and the next call works.

use std::{
    pin::pin,
    task::Poll::{Pending, Ready},
};

use session_core::{
    Entry,
    Expiry::{Keep, Restart},
    Loaded, Owner, SessionId, Store, StoreError,
};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

/// The largest payload that each store takes.
const LARGE: usize = 1024 * 1024;
/// How often a call of such a payload is polled at most, before it is dropped.
const POLLS: u32 = 20;
/// How often it is answered before its cut, until the later cuts are left out. Encryption of such a payload takes a while.
const ANSWERS: u32 = 3;

/// How far a future comes before it is dropped. It is polled some times, and then dropped either at once or when it is
/// woken again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) polls: u32,
    pub(super) at_once: bool,
}

/// Each cut, with an id of its own.
fn cuts() -> impl Iterator<Item = (SessionId, Cut)> {
    let cut = |number: u32| (id(u128::from(number)), Cut { polls: number / 2, at_once: number.is_multiple_of(2) });
    (0..12).map(cut)
}

pub(super) async fn drop_at<T>(cut: Cut, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = cut.polls;
    std::future::poll_fn(|context| {
        if polls == 0 {
            return Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(context) {
            Ready(answer) => Ready(Some(answer)),
            Pending if polls == 0 && cut.at_once => Ready(None),
            Pending => Pending,
        }
    })
    .await
}

pub(crate) async fn a_dropped_create_leaves_no_session_or_all_of_it<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let entry = first().with_owner(Some(&user));
    for (number, (one, cut)) in (100..).zip(cuts()) {
        drop_at(cut, trial.store().create(&one, entry, HOUR, DAY)).await;
        is_made_or_not(trial, one, &user, cut).await;
        let other = id(number);
        drop_at(cut, trial.store().create_then_load(&other, entry, HOUR, DAY, &one)).await;
        is_made_or_not(trial, other, &user, cut).await;
    }
}

/// Checks what a creation has left that was dropped.
async fn is_made_or_not<S: Subject>(trial: &Trial<S>, id: SessionId, user: &Owner, cut: Cut) {
    if let Some(loaded) = trial.load(id).await {
        whole(&loaded, cut);
    }
    match trial.store().create(&id, first().with_owner(Some(user)), HOUR, DAY).await {
        Err(StoreError::AlreadyExists) => {}
        created => answer("create", created),
    }
    whole(&trial.loaded(id).await, cut);
    assert!(trial.listed(user).await.contains(&id), "a creation that was dropped ({cut:?}) left the list short");
}

pub(crate) async fn a_dropped_replace_leaves_the_old_state_or_the_new<S: Subject>(trial: &Trial<S>) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    let restart = Restart { expires_in: HOUR, ends_in: DAY };
    for (id, cut) in cuts() {
        trial.create(id, first().with_owner(Some(&ours)), HOUR, DAY).await;
        drop_at(cut, trial.store().replace(&id, revision(1), second().with_owner(Some(&theirs)), restart)).await;
        whole(&trial.loaded(id).await, cut);
        the_next_write_works(trial, id, cut).await;
        let lists = [trial.listed(&ours).await.contains(&id), trial.listed(&theirs).await.contains(&id)];
        assert!(
            lists == [true, false] || lists == [false, true],
            "a `replace` that was dropped ({cut:?}) left the session in both owners' lists or in none"
        );
    }
}

pub(crate) async fn a_dropped_touch_leaves_the_session_whole<S: Subject>(trial: &Trial<S>) {
    for (id, cut) in cuts() {
        let mark = trial.mark();
        trial.create(id, first(), HOUR, DAY).await;
        drop_at(cut, trial.store().touch(&id, revision(1), 2 * HOUR)).await;
        let loaded = trial.loaded(id).await;
        whole(&loaded, cut);
        trial.assert_left("the end, after a `touch` that was dropped", loaded.ends_in, DAY, mark);
        the_next_write_works(trial, id, cut).await;
    }
}

pub(crate) async fn a_dropped_delete_or_revoke_leaves_the_session_or_none<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for (id, cut) in cuts() {
        for revoke in [false, true] {
            trial.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
            if revoke {
                drop_at(cut, trial.store().revoke(&user, None)).await;
            } else {
                drop_at(cut, trial.store().delete(&id, revision(1))).await;
            }
            if let Some(loaded) = trial.load(id).await {
                whole(&loaded, cut);
            }
            trial.revoke(&user, None).await;
            trial.assert_gone(id, &user, &format!("after a `delete` or `revoke` that was dropped ({cut:?})")).await;
        }
    }
}

pub(crate) async fn after_a_dropped_read_the_next_call_works<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    for (id, cut) in cuts() {
        trial.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
        // This is more often than a pool has connections.
        for _ in 0..8 {
            drop_at(cut, trial.store().load(&id)).await;
            drop_at(cut, trial.store().list(&user)).await;
            drop_at(cut, trial.store().purge(10)).await;
        }
        whole(&trial.loaded(id).await, cut);
        the_next_write_works(trial, id, cut).await;
        assert!(trial.listed(&user).await.contains(&id), "after a read that was dropped ({cut:?}) `list` missed one");
    }
}

/// The answer to a load is longer than one read of a socket. If the caller is gone in the middle of it, the rest of it is not
/// the answer to the next call.
pub(crate) async fn after_a_dropped_call_of_a_large_payload_the_next_gets_its_own<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let payload = vec![b'x'; LARGE];
    let large = Entry::new(revision(1), &payload).with_owner(Some(&user));
    trial.create(id(1), large, HOUR, DAY).await;
    trial.create(id(2), second(), HOUR, DAY).await;
    let mut calls = [("load", 0), ("list", 0), ("create", 0)];
    for number in 0..2 * POLLS {
        let cut = Cut { polls: number / 2, at_once: number.is_multiple_of(2) };
        for (call, answered) in calls.iter_mut().filter(|(_, answered)| *answered < ANSWERS) {
            *answered += u32::from(drop_large(trial, call, large, cut).await);
            the_next_load_is_its_own(trial, call, cut).await;
        }
    }
    // This is more often than a pool has connections.
    for _ in 0..8 {
        the_next_load_is_its_own(trial, "call", Cut { polls: POLLS, at_once: false }).await;
    }
    assert!(trial.loaded(id(1)).await.payload == payload, "calls that were dropped have changed a large payload");
}

/// Whether the call was answered before it was to be dropped.
async fn drop_large<S: Subject>(trial: &Trial<S>, call: &str, large: Entry<'_>, cut: Cut) -> bool {
    match (call, large.owner) {
        ("load", _) => drop_at(cut, trial.store().load(&id(1))).await.is_some(),
        ("list", Some(user)) => drop_at(cut, trial.store().list(user)).await.is_some(),
        _ => {
            // That of the last time may be there or not, or come later.
            answer("delete", trial.store().delete(&id(3), revision(1)).await);
            drop_at(cut, trial.store().create(&id(3), large.with_owner(None), HOUR, DAY)).await.is_some()
        }
    }
}

async fn the_next_load_is_its_own<S: Subject>(trial: &Trial<S>, what: &str, cut: Cut) {
    let loaded = trial.store().load(&id(2)).await;
    let right = |loaded: &Loaded| loaded.revision == second().revision && loaded.payload == second().payload;
    if !matches!(&loaded, Ok(Some(loaded)) if right(loaded)) {
        let got = loaded.map(|loaded| loaded.map(|loaded| (loaded.revision, loaded.payload.len())));
        panic!(
            "after a `{what}` of a large payload that was dropped ({cut:?}) the next `load` did not get its own answer, but \
             the revision and length {got:?}. Has the client left the rest of an answer, or of a request, to the next call?"
        );
    }
}

fn whole(loaded: &Loaded, cut: Cut) {
    let of_one_write =
        [first(), second()].iter().any(|entry| loaded.revision == entry.revision && loaded.payload == entry.payload);
    assert!(of_one_write, "a call that was dropped ({cut:?}) left a session that nobody wrote: {loaded:?}");
}

/// A write that was dropped may still arrive, once.
async fn the_next_write_works<S: Subject>(trial: &Trial<S>, id: SessionId, cut: Cut) {
    for _ in 0..2 {
        let loaded = trial.loaded(id).await;
        let entry = Entry::new(revision(9), b"the next write");
        if answer("replace", trial.store().replace(&id, loaded.revision, entry, Keep).await) {
            return;
        }
    }
    panic!("after a call that was dropped ({cut:?}) no `replace` is applied any more");
}
