//! Several processes over one database, as each site has that runs on two machines or is deployed while it runs. Each has
//! opened the same namespace by itself.

use std::{collections::BTreeSet, time::Duration};

use session_core::{
    Entry,
    Expiry::{Extend, Restart},
    Loaded, SessionId,
};

use super::{create, delete, linear, race, replace};
use crate::{
    Subject,
    trial::{DAY, HOUR, Mark, Trial, first, id, in_tasks, owner, second, third},
};

/// How many processes start at once.
const PROCESSES: usize = 4;
/// How much later a process starts than the one before it.
const LATER: Duration = Duration::from_millis(300);

pub(crate) async fn what_one_process_writes_another_sees_at_once<S: Subject>(trial: &Trial<S>) {
    let other = trial.at_another_process().await;
    for (number, here, there) in [(0, trial, &other), (10, &other, trial)] {
        a_changed_session_is_seen(here, there, id(number)).await;
        an_ended_session_is_gone(here, there, id(number + 1)).await;
        a_session_that_is_made_again_is_seen(here, there, id(number + 2)).await;
    }
}

/// The other process reads before each write. What it has read then is no answer afterwards.
async fn a_changed_session_is_seen<S: Subject>(here: &Trial<S>, there: &Trial<S>, id: SessionId) {
    let (ours, theirs) = (owner("user 42"), owner("user 43"));
    there.assert_gone(id, &ours, "before its `create`").await;
    let mark = there.mark();
    here.create(id, first().with_owner(Some(&ours)), HOUR, DAY).await;
    is_seen(there, "a `create`", id, first(), HOUR, mark).await;
    assert!(there.listed(&ours).await.contains(&id), "`list` does not show a `create` of another process");

    here.must_replace(id, 1, second(), Extend(2 * HOUR)).await;
    is_seen(there, "a `replace`", id, second(), 2 * HOUR, mark).await;
    let again = there.replace(id, 1, third(), Extend(HOUR)).await;
    assert!(!again, "a session was replaced under the revision that it had before another process wrote it");

    here.must_touch(id, 2, 3 * HOUR).await;
    is_seen(there, "a `touch`", id, second(), 3 * HOUR, mark).await;

    let restart = Restart { expires_in: HOUR, ends_in: DAY };
    here.must_replace(id, 2, third().with_owner(Some(&theirs)), restart).await;
    is_seen(there, "a login", id, third(), HOUR, mark).await;
    assert!(there.listed(&theirs).await.contains(&id), "`list` does not show a login of another process");
    assert!(!there.listed(&ours).await.contains(&id), "`list` shows an owner's session that another owner has now");
    assert_eq!(there.revoke(&ours, None).await, 0, "`revoke` ended a session that another owner has now");
    there.must_touch(id, 3, HOUR).await;
    there.must_delete(id, 3).await;
    here.assert_gone(id, &theirs, "after a `delete` of another process").await;
}

async fn an_ended_session_is_gone<S: Subject>(here: &Trial<S>, there: &Trial<S>, id: SessionId) {
    let user = owner("user 42");
    let make = async || {
        here.create(id, first().with_owner(Some(&user)), HOUR, DAY).await;
        there.loaded(id).await;
        assert!(there.listed(&user).await.contains(&id), "`list` does not show a session of another process");
    };
    make().await;
    here.must_delete(id, 1).await;
    there.assert_gone(id, &user, "after a `delete` of another process").await;
    let late = there.replace(id, 1, second(), Extend(HOUR)).await || there.touch(id, 1, HOUR).await;
    assert!(!late, "a session was written that another process had deleted");

    make().await;
    assert_eq!(here.revoke(&user, None).await, 1, "`revoke` must count the session");
    there.assert_gone(id, &user, "after a `revoke` of another process").await;
    let late = there.replace(id, 1, second(), Extend(HOUR)).await || there.delete(id, 1).await;
    assert!(!late, "a session was written that another process had revoked");

    make().await;
    here.must_touch(id, 1, Duration::ZERO).await;
    there.assert_gone(id, &user, "after a `touch` of another process that left it no time").await;
    there.purge(u32::MAX).await;
    make().await;
    assert_eq!(there.revoke(&user, None).await, 1, "`revoke` must count the session of another process");
    here.assert_gone(id, &user, "after a `revoke` of another process").await;
}

async fn a_session_that_is_made_again_is_seen<S: Subject>(here: &Trial<S>, there: &Trial<S>, id: SessionId) {
    let user = owner("user 42");
    let mark = there.mark();
    here.create(id, first(), HOUR, DAY).await;
    there.must_delete(id, 1).await;
    here.create(id, second().with_owner(Some(&user)), HOUR, DAY).await;
    is_seen(there, "a second `create`", id, second(), HOUR, mark).await;
    there.must_replace(id, 2, third(), Extend(HOUR)).await;
    let new = SessionId::from_bytes(id.as_bytes().map(|byte| !byte));
    let found = here.create_then_load(new, first(), id).await;
    assert!(found.is_some_and(|found| is(&found, third())), "`create_then_load` missed a write of another process");
    is_seen(there, "a `create_then_load`", new, first(), HOUR, mark).await;
    assert_eq!(here.revoke(&user, None).await, 1, "`revoke` must count the session");
}

async fn is_seen<S: Subject>(
    there: &Trial<S>,
    what: &str,
    id: SessionId,
    entry: Entry<'_>,
    left: Duration,
    mark: Mark,
) {
    let loaded = there.loaded(id).await;
    assert!(
        is(&loaded, entry),
        "`load` does not show {what} of another process, but what was there before: {loaded:?}"
    );
    there.assert_left(&format!("after {what} of another process"), loaded.expires_in, left, mark);
}

fn is(loaded: &Loaded, entry: Entry<'_>) -> bool {
    loaded.revision == entry.revision && loaded.payload == entry.payload
}

/// A process is over as soon as its last write is answered. Then nobody has the namespace open.
pub(crate) async fn a_session_outlives_the_process_that_made_it<S: Subject>(trial: &Trial<S>) {
    let (user, namespace) = (owner("user 42"), trial.another_namespace());
    let start = async || {
        trial.pass(LATER).await;
        trial.open(&namespace).await
    };
    let process = start().await;
    let mark = trial.mark();
    process.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    drop(process);
    let process = start().await;
    is_seen(&process, "the last `create`", id(1), first(), HOUR, mark).await;
    let mark = trial.mark();
    process.must_replace(id(1), 1, second(), Extend(2 * HOUR)).await;
    drop(process);
    let process = start().await;
    is_seen(&process, "the last `replace`", id(1), second(), 2 * HOUR, mark).await;
    let mark = trial.mark();
    process.must_touch(id(1), 2, 3 * HOUR).await;
    drop(process);
    let process = start().await;
    is_seen(&process, "the last `touch`", id(1), second(), 3 * HOUR, mark).await;
    assert_eq!(process.listed(&user).await, [id(1)].into(), "`list` must show what a process has left that is over");
    assert_eq!(process.revoke(&user, None).await, 1, "`revoke` must end what a process has left that is over");
    drop(process);
    start().await.assert_gone(id(1), &user, "after the `revoke` of a process that is over").await;
}

pub(crate) async fn processes_that_start_at_once_have_the_same_sessions<S: Subject>(trial: &Trial<S>) {
    let (user, namespace) = (owner("user 42"), trial.another_namespace());
    let mut processes = Vec::new();
    // The first of them make the namespace. The others find it in use.
    for _ in 0..2 {
        let first_id = processes.len();
        let starts = (0..PROCESSES).map(|number| start(trial.open(&namespace), id((first_id + number) as u128)));
        processes.extend(in_tasks(starts.collect(), 0).await);
    }
    let all: BTreeSet<_> = (0..processes.len()).map(|number| id(number as u128)).collect();
    for process in &processes {
        let listed = process.listed(&user).await;
        assert_eq!(listed, all, "of what processes have written that started at once, `list` does not show all");
        for &id in &all {
            process.loaded(id).await;
        }
    }
}

/// A process that writes as soon as it has opened the namespace.
async fn start<S: Subject>(open: impl Future<Output = Trial<S>>, id: SessionId) -> Trial<S> {
    let process = open.await;
    process.create(id, first().with_owner(Some(&owner("user 42"))), HOUR, DAY).await;
    process
}

pub(crate) async fn of_writes_at_two_processes_exactly_one_wins<S: Subject>(trial: &Trial<S>) {
    create::of_40_concurrent_creates_exactly_one_wins(&trial.at_two_processes().await).await;
    create::of_40_concurrent_creates_over_an_expired_session_exactly_one_wins(&trial.at_two_processes().await).await;
    replace::of_40_concurrent_replaces_exactly_one_wins(&trial.at_two_processes().await).await;
    delete::of_40_concurrent_deletes_exactly_one_wins(&trial.at_two_processes().await).await;
}

pub(crate) async fn nothing_revives_when_a_delete_races_another_process<S: Subject>(trial: &Trial<S>) {
    race::nothing_revives_when_delete_races_replace_touch_and_list(&trial.at_two_processes().await).await;
}

pub(crate) async fn nothing_revives_when_a_revoke_races_another_process<S: Subject>(trial: &Trial<S>) {
    race::nothing_revives_when_revoke_races_replace_touch_and_list(&trial.at_two_processes().await).await;
}

pub(crate) async fn a_revoke_that_races_a_login_at_another_process_takes_or_leaves_it<S: Subject>(trial: &Trial<S>) {
    race::a_revoke_that_races_a_login_takes_the_session_or_leaves_it(&trial.at_two_processes().await).await;
}

pub(crate) async fn the_list_is_exact_after_changes_at_two_processes<S: Subject>(trial: &Trial<S>) {
    race::list_is_exact_once_concurrent_changes_are_over(&trial.at_two_processes().await).await;
}

pub(crate) async fn a_history_of_two_processes_is_linearizable<S: Subject>(trial: &Trial<S>) {
    linear::a_concurrent_history_is_linearizable(&trial.at_two_processes().await).await;
}
