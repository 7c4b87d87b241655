//! A server that removes by itself what has expired has a time to live for each row, and perhaps one for the index of an
//! owner. Each write has to move it along with the expiry, and it may have units of its own.

use std::time::Duration;

use session_core::{
    Expiry::{self, Extend, Keep},
    Owner, SessionId,
};

use crate::{
    Subject,
    trial::{DAY, HOUR, Mark, SECOND, Trial, first, id, owner, second, third},
};

/// How many seconds the server is given to remove what it takes for expired. It may know whole seconds only, and another
/// clock.
const REMOVAL: u32 = 5;

/// A write that gives a session its time.
#[derive(Clone, Copy)]
enum Write {
    Create,
    Touch,
    Extend,
    Restart,
}

const WRITES: [Write; 4] = [Write::Create, Write::Touch, Write::Extend, Write::Restart];

impl Write {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "by `create`",
            Self::Touch => "by `touch`",
            Self::Extend => "by `Extend`",
            Self::Restart => "by `Restart`",
        }
    }

    /// Makes the session for a shorter time first, unless that is the write.
    async fn give<S: Subject>(self, trial: &Trial<S>, id: SessionId, shorter: Duration, time: Duration) {
        let user = owner_of(id);
        let [first, second] = [first(), second()].map(|entry| entry.with_owner(Some(&user)));
        match self {
            Self::Create => trial.create(id, first, time, time).await,
            Self::Touch => {
                trial.create(id, first, shorter, time).await;
                trial.must_touch(id, 1, time).await;
            }
            Self::Extend => {
                trial.create(id, first, shorter, time).await;
                trial.must_replace(id, 1, second, Extend(time)).await;
            }
            Self::Restart => {
                trial.create(id, first, shorter, shorter).await;
                trial.must_replace(id, 1, second, Expiry::Restart { expires_in: time, ends_in: time }).await;
            }
        }
    }
}

/// The owner of this session alone, so that no other session keeps an index of the owner alive.
fn owner_of(id: SessionId) -> Owner {
    owner(format!("the owner of {id}"))
}

pub(crate) async fn nothing_is_removed_before_the_expiry_that_a_write_has_moved<S: Subject>(trial: &Trial<S>) {
    let short = trial.short(SECOND);
    let mark = trial.mark();
    for (number, write) in (0..).zip(WRITES) {
        write.give(trial, id(number), short, HOUR).await;
    }
    let [kept, visitor, long] = [4, 5, 6].map(id);
    Write::Touch.give(trial, kept, short, HOUR).await;
    trial.must_replace(kept, 1, second().with_owner(Some(&owner_of(kept))), Keep).await;
    trial.create(visitor, first(), short, short).await;
    let login = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    trial.must_replace(visitor, 1, third().with_owner(Some(&owner_of(visitor))), login).await;
    // The second session of this owner ends first.
    trial.create(long, first().with_owner(Some(&owner_of(long))), HOUR, HOUR).await;
    trial.create(id(7), first().with_owner(Some(&owner_of(long))), short, short).await;

    trial.pass(short).await;
    for _ in 0..REMOVAL {
        trial.pass(SECOND).await;
    }
    for (number, write) in (0..).zip(WRITES) {
        is_there_and_ends(trial, write.name(), id(number), HOUR, mark).await;
    }
    is_there_and_ends(trial, "by `touch`, before a `replace` with `Keep`,", kept, HOUR, mark).await;
    is_there_and_ends(trial, "at the login of a visitor", visitor, HOUR, mark).await;
    is_there_and_ends(trial, "before its owner had a shorter session", long, HOUR, mark).await;
}

/// A server that counts whole seconds has to be told a time that is rounded up.
pub(crate) async fn a_session_is_there_in_the_last_second_of_its_time<S: Subject>(trial: &Trial<S>) {
    let (shorter, time) = (trial.short(SECOND), trial.short(Duration::from_millis(1900)));
    for (number, write) in (0..).zip(WRITES) {
        write.give(trial, id(number), shorter, time).await;
    }
    trial.pass(time * 5 / 6).await;
    for (number, write) in (0..).zip(WRITES) {
        let (id, what) = (id(number), format!("a session that was given {time:?} {}", write.name()));
        let listed = trial.listed(&owner_of(id)).await;
        assert!(
            trial.load(id).await.is_some() && listed == [id].into(),
            "{what} is gone in the last second of its time. Has the server removed it, by a time that was rounded down?"
        );
    }
}

/// A database may keep what a write has replaced, and cover it with the new version or a marker of the deletion.
/// If it removes the cover first, what was under it must not be found.
pub(crate) async fn what_has_ended_is_not_there_again_once_the_server_removes_things<S: Subject>(trial: &Trial<S>) {
    let short = trial.short(SECOND);
    let shortened = Expiry::Restart { expires_in: short, ends_in: DAY };
    for number in 0..5 {
        let user = owner_of(id(number));
        trial.create(id(number), first().with_owner(Some(&user)), HOUR, DAY).await;
        match number {
            0 => trial.must_delete(id(0), 1).await,
            1 => assert_eq!(trial.revoke(&user, None).await, 1, "`revoke` must end the owner's session, and count it"),
            2 => trial.must_touch(id(2), 1, short).await,
            3 => trial.must_replace(id(3), 1, second(), Extend(short)).await,
            _ => trial.must_replace(id(4), 1, second().with_owner(Some(&user)), shortened).await,
        }
    }
    trial.pass(short).await;
    for _ in 0..REMOVAL {
        trial.pass(SECOND).await;
    }
    let ends =
        ["`delete`", "`revoke`", "a `touch` to a shorter time", "`Extend` to a shorter time", "a shorter `Restart`"];
    for (number, end) in (0..).zip(ends) {
        let after = format!("some seconds after {end}, when a server may have removed what has ended");
        trial.assert_gone(id(number), &owner_of(id(number)), &after).await;
        let replaced = trial.replace(id(number), 1, third(), Keep).await;
        assert!(!replaced, "{after}: `replace` found the session that is gone");
    }
}

/// A server may take a time to live of more than a month for a date, and count it in less than 32 bits.
pub(crate) async fn a_session_of_months_is_there_and_ends_with_its_owner<S: Subject>(trial: &Trial<S>) {
    let longest = 400 * DAY;
    let times = [29 * DAY, 30 * DAY - SECOND, 30 * DAY, 30 * DAY + SECOND, 31 * DAY, 60 * DAY, 90 * DAY, 365 * DAY];
    for time in times.into_iter().chain([longest, Duration::MAX]) {
        for (number, write) in (0..).zip(WRITES) {
            let mark = trial.mark();
            write.give(trial, id(number), HOUR, time).await;
            is_there_and_ends(trial, write.name(), id(number), time, mark).await;
        }
    }
}

/// Checks a session that a write has given this much time, and revokes it.
async fn is_there_and_ends<S: Subject>(trial: &Trial<S>, how: &str, id: SessionId, time: Duration, mark: Mark) {
    let what = format!("a session that was given {time:?} {how}");
    let user = owner_of(id);
    let loaded = trial.load(id).await;
    let loaded = loaded.unwrap_or_else(|| panic!("{what}: `load` found nothing. Has the server removed it?"));
    if time > 400 * DAY {
        trial.assert_left_at_least(&what, loaded.expires_in, 400 * DAY, mark);
    } else {
        trial.assert_left(&what, loaded.expires_in, time, mark);
    }
    assert_eq!(trial.listed(&user).await, [id].into(), "{what}: `list` must show it. Has the index been removed?");
    assert_eq!(trial.revoke(&user, None).await, 1, "{what}: `revoke` must end it, and count it");
    assert!(trial.load(id).await.is_none(), "{what}: `revoke` has left it");
}
