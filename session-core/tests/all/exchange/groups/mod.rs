//! Requests that wait to write to one session share one write. Each is built on the one before, the last one is sent, and all
//! are applied or none.

use std::{pin::pin, time::Duration};

use session_core::{Error, Exchange, Outcome, Policy, Session};
use tokio::{
    task::{JoinHandle, yield_now},
    time::Instant,
};

use super::in_line::*;
use crate::support::*;

mod outcomes;

/// How many share one write.
const MOST: usize = 7;

/// Saves in a task.
fn save(session: &Session) -> JoinHandle<Result<(), Error>> {
    let session = session.clone();
    tokio::spawn(async move { session.save().await })
}

async fn all_saved(committing: Vec<Committing>) {
    for committing in committing {
        assert_eq!(committing.await.unwrap().unwrap(), Outcome::Saved);
    }
}

fn replaces(site: &Site) -> usize {
    site.lab.calls().iter().filter(|call| **call == Call::Replace).count()
}

/// A session with one write on its way. Who commits now waits for it, and then shares a write with the others who do.
struct Waiting {
    site: Site,
    browser: Browser,
    first: Committing,
    gate: Gate,
}

impl Waiting {
    async fn new() -> Self {
        Self::at(Site::new()).await
    }

    async fn at(site: Site) -> Self {
        let browser = site.logged_in(USER).await;
        let (exchange, _) = writer(&browser).await;
        let gate = site.lab.hold(Call::Replace);
        let first = commit(exchange).await;
        gate.reached().await;
        Self { site, browser, first, gate }
    }

    /// The same. Two thirds of the session's idle time are over, and the write that is on its way does not use it.
    async fn behind_a_poll() -> Self {
        let policy = Policy::builder().logged_in(lifetime(12 * MINUTE, HOUR)).build().unwrap();
        let site = Site::with_policy(policy);
        let browser = site.logged_in(USER).await;
        site.lab.advance(8 * MINUTE);
        let (first, session) = writer(&browser).await;
        session.skip_touch();
        let gate = site.lab.hold(Call::Replace);
        let first = commit(first).await;
        gate.reached().await;
        Self { site, browser, first, gate }
    }

    /// Requests that have added one each and commit.
    async fn committing(&self, count: usize) -> Vec<Committing> {
        let mut exchanges = Vec::new();
        for _ in 0..count {
            exchanges.push(writer(&self.browser).await.0);
        }
        let mut committing = Vec::new();
        for exchange in exchanges {
            committing.push(commit(exchange).await);
        }
        committing
    }

    /// Requests that have added one each and save, and the saves.
    async fn saving(&self, count: usize) -> (Vec<(Exchange, Session)>, Vec<JoinHandle<Result<(), Error>>>) {
        let (mut writers, mut saving) = (Vec::new(), Vec::new());
        for _ in 0..count {
            writers.push(writer(&self.browser).await);
        }
        for (_, session) in &writers {
            saving.push(save(session));
            settle().await;
        }
        (writers, saving)
    }

    /// The first write is applied, and those who wait go as far as they can.
    async fn go_on(self) -> (Site, Browser) {
        self.site.lab.calls();
        self.gate.open();
        all_saved(vec![self.first]).await;
        settle().await;
        (self.site, self.browser)
    }

    /// The same. Their write meets this fault.
    async fn go_on_with(self, fault: Fault) -> (Site, Browser) {
        self.site.lab.next(Call::Replace, fault);
        self.go_on().await
    }

    /// The same. Their write is held before it is applied, or after.
    async fn go_on_and_hold(self, is_applied: bool) -> (Site, Browser, Gate) {
        let lab = &self.site.lab;
        let gate = if is_applied { lab.hold_reply(Call::Replace) } else { lab.hold(Call::Replace) };
        let (site, browser) = self.go_on().await;
        gate.reached().await;
        (site, browser, gate)
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_turn_shares_one_write() {
    let waiting = Waiting::new().await;
    let group = waiting.committing(5).await;
    let begun = Instant::now();
    let (site, browser) = waiting.go_on().await;
    all_saved(group).await;
    // The first of them came while another one was writing, so it looks.
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(browser.get::<usize>("n").await, Some(6));
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn at_most_seven_share_one() {
    let waiting = Waiting::new().await;
    let group = waiting.committing(2 * MOST + 1).await;
    let (site, browser) = waiting.go_on().await;
    all_saved(group).await;
    assert_eq!(replaces(&site), 3);
    assert_eq!(browser.get::<usize>("n").await, Some(2 * MOST + 2));
    assert_nobody_writes(&site);
}

/// No answer has come: nobody is told that it is saved, and nobody sees it.
#[tokio::test(start_paused = true)]
async fn nobody_is_answered_before_the_one_write_is() {
    let waiting = Waiting::new().await;
    let [(one, of_one), (two, of_two)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    of_one.insert("of the first", &1).unwrap();
    let group = vec![commit(one).await, commit(two).await];
    let (_, browser, gate) = waiting.go_on_and_hold(true).await;
    settle().await;
    assert!(group.iter().all(|committing| !committing.is_finished()));
    assert_eq!(of_two.get::<i64>("of the first").unwrap(), None);
    gate.open();
    all_saved(group).await;
    assert_eq!(of_two.get::<i64>("of the first").unwrap(), Some(1));
    assert_eq!(browser.get::<i64>("n").await, Some(3));
}

/// Two set the same value. The second finds it in what the first has not sent yet.
#[tokio::test(start_paused = true)]
async fn what_nobody_has_sent_is_no_reason_to_save_nothing() {
    let waiting = Waiting::new().await;
    let mut group = Vec::new();
    for _ in 0..2 {
        let (exchange, session) = waiting.browser.start().await;
        session.insert("agreed", &true).unwrap();
        group.push(commit(exchange).await);
    }
    let (site, browser, gate) = waiting.go_on_and_hold(false).await;
    settle().await;
    assert!(group.iter().all(|committing| !committing.is_finished()));
    gate.open();
    for committing in group {
        committing.await.unwrap().unwrap();
    }
    assert_eq!(browser.get::<bool>("agreed").await, Some(true));
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_sent_is_no_reason_for_an_error() {
    for is_too_large in [false, true] {
        let policy = Policy::builder().size_limit(2000).build().unwrap();
        let waiting = Waiting::at(Site::with_policy(policy)).await;
        let [(first, one), (second, two)] = [waiting.browser.start().await, waiting.browser.start().await];
        if is_too_large {
            one.insert("large", &"x".repeat(1000)).unwrap();
            two.insert("large, too", &"x".repeat(1000)).unwrap();
        } else {
            one.insert("n", &"no number").unwrap();
            add_one(&two);
        }
        let [first, second] = [commit(first).await, commit(second).await];
        let begun = Instant::now();
        let (site, browser, gate) = waiting.go_on_and_hold(false).await;
        // Another process is quicker. So the first is refused, and then it is given up.
        elsewhere(&site, &browser).visit(async |session| session.insert("other", &1).unwrap()).await;
        first.abort();
        gate.open();
        assert_eq!(second.await.unwrap().unwrap(), Outcome::Saved, "too large: {is_too_large}");
        assert!(begun.elapsed() < WAIT);
        assert_eq!(browser.get::<String>("large").await, None);
    }
}

/// The session ends while a write of several is on its way.
#[tokio::test(start_paused = true)]
async fn what_ends_or_takes_over_a_session_waits_for_nobody_and_wins() {
    for end in ["logout", "login", "renew", "revoke", "expiry"] {
        let waiting = Waiting::new().await;
        let group = waiting.committing(3).await;
        let (_exchange, session) = waiting.browser.start().await;
        let (site, browser, gate) = waiting.go_on_and_hold(false).await;
        let begun = Instant::now();
        match end {
            "logout" => session.logout().await.unwrap(),
            "login" => session.login(USER).await.unwrap(),
            "renew" => session.renew().await.unwrap(),
            "revoke" => assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1),
            _ => site.lab.advance(HOUR),
        }
        assert!(begun.elapsed() < WAIT / 10, "{end}");
        gate.open();
        let is_moved = matches!(end, "login" | "renew");
        for writer in group {
            let outcome = writer.await.unwrap().unwrap();
            assert_eq!(outcome, if is_moved { Outcome::Superseded } else { Outcome::Gone }, "{end}");
        }
        assert_eq!(is_stored(&site, &browser).await, is_moved, "{end}");
        assert_nobody_writes(&site);
    }
}

/// A request that has loaded before a login waits together with one that has loaded after it.
#[tokio::test(start_paused = true)]
async fn nobody_joins_those_of_a_later_login() {
    let waiting = Waiting::new().await;
    let (of_before, session) = writer(&waiting.browser).await;
    session.insert("of before", &1).unwrap();
    let mut later = waiting.browser.clone();
    later.visit(async |session| session.login(USER).await.unwrap()).await;
    let of_later = writer(&later).await.0;
    let of_later = commit(of_later).await;
    let of_before = commit(of_before).await;
    waiting.gate.open();
    assert_eq!(waiting.first.await.unwrap().unwrap(), Outcome::Superseded);
    all_saved(vec![of_later]).await;
    assert_eq!(of_before.await.unwrap().unwrap(), Outcome::Superseded);
    assert_eq!(later.get::<i64>("of before").await, None);
    assert_eq!(later.get::<i64>("n").await, Some(1));
    assert_nobody_writes(&waiting.site);
}

/// The second was called to join the first. Nobody polls it any more.
#[tokio::test(start_paused = true)]
async fn who_is_called_to_join_and_never_polled_holds_up_one_wait_and_no_more() {
    let waiting = Waiting::new().await;
    let [(one, _), (_stuck, session)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    let one = commit(one).await;
    let mut saving = pin!(session.save());
    tokio::select! {
        biased;
        _ = &mut saving => panic!("it waits"),
        () = settle() => {}
    }
    let (site, browser) = waiting.go_on().await;
    let begun = Instant::now();
    all_saved(vec![one]).await;
    assert!(begun.elapsed() < WAIT + Duration::from_millis(10), "{:?}", begun.elapsed());
    assert_eq!(browser.get::<i64>("n").await, Some(2));
    saving.await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(3));
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn who_was_called_to_join_and_is_dropped_holds_up_nobody() {
    let waiting = Waiting::new().await;
    let [(one, _), (_gone, session)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    let one = commit(one).await;
    let mut saving = Box::pin(session.save());
    tokio::select! {
        biased;
        _ = &mut saving => panic!("it waits"),
        () = settle() => {}
    }
    let begun = Instant::now();
    let (site, browser) = waiting.go_on().await;
    assert!(!one.is_finished());
    drop(saving);
    all_saved(vec![one]).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(browser.get::<i64>("n").await, Some(2));
    assert_nobody_writes(&site);
}

/// A poll does not keep the session alive. A page that shares its write does.
#[tokio::test(start_paused = true)]
async fn if_one_of_them_uses_the_session_it_is_used() {
    for polls in [[false, true], [true, false], [true, true]] {
        let waiting = Waiting::behind_a_poll().await;
        let mut group = Vec::new();
        for skips in polls {
            let (exchange, session) = writer(&waiting.browser).await;
            if skips {
                session.skip_touch();
            }
            group.push(commit(exchange).await);
        }
        let (site, browser) = waiting.go_on().await;
        all_saved(group).await;
        assert_eq!(replaces(&site), 1);
        site.lab.advance(8 * MINUTE);
        assert_eq!(is_stored(&site, &browser).await, polls != [true, true], "{polls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn how_much_time_is_left_each_of_them_knows_from_its_own_load() {
    let waiting = Waiting::new().await;
    let (early, _) = writer(&waiting.browser).await;
    waiting.site.lab.advance(8 * MINUTE);
    let (late, of_late) = writer(&waiting.browser).await;
    let group = vec![commit(late).await, commit(early).await];
    let (site, _) = waiting.go_on().await;
    all_saved(group).await;
    assert_eq!(replaces(&site), 1);
    assert!(of_late.ends_in().unwrap() <= 24 * HOUR - 8 * MINUTE);
}

/// A busy runtime holds up nobody on another one.
#[tokio::test(start_paused = true)]
async fn those_on_another_runtime_write_by_themselves() {
    let waiting = Waiting::new().await;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let [(elsewhere, _), (here, _)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    let are_in_line = async |count: usize| {
        while !format!("{:?}", waiting.site.manager).contains(&format!("writers: {count}")) {
            yield_now().await;
        }
    };
    let elsewhere = runtime.spawn(async move { elsewhere.commit().await });
    are_in_line(2).await;
    let here = commit(here).await;
    are_in_line(3).await;
    let (site, browser) = waiting.go_on().await;
    all_saved(vec![elsewhere, here]).await;
    assert!(replaces(&site) >= 2);
    assert_eq!(browser.get::<i64>("n").await, Some(3));
    runtime.shutdown_background();
}
