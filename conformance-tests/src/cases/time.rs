//! Expiry and end. Both are exact, the earlier one counts, and any duration is allowed.

use std::time::Duration;

use session_core::{
    Entry,
    Expiry::{Extend, Restart},
};

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, first, id, owner, revision, second},
};

const WHOLE_SECONDS: &str = ". Does the store keep times in whole seconds?";

pub(crate) async fn a_session_is_live_until_its_expiry_exactly<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    let mark = trial.mark();
    trial.create(id(1), first(), soon, DAY).await;
    let loaded = trial.load(id(1)).await;
    assert!(loaded.is_some(), "a session was not loaded {soon:?} before its expiry{WHOLE_SECONDS}");
    trial.pass(soon / 4).await;
    let loaded = trial.loaded(id(1)).await;
    trial.assert_left("the expiry", loaded.expires_in, soon, mark);
    trial.pass(soon * 3 / 4).await;
    assert!(trial.load(id(1)).await.is_none(), "a session was loaded after its expiry");
}

pub(crate) async fn a_session_that_was_touched_expires_when_the_touch_said<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    for number in 0..5 {
        trial.create(id(number), first(), HOUR, DAY).await;
    }
    trial.must_touch(id(0), 1, soon).await;
    trial.must_replace(id(1), 1, second(), Extend(soon)).await;
    trial.must_replace(id(2), 1, second(), Restart { expires_in: soon, ends_in: DAY }).await;
    trial.must_replace(id(3), 1, second(), Restart { expires_in: HOUR, ends_in: soon }).await;
    for number in 0..5 {
        let loaded = trial.load(id(number)).await;
        assert!(loaded.is_some(), "a session was not loaded {soon:?} before its expiry{WHOLE_SECONDS}");
    }
    trial.pass(soon).await;
    for (number, write) in (0..).zip(["touch", "replace with Extend", "replace with Restart", "a Restart's end"]) {
        assert!(trial.load(id(number)).await.is_none(), "a session outlived the expiry that {write} gave it");
    }
    assert!(trial.load(id(4)).await.is_some(), "a session that was left alone expired with others");
}

pub(crate) async fn a_session_never_outlives_its_end<S: Subject>(trial: &Trial<S>) {
    let soon = trial.soon();
    trial.create(id(1), first(), HOUR, soon).await;
    let loaded = trial.load(id(1)).await;
    assert!(loaded.is_some(), "a session was not loaded {soon:?} before its end{WHOLE_SECONDS}");
    trial.pass(soon).await;
    assert!(trial.load(id(1)).await.is_none(), "a session outlived its end");
}

pub(crate) async fn the_expiry_is_never_past_the_end<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let mark = trial.mark();
    trial.create(id(1), first().with_owner(Some(&user)), DAY, HOUR).await;
    let created = trial.loaded(id(1)).await;
    trial.assert_left("the expiry, created beyond the end", created.expires_in, HOUR, mark);
    assert!(created.expires_in <= created.ends_in, "`load` answered an expiry past the end: {created:?}");
    let listed = trial.list(&user).await;
    assert!(
        listed.iter().all(|(_, session)| session.expires_in <= session.ends_in),
        "`list` answered an expiry past the end: {listed:?}"
    );
    trial.must_touch(id(1), 1, 2 * DAY).await;
    let touched = trial.loaded(id(1)).await;
    trial.assert_left("the expiry, touched beyond the end", touched.expires_in, HOUR, mark);
    assert!(touched.expires_in <= touched.ends_in, "`touch` moved the expiry past the end: {touched:?}");
}

pub(crate) async fn the_longest_durations_are_kept_or_capped<S: Subject>(trial: &Trial<S>) {
    let cap = 400 * DAY;
    // A store's clock may start when the store is opened. An overflow would not show while it is at 0.
    trial.pass(Duration::from_millis(1)).await;
    let mark = trial.mark();
    trial.create(id(1), first(), cap, cap).await;
    let loaded = trial.loaded(id(1)).await;
    trial.assert_left("an expiry of 400 days", loaded.expires_in, cap, mark);
    trial.assert_left("an end of 400 days", loaded.ends_in, cap, mark);

    let long = |what: &str, loaded: session_core::Loaded| {
        trial.assert_left_at_least(&format!("{what} with the longest duration there is"), loaded.expires_in, cap, mark);
        assert!(loaded.ends_in >= loaded.expires_in, "{what} moved the expiry past the end: {loaded:?}");
    };
    trial.create(id(2), first(), Duration::MAX, Duration::MAX).await;
    long("`create`", trial.loaded(id(2)).await);
    trial.must_touch(id(2), 1, Duration::MAX).await;
    long("`touch`", trial.loaded(id(2)).await);
    trial.must_replace(id(2), 1, second(), Extend(Duration::MAX)).await;
    long("`Extend`", trial.loaded(id(2)).await);
    let restart = Restart { expires_in: Duration::MAX, ends_in: Duration::MAX };
    trial.must_replace(id(2), 2, first(), restart).await;
    long("`Restart`", trial.loaded(id(2)).await);
}

pub(crate) async fn no_time_left_ends_the_session_at_once<S: Subject>(trial: &Trial<S>) {
    for zero in [(Duration::ZERO, HOUR), (HOUR, Duration::ZERO)] {
        trial.create(id(1), first(), zero.0, zero.1).await;
        assert!(trial.load(id(1)).await.is_none(), "a session with no time left was loaded");
    }
    for number in 2..6 {
        trial.create(id(number), first(), HOUR, DAY).await;
    }
    trial.must_touch(id(2), 1, Duration::ZERO).await;
    trial.must_replace(id(3), 1, second(), Extend(Duration::ZERO)).await;
    let restart = Restart { expires_in: Duration::ZERO, ends_in: HOUR };
    trial.must_replace(id(4), 1, second(), restart).await;
    let restart = Restart { expires_in: HOUR, ends_in: Duration::ZERO };
    trial.must_replace(id(5), 1, second(), restart).await;
    for number in 2..6 {
        assert!(trial.load(id(number)).await.is_none(), "a write that leaves no time left the session alive");
    }
}

pub(crate) async fn a_duration_below_a_millisecond_is_no_error<S: Subject>(trial: &Trial<S>) {
    let short = Duration::from_nanos(999_999);
    let mark = trial.mark();
    trial.create(id(1), first(), short, short).await;
    trial.create(id(2), first(), HOUR + short, DAY + short).await;
    trial.must_touch(id(2), 1, HOUR + short).await;
    trial.must_replace(id(2), 1, Entry::new(revision(2), b""), Extend(HOUR + short)).await;
    let loaded = trial.loaded(id(2)).await;
    trial.assert_left("an expiry with a fraction of a millisecond", loaded.expires_in, HOUR + short, mark);
    trial.pass(Duration::from_millis(1)).await;
    assert!(trial.load(id(1)).await.is_none(), "a session of less than a millisecond was loaded after it");
}
