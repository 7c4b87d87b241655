//! Writes whose answer is lost. The outcome is unknown, and the store must never say that the write was not done.
//!
//! A store that sends the write again by itself finds its own first write in the way, and answers `false`. Core takes a
//! `false` for another's write, and would apply the same change twice.

use session_core::{
    Expiry::{Extend, Keep, Restart},
    Loaded, Store,
    StoreError::{self, AlreadyExists},
};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

/// A store may read before it writes. The id is in the read, too.
fn assert_applied(times: usize) {
    assert!(
        times > 0,
        "none of the writes was applied whose answer should be lost, so nothing is proven: `Subject::lose_the_answer` has to \
         lose the answer to the write, and not the answer to a read before it"
    );
}

/// Checks that the session is that of the first write or that of the second, and nothing in between.
fn whole(loaded: &Loaded) {
    let payload = if loaded.revision == revision(1) { "the first write" } else { "the second write" };
    assert_eq!(loaded.payload, payload, "a write whose answer was lost left half of a session: {loaded:?}");
}

pub(crate) async fn a_create_whose_answer_is_lost_is_never_already_exists<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    let mut applied = 0;
    for number in 2..5 {
        if !trial.loses_the_answer(id(number)).await {
            return;
        }
        let created = trial.store().create(&id(number), first(), HOUR, DAY).await;
        assert!(
            !matches!(created, Err(AlreadyExists)),
            "a `create` whose answer was lost said that another had made the session: it was sent twice"
        );
        let loaded = trial.load(id(number)).await;
        assert!(created.is_err() || loaded.is_some(), "`create` said that it was done, but it was not");
        loaded.iter().for_each(whole);
        applied += usize::from(loaded.is_some());
        trial.create(id(10 + number), first(), HOUR, DAY).await;
    }
    assert_applied(applied);
}

pub(crate) async fn a_create_then_load_whose_answer_is_lost_is_never_already_exists<S: Subject>(trial: &Trial<S>) {
    trial.create_then_load(id(1), first(), id(1)).await;
    let mut applied = 0;
    for number in 2..5 {
        if !trial.loses_the_answer(id(number)).await {
            return;
        }
        let made = trial.store().create_then_load(&id(number), first(), HOUR, DAY, &id(1)).await;
        assert!(
            !matches!(made, Err(AlreadyExists)),
            "a `create_then_load` whose answer was lost said that another had made the session: it was sent twice"
        );
        let loaded = trial.load(id(number)).await;
        assert!(made.is_err() || loaded.is_some(), "`create_then_load` said that it was done, but it was not");
        loaded.iter().for_each(whole);
        applied += usize::from(loaded.is_some());
        let other = trial.create_then_load(id(10 + number), first(), id(1)).await;
        assert!(other.is_some(), "the next `create_then_load` did not find the other session, which is live");
    }
    assert_applied(applied);
}

pub(crate) async fn a_replace_whose_answer_is_lost_never_says_no<S: Subject>(trial: &Trial<S>) {
    let mut applied = 0;
    for (number, expiry) in (0..).zip([Keep, Extend(HOUR), Restart { expires_in: HOUR, ends_in: DAY }]) {
        // The first `create` on a connection may take more than one message, so it is done beforehand.
        trial.create(id(10 + number), first(), HOUR, DAY).await;
        trial.must_replace(id(10 + number), 1, second(), expiry).await;

        trial.create(id(number), first(), HOUR, DAY).await;
        if !trial.loses_the_answer(id(number)).await {
            return;
        }
        let replaced = trial.store().replace(&id(number), revision(1), second(), expiry).await;
        assert!(
            !matches!(replaced, Ok(false)),
            "a `replace` with {expiry:?} whose answer was lost said that it was not done: it was sent twice"
        );
        let loaded = trial.loaded(id(number)).await;
        whole(&loaded);
        let is_applied = loaded.revision == revision(2);
        assert!(replaced.is_err() || is_applied, "`replace` said that it was done, but it was not");
        let again = trial.replace(id(number), 1, second(), expiry).await;
        assert_eq!(again, !is_applied, "a `replace` whose answer was lost was applied twice, or not at all");
        applied += usize::from(is_applied);
    }
    assert_applied(applied);
}

pub(crate) async fn a_touch_whose_answer_is_lost_never_says_no<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.must_touch(id(1), 1, HOUR).await;
    let mut applied = 0;
    for _ in 0..3 {
        if !trial.loses_the_answer(id(1)).await {
            return;
        }
        let touched = trial.store().touch(&id(1), revision(1), 2 * HOUR).await;
        assert!(!matches!(touched, Ok(false)), "a `touch` whose answer was lost said that it was not done");
        let loaded = trial.loaded(id(1)).await;
        whole(&loaded);
        applied += usize::from(loaded.expires_in > HOUR);
        trial.must_touch(id(1), 1, HOUR).await;
    }
    assert_applied(applied);
}

pub(crate) async fn a_delete_whose_answer_is_lost_never_says_no<S: Subject>(trial: &Trial<S>) {
    trial.create(id(1), first(), HOUR, DAY).await;
    trial.must_delete(id(1), 1).await;
    let mut applied = 0;
    for number in 2..5 {
        trial.create(id(number), first(), HOUR, DAY).await;
        if !trial.loses_the_answer(id(number)).await {
            return;
        }
        let deleted = trial.store().delete(&id(number), revision(1)).await;
        assert!(
            !matches!(deleted, Ok(false)),
            "a `delete` whose answer was lost said that it was not done: it was sent twice"
        );
        let loaded = trial.load(id(number)).await;
        assert!(deleted.is_err() || loaded.is_none(), "`delete` said that it was done, but it was not");
        let again = trial.delete(id(number), 1).await;
        assert_eq!(again, loaded.is_some(), "after a `delete` whose answer was lost the next one is wrong");
        applied += usize::from(loaded.is_none());
    }
    assert_applied(applied);
}

/// How a user logs in.
#[derive(Clone, Copy, Debug)]
enum Login {
    Create,
    CreateThenLoad,
    Restart,
}

impl Login {
    /// Whether it was done, as far as its answer says.
    async fn send<S: Subject>(self, trial: &Trial<S>, number: u128) -> Result<bool, StoreError> {
        let (id, user) = (id(number), owner("user 42"));
        let entry = second().with_owner(Some(&user));
        let restart = Restart { expires_in: HOUR, ends_in: DAY };
        match self {
            Self::Create => trial.store().create(&id, entry, HOUR, DAY).await.map(|()| true),
            Self::CreateThenLoad => trial.store().create_then_load(&id, entry, HOUR, DAY, &id).await.map(|_| true),
            Self::Restart => trial.store().replace(&id, revision(1), entry, restart).await,
        }
    }
}

/// A store with an index of owners apart must not tidy up after a write of which it knows nothing. Core finds a
/// login whose answer was lost by its revision, and hands out its token. Then "log out everywhere" has to find it.
///
/// If the entry is a message of its own with the id in it, its answer is lost, and there may be no login.
pub(crate) async fn a_login_whose_answer_is_lost_is_in_the_list_if_it_was_done<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let logins = [Login::Create, Login::CreateThenLoad, Login::Restart];
    trial.create(id(12), first(), HOUR, DAY).await;
    for (number, login) in (10..).zip(logins) {
        assert!(answer("a login", login.send(trial, number).await), "a login was refused: {login:?}");
    }
    let mut done = vec![];
    for (number, login) in (0..).zip(logins) {
        if let Login::Restart = login {
            trial.create(id(number), first(), HOUR, DAY).await;
        }
        if !trial.loses_the_answer(id(number)).await {
            return;
        }
        let sent = login.send(trial, number).await;
        let found = trial.load(id(number)).await.is_some_and(|loaded| loaded.revision == revision(2));
        assert!(sent.is_err() || found, "a login said that it was done, but it was not: {login:?}");
        done.extend(found.then(|| id(number)));
    }
    let expected = done.iter().copied().chain([10, 11, 12].map(id)).collect();
    assert_eq!(trial.listed(&user).await, expected, "after lost answers, `list` and `load` differ in who is logged in");
    let revoked = trial.revoke(&user, None).await;
    assert_eq!(revoked, expected.len() as u64, "`revoke` has left a login whose answer was lost");
    for number in done {
        trial.assert_gone(number, &user, "a login whose answer was lost was revoked").await;
    }
}
