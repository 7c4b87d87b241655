//! Requests with random mixtures of cookies, over a store that fails now and then. The promises hold after each.

use session_core::{Error, EventKind, Exchange, Owner, Policy};

use crate::support::{dice::Dice, unreadable::*, *};

/// The user whose token is in two hands.
const ROBBED: u64 = 98;

/// The kind of a cookie: what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dead,
    Anonymous,
    Noted,
    Login,
    LoginOfAnother,
    /// Its token has a successor that was sent but not yet used.
    Due,
    Retired,
    Late,
    Stolen,
    LaterData,
    Garbage,
}

use Kind::*;

const KINDS: [Kind; 11] =
    [Dead, Anonymous, Noted, Login, LoginOfAnother, Due, Retired, Late, Stolen, LaterData, Garbage];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Insert,
    Save,
    Login,
    BeginLogin,
    Renew,
    Logout,
}

const DEEDS: [Deed; 6] = [Deed::Insert, Deed::Save, Deed::Login, Deed::BeginLogin, Deed::Renew, Deed::Logout];

/// The browser with this cookie, and the login that has overtaken it.
async fn cookie(site: &Site, kind: Kind) -> (Browser, Option<Browser>) {
    let mut browser = match kind {
        Kind::Login => site.logged_in(USER).await,
        LoginOfAnother => site.logged_in(7).await,
        _ => site.visitor().await,
    };
    let mut overtaking = None;
    match kind {
        Dead => browser.clone().visit(async |session| session.logout().await.unwrap()).await,
        Noted => browser.visit(async |session| session.begin_login().await.unwrap()).await,
        LaterData => drop(in_later_data(site, &id_of(&browser).await).await),
        Garbage => drop(in_garbage(site, &id_of(&browser).await).await),
        Late => {
            let mut winner = browser.clone();
            winner.visit(async |session| session.login(99).await.unwrap()).await;
            overtaking = Some(winner);
        }
        _ => {}
    }
    (browser, overtaking)
}

/// A cookie of each kind. Those that need time are made first.
async fn cookies(site: &Site, kinds: &[Kind]) -> Vec<(Browser, Option<Browser>)> {
    let mut rotating = Vec::new();
    for kind in kinds.iter().filter(|kind| matches!(kind, Due | Retired | Stolen)) {
        rotating.push((*kind, site.logged_in(if *kind == Stolen { ROBBED } else { USER }).await));
    }
    site.due().await;
    let mut made = Vec::new();
    for (kind, old) in rotating {
        let mut browser = old.clone();
        browser.visit(async |_| ()).await;
        if kind == Stolen {
            browser.visit(async |_| ()).await;
        }
        made.push((kind, old, browser));
    }
    site.lab.advance(2 * MINUTE);
    let mut all = Vec::new();
    for (kind, old, mut browser) in made {
        if kind == Retired {
            browser.visit(async |_| ()).await;
        }
        all.push((old, None));
    }
    for kind in kinds.iter().filter(|kind| !matches!(kind, Due | Retired | Stolen)) {
        all.push(cookie(site, *kind).await);
    }
    all
}

/// The outcome of what a request has done.
#[derive(Debug, Default)]
struct Answers {
    login: Option<Result<(), Error>>,
    logout: Option<Result<(), Error>>,
    begins: bool,
}

async fn act(exchange: &Exchange, deeds: &[Deed]) -> Result<Answers, Error> {
    let session = exchange.session().await?;
    let mut answers = Answers::default();
    for deed in deeds {
        match deed {
            Deed::Insert => drop(session.insert("k", &1)),
            Deed::Save => drop(session.save().await),
            Deed::Renew => drop(session.renew().await),
            Deed::BeginLogin => {
                let _ = session.begin_login().await;
                answers.begins = true;
            }
            // A later login or logout changes the outcome of an earlier one.
            Deed::Login => answers = Answers { login: Some(session.login(USER).await), ..Answers::default() },
            Deed::Logout => answers = Answers { logout: Some(session.logout().await), ..Answers::default() },
        }
    }
    let _ = exchange.commit().await;
    Ok(answers)
}

async fn run(seed: u64) {
    let mut dice = Dice::new(seed);
    // With the login's own cookie these are four. More than four would not be looked at.
    let (kinds, deeds) = (dice.some(3, &KINDS), dice.some(3, &DEEDS));
    let long = lifetime(8 * HOUR, 24 * HOUR);
    let site = Site::with_policy(Policy::builder().before_login(long).logged_in(long).build().unwrap());
    let made = cookies(&site, &kinds).await;
    let mut browsers: Vec<&Browser> = made.iter().map(|(browser, _)| browser).collect();
    let turn = dice.below(browsers.len());
    browsers.rotate_left(turn);
    let faulty = dice.below(3);
    for _ in 0..faulty {
        let call = [Call::Load, Call::Replace, Call::Create, Call::Delete][dice.below(4)];
        site.lab.next(call, if dice.below(2) == 0 { Fault::Fails } else { Fault::LosesReply });
    }
    site.lab.calls();
    let exchange = together(&site, &browsers);
    let answers = act(&exchange, &deeds).await;
    let calls = site.lab.calls().len();
    let what = format!("seed {seed}: {kinds:?}, {deeds:?}, {faulty} faults: {answers:?}");
    site.lab.forget_faults();

    assert!(calls < 60, "no request costs an unbounded number of calls: {calls}, {what}");
    let stolen_from = |event: &session_core::SessionEvent| event.owner != Some(Owner::from(ROBBED));
    let thefts = site.events.all().into_iter().filter(|event| matches!(event.kind, EventKind::TheftDetected));
    assert_eq!(thefts.filter(stolen_from).count(), 0, "no honest user looks like a thief: {what}");
    for (_, overtaking) in &made {
        if let Some(overtaking) = overtaking {
            assert!(is_stored(&site, overtaking).await, "a late token ends nothing: {what}");
        }
    }
    let Ok(answers) = answers else { return };
    let sent = set_cookies(&exchange.headers());
    let logs_in = matches!(answers.login, Some(Ok(())));
    if kinds.len() > 1 && kinds.iter().any(|kind| matches!(kind, Late | Stolen)) && !logs_in {
        assert_eq!(sent, [], "beside a late or stolen token no cookie leaves but a login's: {what}");
    }
    let failed_to_end =
        site.events.count(|kind| matches!(kind, EventKind::EndFailed(_) | EventKind::Unreadable(_))) > 0;
    if logs_in && !answers.begins {
        let mut mine = site.browser();
        mine.cookie = sent.first().and_then(|cookie| cookie.value.clone());
        assert_eq!(mine.owner().await, Some(user()), "a login has a cookie that is good: {what}");
        // The cookie comes beside all others, or in place of one.
        for replaced in 0..=browsers.len() {
            let kept = browsers.iter().enumerate().filter(|(at, _)| *at != replaced).map(|(_, browser)| *browser);
            let beside: Vec<_> = kept.chain([&mine]).collect();
            let owner = together(&site, &beside).session().await.unwrap().owner();
            let is_stuck = owner == Some(user()) || (faulty > 0 && failed_to_end);
            assert!(is_stuck, "a login sticks, whatever other cookies the browser sends: {owner:?}, {what}");
        }
    }
    match answers.logout {
        Some(Ok(())) if !answers.begins => {
            let owner = together(&site, &browsers).session().await.unwrap().owner();
            assert_eq!(owner, None, "after a logout nobody is logged in: {what}");
        }
        Some(Err(_)) if !answers.begins => assert_eq!(sent, [], "a logout that fails sends no cookie: {what}"),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_cookies_a_browser_mixes_and_whatever_the_store_loses_the_promises_hold() {
    for seed in 1..=1500 {
        run(seed).await;
    }
}
