//! Writers of one session in random orders: each await may come at any time or be the last, and calls of the store fail.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use session_core::{Error, Outcome};
use tokio::time::Instant;

use crate::support::{dice::*, *};

/// What became of one addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    Yes,
    No,
    Unknown,
}

impl From<Result<(), Error>> for Added {
    fn from(answer: Result<(), Error>) -> Self {
        match answer {
            Ok(()) => Self::Yes,
            Err(Error::Gone | Error::Superseded | Error::Contended) => Self::No,
            Err(_) => Self::Unknown,
        }
    }
}

/// The ways to add one.
const WAYS: usize = 5;

async fn add(browser: Browser, way: usize, patience: usize) -> Added {
    let exchange = browser.open();
    // An error of the load: nothing was sent.
    let Ok(session) = exchange.session().await else { return Added::No };
    if session.owner().is_none() {
        return Added::No;
    }
    if way == 0 {
        return session.update_now("n", |n: &mut i64| *n += 1).await.map(drop).into();
    }
    if way == 1 {
        let id = session.id().unwrap();
        let Ok(Some(stored)) = browser.manager.session_of(&user(), &id).await else { return Added::No };
        return stored.update("n", |n: &mut i64| *n += 1).await.map(drop).into();
    }
    add_one(&session);
    if way == 2 {
        return session.save().await.into();
    }
    if way == 3 {
        if let Some(saved) = give_up(session.save(), patience).await {
            return saved.into();
        }
        // What it has sent may be on its way. It goes on with what became of that.
        return session.save().await.into();
    }
    match exchange.commit().await {
        Ok(Outcome::Saved) => Added::Yes,
        Ok(_) => Added::No,
        Err(error) => Err(error).into(),
    }
}

/// Polls a call so often, and then drops it. Returns its answer, if it had one by then.
async fn give_up<T>(call: impl Future<Output = T>, patience: usize) -> Option<T> {
    let mut call = pin!(call);
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if polls > patience => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn schedule(seed: u64) {
    let mut dice = Dice::new(seed);
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let nodes = [site.clone(), site.another_process()];
    let (processes, is_faulty) = (1 + dice.below(2), dice.below(2) == 0);
    let drops = (dice.below(2) == 0).then_some(30);
    let ends = dice.below(8) == 0;
    let faults = if is_faulty { dice.below(5) } else { 0 };
    for _ in 0..faults {
        let fault = [Fault::Fails, Fault::LosesReply, Fault::ArrivesLate][dice.below(3)].clone();
        let call = if dice.below(4) == 0 { Call::Load } else { Call::Replace };
        let is_late = matches!(fault, Fault::ArrivesLate);
        site.lab.next(if is_late { Call::Replace } else { call }, fault);
    }
    let mut tasks: Vec<_> = (0..2 + dice.below(8))
        .map(|_| {
            let manager = nodes[dice.below(processes)].manager.clone();
            Task::new(add(Browser { manager, ..browser.clone() }, dice.below(WAYS), dice.below(8)))
        })
        .collect();
    if ends {
        let browser = browser.clone();
        tasks.push(Task::new(async move {
            let exchange = browser.open();
            match exchange.session().await {
                Ok(session) => session.logout().await.map_or(Added::Unknown, |()| Added::No),
                Err(_) => Added::Unknown,
            }
        }));
    }
    let begun = Instant::now();
    run(&mut dice, &mut tasks, drops).await;
    let what = format!("seed {seed}, {processes} processes, {faults} faults, drops: {drops:?}, ends: {ends}");
    if processes == 1 && faults == 0 {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_millis(50), "somebody was not called: {waited:?}, {what}");
    }
    site.lab.forget_faults();
    until_idle(&nodes, &what).await;
    let has_ended = ends && tasks.pop().is_some_and(|task| task.answer == Some(Added::No));
    if has_ended {
        return assert!(!is_stored(&site, &browser).await, "a write has revived the session: {what}");
    }
    let count = |added| i64::try_from(tasks.iter().filter(|task| task.answer == added).count()).unwrap();
    let (surely, perhaps) = (count(Some(Added::Yes)), count(Some(Added::Unknown)) + count(None));
    if let Some(n) = browser.get::<i64>("n").await {
        assert!((surely..=surely + perhaps).contains(&n), "{n} of {surely}, perhaps {perhaps} more: {what}");
    } else {
        assert!(ends, "nobody has ended it: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_whatever_order_writers_run_and_whichever_are_dropped_their_changes_are_exact() {
    for seed in 1..=2000 {
        schedule(seed).await;
    }
}
