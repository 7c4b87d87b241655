//! Whole lives of browsers in random orders: several tabs visit, log in and out, renew and revoke at once. Answers are lost,
//! clients hang up, calls of the store fail, and time passes between the rounds.

use std::time::Duration;

use session_core::{Owner, Policy};

use self::world::{
    Deed::{self, *},
    Done, Quiet, Tab, USERS, World,
};
use crate::support::{dice::*, *};

mod world;

/// What leaves a browser logged in as it was.
const CALM: [Deed; 4] = [Visit, Add, Save, AddNow];

const ALL: [Deed; 15] = [
    Visit,
    Visit,
    Add,
    Add,
    Save,
    AddNow,
    Login(USERS[0]),
    Login(USERS[0]),
    Login(USERS[1]),
    LoginAlone(USERS[0]),
    Renew,
    Logout,
    RevokeOthers,
    RevokeAll(USERS[0]),
    RevokeAll(USERS[1]),
];

type Request = Task<Done>;

fn plan(dice: &mut Dice, homes: usize) -> Vec<Tab> {
    let deeds: &[Deed] = if dice.below(2) == 0 { &CALM } else { &ALL };
    let tabs = 1 + dice.below(6);
    let tab = |_| Tab {
        home: dice.below(homes),
        deed: dice.one(deeds),
        is_delayed: dice.below(3) == 0,
        is_answer_lost: dice.below(8) == 0,
    };
    (0..tabs).map(tab).collect()
}

/// Some of the next calls of the store fail.
fn disturb(dice: &mut Dice, site: &Site) {
    for _ in 0..dice.below(4) {
        let call = dice.one(&[Call::Load, Call::Replace, Call::Replace, Call::Create, Call::Delete, Call::Revoke]);
        match dice.below(3) {
            0 => site.lab.next(call, Fault::Fails),
            1 => site.lab.next(call, Fault::LosesReply),
            _ => site.lab.next(Call::Replace, Fault::ArrivesLate),
        }
    }
}

async fn round(dice: &mut Dice, world: &World, nodes: &[Site], drops: Option<usize>) {
    let mut before = Vec::new();
    for home in 0..world.homes() {
        before.push(world.look(home).await);
    }
    let plan = plan(dice, world.homes());
    disturb(dice, &world.site);
    let mut requests: Vec<Request> = Vec::new();
    for tab in &plan {
        let request = world.clone().request(nodes[dice.below(nodes.len())].clone(), tab.clone());
        requests.push(Task::new(request));
    }
    // Some begin when others have their answers already.
    let at_once = 1 + dice.below(plan.len());
    for requests in requests.chunks_mut(at_once) {
        run(dice, requests, drops).await;
    }
    world.site.lab.forget_faults();
    until_idle(nodes, &world.what).await;
    let what = format!("{plan:?}, {}", world.what);
    let revokes = plan.iter().any(|tab| matches!(tab.deed, LoginAlone(_) | RevokeOthers | RevokeAll(_)));
    for (home, before) in before.into_iter().enumerate() {
        let after = world.look(home).await;
        let mine: Vec<_> = plan.iter().zip(&requests).filter(|(tab, _)| tab.home == home).collect();
        if !revokes || [plan.len(), mine.len()] == [1, 1] {
            judge(&before, &after, &mine, &format!("browser {home}, {before:?}, {after:?}, {what}"));
        }
    }
    world.look_for_dead().await;
    assert_eq!(world.site.events.thefts(), 0, "no honest user looks like a thief: {what}");
}

/// What these requests have made of the browser, where nobody else has revoked its sessions.
fn judge(before: &Quiet, after: &Quiet, requests: &[(&Tab, &Request)], what: &str) {
    if before.id.is_some() && requests.iter().all(|(tab, _)| CALM.contains(&tab.deed)) {
        assert_eq!((after.id, &after.owner), (before.id, &before.owner), "nothing has ended it: {what}");
        let added = |part: usize| -> i64 {
            let of = |(tab, request): &(&Tab, &Request)| match &request.answer {
                Some(done) => done.added[part],
                None => i64::from(part == 1 && tab.deed != Visit),
            };
            requests.iter().map(of).sum()
        };
        let (surely, perhaps) = (added(0), added(1));
        let right = before.n + surely..=before.n + surely + perhaps;
        assert!(right.contains(&after.n), "{surely} were added, and perhaps {perhaps} more: {what}");
    }
    let [(tab, Task { answer: Some(Done { is_received: true, .. }), .. })] = requests else { return };
    let (owner, n) = match tab.deed {
        Login(user) | LoginAlone(user) => {
            let owner = Owner::from(user);
            let is_of_another = before.owner.as_ref().is_some_and(|before| *before != owner);
            (Some(owner), if is_of_another { 0 } else { before.n })
        }
        Renew | RevokeOthers => (before.owner.clone(), before.n),
        Logout => (None, 0),
        _ => return,
    };
    assert_eq!(after.owner, owner, "a login sticks, a renewal keeps it, and a logout ends it: {what}");
    assert_eq!(after.n, n, "what a visitor has put into the session, or the same user, survives a login: {what}");
}

async fn live(seed: u64) {
    let mut dice = Dice::new(seed);
    let long = lifetime(8 * HOUR, 24 * HOUR);
    let policy = Policy::builder().before_login(long).logged_in(long).build().unwrap();
    let site = Site::with_policy(policy.clone());
    let mut other = site.another_process();
    other.manager = other.manager.with_policy(policy);
    let nodes = [site.clone(), other];
    let nodes = &nodes[..1 + dice.below(2)];
    let drops = (dice.below(2) == 0).then_some(30);
    let what = format!("seed {seed}, {} processes, drops: {drops:?}", nodes.len());
    let world = World::new(site, 1 + dice.below(2), what);
    for home in 0..world.homes() {
        if dice.below(3) > 0 {
            let tab = Tab { home, deed: Login(dice.one(&USERS)), is_delayed: false, is_answer_lost: false };
            world.clone().request(world.site.clone(), tab).await;
        }
    }
    for _ in 0..2 + dice.below(5) {
        round(&mut dice, &world, nodes, drops).await;
        world.site.lab.advance(dice.one(&[Duration::ZERO, 90 * SECOND, 16 * MINUTE, 50 * MINUTE]));
    }
}

#[tokio::test(start_paused = true)]
async fn in_whatever_order_tabs_act_logins_stick_and_nothing_that_has_ended_comes_back() {
    for seed in 1..=1000 {
        live(seed).await;
    }
}
