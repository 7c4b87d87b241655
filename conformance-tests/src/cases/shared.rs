//! Many calls at the same moment, which a store may answer together. Each caller gets its own answer, whatever becomes of
//! the others.

use std::{sync::Arc, time::Duration};

use session_core::{
    Entry,
    Expiry::{Extend, Keep},
    Loaded, SessionId, Store,
};

use super::cancel::{Cut, drop_at};
use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
    watched::Watched,
};

/// How many call at once. A store that answers together does so for several of them.
const CALLERS: u64 = 32;
const ROUNDS: u64 = 4;
/// The first of those who share a session.
const COMMON: u64 = 4;

/// What a caller's session is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its own, and live. The caller waits for the answer, or is dropped before it.
    Live,
    Dropped,
    /// The same session as that of all others of this kind.
    Common,
    NotThere,
    Expired,
    /// It has another revision than the caller believes.
    Changed,
}

/// The session of a caller, of this round. Neighbours have different kinds.
fn asked(round: u64, number: u64) -> (SessionId, Kind) {
    let kind = match number % 8 {
        0 => Kind::Dropped,
        1 => Kind::NotThere,
        2 => Kind::Expired,
        3 => Kind::Changed,
        4 => Kind::Common,
        _ => Kind::Live,
    };
    (id(u128::from(round * 1000 + if kind == Kind::Common { COMMON } else { number })), kind)
}

/// How far a dropped caller comes.
fn cut(number: u64) -> Cut {
    Cut { polls: u32::try_from(number / 8 % 4).unwrap(), at_once: number.is_multiple_of(16) }
}

/// The first write of a session. Its payload names it, and it has an owner of its own.
async fn create_all<S: Subject>(trial: &Trial<S>, round: u64) {
    for number in 0..CALLERS {
        let (id, kind) = asked(round, number);
        let user = owner(format!("user {number}"));
        let entry = Entry::new(first().revision, id.as_bytes()).with_owner(Some(&user));
        match kind {
            Kind::NotThere => {}
            Kind::Common if number != COMMON => {}
            Kind::Expired => trial.create(id, entry, Duration::ZERO, DAY).await,
            Kind::Changed => {
                trial.create(id, entry, HOUR, DAY).await;
                trial.must_replace(id, 1, Entry::new(revision(7), id.as_bytes()), Keep).await;
            }
            _ => trial.create(id, entry, HOUR, DAY).await,
        }
    }
}

/// Runs the work for each caller at once. In the later rounds the first of all is one that is dropped.
async fn at_once<S, T, W>(trial: &Trial<S>, round: u64, work: impl Fn(u64, Arc<Watched<S::Store>>) -> W) -> Vec<T>
where
    S: Subject,
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    trial.together(u128::from(round % 2 + round / 2 * 16), CALLERS, work).await
}

pub(crate) async fn loads_at_the_same_moment_each_get_their_own_session<S: Subject>(trial: &Trial<S>) {
    create_all(trial, 0).await;
    for round in 0..ROUNDS {
        let loads = at_once(trial, round, |number, store| async move {
            let (id, kind) = asked(0, number);
            match kind {
                Kind::Dropped => drop_at(cut(number), store.load(&id)).await.map(|loaded| answer("load", loaded)),
                _ => Some(answer("load", store.load(&id).await)),
            }
        });
        for (number, loaded) in (0..).zip(loads.await) {
            let (id, kind) = asked(0, number);
            match (kind, loaded) {
                (Kind::Dropped, None) => {}
                (Kind::NotThere | Kind::Expired, loaded) => {
                    assert_eq!(loaded, Some(None), "of many loads at once, one got a session that is not live");
                }
                (_, loaded) => {
                    let loaded = loaded.flatten();
                    let got = loaded.as_ref().map(|loaded| &loaded.payload[..]);
                    assert_eq!(
                        got,
                        Some(&id.as_bytes()[..]),
                        "of many loads at once, one got another's answer: {kind:?}"
                    );
                }
            }
        }
    }
}

pub(crate) async fn replaces_at_the_same_moment_each_get_their_own_answer<S: Subject>(trial: &Trial<S>) {
    for round in 0..ROUNDS {
        create_all(trial, round).await;
        let writes = at_once(trial, round, move |number, store| async move {
            let (id, kind) = asked(round, number);
            let payload = format!("written by {number}");
            let entry = Entry::new(revision(100 + number), payload.as_bytes());
            let write = store.replace(&id, revision(1), entry, if number % 2 == 0 { Keep } else { Extend(HOUR) });
            if kind == Kind::Dropped {
                drop_at(cut(number), write).await;
                return (false, None);
            }
            let written = answer("replace", write.await);
            (written, answer("load", store.load(&id).await))
        });
        judge(trial, round, &writes.await).await;
    }
}

/// Each write was answered with whether it was done, and is there. The load after it has seen it.
async fn judge<S: Subject>(trial: &Trial<S>, round: u64, writes: &[(bool, Option<Loaded>)]) {
    let mut winners = Vec::new();
    for (number, (written, seen)) in (0..).zip(writes) {
        let (id, kind) = asked(round, number);
        let mine = |loaded: &Option<Loaded>| loaded.as_ref().is_some_and(|it| it.revision == revision(100 + number));
        let left = trial.load(id).await;
        match kind {
            Kind::Live => {
                assert!(written, "of many replaces at once, one was refused that nothing stood against");
                assert!(mine(seen), "a load after a replace, among many at once, did not see what it wrote: {seen:?}");
                assert!(mine(&left), "of many replaces at once, one said yes, and is lost: {left:?}");
            }
            Kind::Common if *written => winners.push(number),
            Kind::Common => assert!(!mine(&left), "of many replaces at once, one said no, and was applied"),
            Kind::NotThere | Kind::Expired => {
                assert!(!written, "of many replaces at once, one of a session that is not live said yes");
                assert!(left.is_none(), "of many replaces at once, one made a session appear: {left:?}");
            }
            Kind::Changed => {
                assert!(!written, "of many replaces at once, one under another revision said yes");
                let same = left.is_some_and(|left| left.revision == revision(7) && left.payload == id.as_bytes()[..]);
                assert!(same, "of many replaces at once, one under another revision has changed its session");
            }
            Kind::Dropped => {
                let whole = left.is_some_and(|left| {
                    let payload = format!("written by {number}");
                    let new = left.revision == revision(100 + number) && left.payload == payload.as_bytes();
                    new || left.revision == revision(1) && left.payload == id.as_bytes()[..]
                });
                assert!(whole, "a replace that was dropped, among many at once, left a session that nobody wrote");
            }
        }
    }
    assert_eq!(winners.len(), 1, "of many replaces of one session at once, these have won: {winners:?}");
    let left = trial.loaded(asked(round, winners[0]).0).await;
    assert_eq!(
        left.revision,
        revision(100 + winners[0]),
        "of many replaces of one session at once, the winner's is lost"
    );
}

/// Loads of the same sessions are under way all the time. One that begins after a write was answered must not get what
/// an earlier one has fetched.
pub(crate) async fn a_load_among_many_sees_the_write_before_it<S: Subject>(trial: &Trial<S>) {
    const WRITERS: u64 = 8;
    for number in 0..WRITERS {
        trial.create(id(u128::from(number)), first(), HOUR, DAY).await;
    }
    for round in 0..4_u64 {
        let seen = trial.together(round.into(), 5 * WRITERS, move |number, store| async move {
            let id = id(u128::from(number % WRITERS));
            let before = 1 + round * 10;
            if number >= WRITERS {
                for _ in 0..10 {
                    answer("load", store.load(&id).await);
                }
                return true;
            }
            let mut sees = true;
            for step in before..before + 10 {
                let entry = Entry::new(revision(step + 1), second().payload);
                assert!(answer("replace", store.replace(&id, revision(step), entry, Keep).await));
                let loaded = answer("load", store.load(&id).await);
                sees &= loaded.is_some_and(|loaded| loaded.revision == revision(step + 1));
            }
            sees
        });
        assert!(seen.await.iter().all(|sees| *sees), "a load did not see the write that was answered before it began");
    }
}
