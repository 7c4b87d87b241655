//! What becomes of the one write: it is refused, its answer is lost, or nobody waits for it any more.

use super::*;

#[tokio::test(start_paused = true)]
async fn if_the_one_write_is_refused_none_of_them_is_applied_and_each_goes_on() {
    let waiting = Waiting::new().await;
    let elsewhere = elsewhere(&waiting.site, &waiting.browser);
    let group = waiting.committing(4).await;
    waiting.site.lab.before_next(Call::Replace, move || {
        let mut elsewhere = elsewhere.clone();
        async move { elsewhere.visit(async |session| _ = add_one(session)).await }
    });
    let (site, browser) = waiting.go_on().await;
    all_saved(group).await;
    let calls = site.lab.calls();
    // The write of all four, the request elsewhere, and one look for all four. The quickest of them writes, and the others
    // share a write again.
    assert_eq!(calls[1..5], [Call::Replace, Call::Load, Call::Replace, Call::Load]);
    assert_eq!(calls[5..], [Call::Replace, Call::Load, Call::Replace]);
    assert_eq!(browser.get::<i64>("n").await, Some(6));
    assert_nobody_writes(&site);
}

/// More others have written than a record remembers. That is a plain conflict, also for those who share a write.
#[tokio::test(start_paused = true)]
async fn however_many_have_written_since_a_refusal_is_no_doubt() {
    let waiting = Waiting::new().await;
    let elsewhere = elsewhere(&waiting.site, &waiting.browser);
    let group = waiting.committing(4).await;
    waiting.site.lab.before_next(Call::Replace, move || {
        let mut elsewhere = elsewhere.clone();
        async move {
            for _ in 0..9 {
                elsewhere.visit(async |session| _ = add_one(session)).await;
            }
        }
    });
    let (_, browser) = waiting.go_on().await;
    all_saved(group).await;
    assert_eq!(browser.get::<i64>("n").await, Some(14));
}

#[tokio::test(start_paused = true)]
async fn whoever_of_them_is_dropped_the_others_are_saved() {
    for is_applied in [false, true] {
        for dropped in 0..4 {
            let waiting = Waiting::new().await;
            let mut group = waiting.committing(4).await;
            let (site, browser, gate) = waiting.go_on_and_hold(is_applied).await;
            let begun = Instant::now();
            group.remove(dropped).abort();
            settle().await;
            gate.open();
            all_saved(group).await;
            assert_eq!(begun.elapsed(), Duration::ZERO);
            // It was on its way with the others.
            assert_eq!(browser.get::<i64>("n").await, Some(5));
            assert_nobody_writes(&site);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn if_all_of_them_are_dropped_the_next_one_goes_on_at_once() {
    let waiting = Waiting::new().await;
    let group = waiting.committing(2).await;
    let late = writer(&waiting.browser).await.0;
    let (site, browser, gate) = waiting.go_on_and_hold(false).await;
    let late = commit(late).await;
    site.lab.calls();
    group.iter().for_each(JoinHandle::abort);
    settle().await;
    assert_eq!(site.lab.calls(), [], "what was sent for them has no answer yet");
    let begun = Instant::now();
    gate.open();
    all_saved(vec![late]).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(browser.get::<i64>("n").await, Some(4));
    assert_nobody_writes(&site);
}

#[tokio::test(start_paused = true)]
async fn if_the_outcome_of_the_one_write_is_unknown_each_is_applied_once() {
    for fault in [Fault::Fails, Fault::LosesReply, Fault::ArrivesLate] {
        let waiting = Waiting::new().await;
        let group = waiting.committing(MOST).await;
        let (site, browser) = waiting.go_on_with(fault).await;
        all_saved(group).await;
        assert_eq!(browser.get::<usize>("n").await, Some(MOST + 1));
        assert!(!site.lab.deliver_late().await.contains(&true));
        assert_eq!(browser.get::<usize>("n").await, Some(MOST + 1));
        assert_nobody_writes(&site);
    }
}

/// An outage: one asks for all, and all hear of it. Later each finds out what became of its write.
#[tokio::test(start_paused = true)]
async fn an_error_reaches_all_who_share_a_write_and_each_goes_on_when_it_is_over() {
    for fault in [Fault::Fails, Fault::LosesReply] {
        let waiting = Waiting::new().await;
        let writers = [writer(&waiting.browser).await, writer(&waiting.browser).await, writer(&waiting.browser).await];
        let group: Vec<_> = writers.iter().map(|(_, session)| save(session)).collect();
        settle().await;
        // The first load is that of the first of them. The second one would tell what became of the write.
        let lab = waiting.site.lab.clone();
        waiting.site.lab.before_next(Call::Load, move || {
            lab.next(Call::Load, Fault::Fails);
            async {}
        });
        let (site, browser) = waiting.go_on_with(fault).await;
        for saving in group {
            assert_eq!(saving.await.unwrap().unwrap_err().name(), "store_timed_out");
        }
        assert_eq!(site.lab.calls(), [Call::Load, Call::Replace, Call::Load]);
        site.lab.assert_all_met();
        for (exchange, _) in &writers {
            exchange.commit().await.unwrap();
        }
        assert_eq!(browser.get::<i64>("n").await, Some(4));
        assert_nobody_writes(&site);
    }
}

/// The error was that of a task. Each of those requests has failed with it, so each has three seconds left.
#[tokio::test(start_paused = true)]
async fn after_an_error_of_a_shared_write_a_request_waits_no_longer_than_after_its_own() {
    let waiting = Waiting::new().await;
    let [(one, of_one), (_two, of_two)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    let group = [save(&of_one), save(&of_two)];
    settle().await;
    let lab = waiting.site.lab.clone();
    waiting.site.lab.before_next(Call::Load, move || {
        lab.next(Call::Load, Fault::Fails);
        async {}
    });
    let (site, _) = waiting.go_on_with(Fault::Fails).await;
    for saving in group {
        saving.await.unwrap().unwrap_err();
    }
    site.lab.set_silent(Some(MINUTE));
    let begun = Instant::now();
    one.commit().await.unwrap_err();
    assert!(begun.elapsed() <= 3 * SECOND, "{:?}", begun.elapsed());
}

/// A request that has failed has less than three seconds left, and nobody else has so little.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_failing_shares_no_write() {
    let waiting = Waiting::new().await;
    let [(one, _), (failing, session)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    let [(two, _), (late, _)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    waiting.site.lab.next(Call::List, Fault::Fails);
    session.devices().await.unwrap_err();
    let mut writers = vec![commit(one).await, commit(failing).await, commit(two).await];
    let (site, browser, gate) = waiting.go_on_and_hold(true).await;
    // It is handed what two others have written, so it has no answer of its own since. This one waits behind it.
    writers.push(commit(late).await);
    gate.open();
    all_saved(writers).await;
    assert_eq!(replaces(&site), 3);
    assert_eq!(browser.get::<i64>("n").await, Some(5));
}

/// The task that sends for all ends without an answer, as where a driver panics.
#[tokio::test(start_paused = true)]
async fn if_nobody_tells_them_each_finds_out_what_became_of_its_write() {
    for is_applied in [false, true] {
        let waiting = Waiting::new().await;
        let group = waiting.committing(MOST).await;
        let (site, browser) = waiting.go_on_with(Fault::Panics { is_applied }).await;
        all_saved(group).await;
        assert_eq!(browser.get::<usize>("n").await, Some(MOST + 1), "applied: {is_applied}");
        assert_nobody_writes(&site);
    }
}

/// A request gives its save up, and saves again while the write of all is on its way. What it sends has the changes of those
/// before it, so the refusal of the write of all is no answer for them.
#[tokio::test(start_paused = true)]
async fn who_gives_up_a_shared_write_and_sends_it_again_misleads_nobody() {
    for quick in 0..4 {
        let waiting = Waiting::new().await;
        let (writers, mut group) = waiting.saving(4).await;
        let (site, browser, gate) = waiting.go_on_and_hold(false).await;
        group.remove(quick).abort();
        settle().await;
        writers[quick].1.save().await.unwrap();
        // So the write of all will be refused.
        let mut elsewhere = elsewhere(&site, &browser);
        elsewhere.visit(async |session| _ = add_one(session)).await;
        gate.open();
        for saving in group {
            saving.await.unwrap().unwrap();
        }
        assert_eq!(browser.get::<i64>("n").await, Some(6), "the quick one is {quick}");
        assert_nobody_writes(&site);
    }
}

/// While the write of all is on its way, one gives its save up and saves again, and others write. Nobody is in doubt: who saves
/// again first lets the write of all have its answer.
#[tokio::test(start_paused = true)]
async fn who_gives_up_and_saves_again_lets_the_write_of_all_end_first() {
    for others in 0..4 {
        let waiting = Waiting::new().await;
        let (writers, mut group) = waiting.saving(MOST).await;
        let (site, browser, gate) = waiting.go_on_and_hold(false).await;
        group.remove(MOST - 1).abort();
        settle().await;
        group.push(save(&writers[MOST - 1].1));
        // It would have sent its own write by then, and it waits a little longer for the shared one.
        tokio::time::sleep(WAIT * 9 / 10).await;
        let mut elsewhere = elsewhere(&site, &browser);
        for _ in 0..others {
            elsewhere.visit(async |session| _ = add_one(session)).await;
        }
        gate.open();
        for saving in group {
            saving.await.unwrap().unwrap();
        }
        assert_eq!(browser.get::<usize>("n").await, Some(1 + MOST + others), "{others} others");
        assert_nobody_writes(&site);
    }
}

/// A page uses the session, and shares a write with one that does not. That one gives up, and sends the changes of both by
/// itself.
#[tokio::test(start_paused = true)]
async fn if_one_of_them_uses_the_session_it_is_used_whoever_sends_it() {
    let waiting = Waiting::behind_a_poll().await;
    let [(page, _), (_poll, of_poll)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
    of_poll.skip_touch();
    let page = commit(page).await;
    let given_up = save(&of_poll);
    settle().await;
    let (site, browser, gate) = waiting.go_on_and_hold(false).await;
    given_up.abort();
    settle().await;
    of_poll.save().await.unwrap();
    gate.open();
    all_saved(vec![page]).await;
    site.lab.advance(8 * MINUTE);
    assert!(is_stored(&site, &browser).await, "the page's use of the session is lost");
}

/// A request has three seconds after the first error of its store, also for what a task has sent for it.
#[tokio::test(start_paused = true)]
async fn after_a_shared_write_on_a_silent_store_there_is_no_new_time() {
    for timeout in [2 * SECOND, 5 * SECOND] {
        let site = Site::new();
        let (alone, session) = writer(&site.logged_in(USER).await).await;
        site.lab.set_silent(Some(timeout));
        session.save().await.unwrap_err();
        let begun = Instant::now();
        alone.commit().await.unwrap_err();
        let alone = begun.elapsed();
        let waiting = Waiting::new().await;
        let [(one, of_one), (_two, of_two)] = [writer(&waiting.browser).await, writer(&waiting.browser).await];
        let group = [save(&of_one), save(&of_two)];
        settle().await;
        let lab = waiting.site.lab.clone();
        // From the shared write on.
        waiting.site.lab.before_next(Call::Load, move || {
            lab.set_silent(Some(timeout));
            async {}
        });
        waiting.go_on().await;
        for saving in group {
            saving.await.unwrap().unwrap_err();
        }
        let begun = Instant::now();
        one.commit().await.unwrap_err();
        assert!(begun.elapsed() <= alone, "{:?} in place of {alone:?}", begun.elapsed());
    }
}

/// Two share a write that is not sent yet, because they wait for a third one to join. The second gives its save up and saves
/// again. What it sends by itself has the change of the first, too.
#[tokio::test(start_paused = true)]
async fn who_gives_up_before_the_write_of_all_is_sent_adds_nothing_twice() {
    let waiting = Waiting::new().await;
    let (writers, mut group) = waiting.saving(2).await;
    let (_stuck, session) = writer(&waiting.browser).await;
    let mut third = pin!(session.save());
    tokio::select! {
        biased;
        _ = &mut third => panic!("it waits"),
        () = settle() => {}
    }
    let (site, browser) = waiting.go_on().await;
    assert_eq!(replaces(&site), 0, "they wait for the third");
    group.remove(1).abort();
    settle().await;
    writers[1].1.save().await.unwrap();
    group.remove(0).await.unwrap().unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(3));
    third.await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(4));
    assert_nobody_writes(&site);
}
