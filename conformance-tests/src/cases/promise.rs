//! The promises of a session, over this store. The logic is that of the core, the atomicity that of the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use session_core::{
    CookieConfig, Error, EventKind, Exchange, Incoming, Key, Keyring, Lifetime, Login, Observer, Outcome, Owner,
    Policy, Session, SessionEvent, SessionManager, Store,
};

use crate::{
    Subject,
    trial::{Trial, owner},
};

const AT_ONCE: u64 = 20;

/// A site over the store, and what it observed.
struct Site {
    manager: SessionManager,
    thefts: Arc<AtomicUsize>,
}

/// The cookie of one browser.
#[derive(Clone)]
struct Browser {
    manager: SessionManager,
    cookie: Option<String>,
}

#[derive(Debug)]
struct Thefts(Arc<AtomicUsize>);

impl Observer for Thefts {
    fn on(&self, event: &SessionEvent) {
        if matches!(event.kind, EventKind::TheftDetected) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Site {
    fn over<S: Subject>(trial: &Trial<S>, policy: Policy) -> Self {
        Self::at(trial.store(), policy)
    }

    fn at(store: impl Store, policy: Policy) -> Self {
        let thefts = Arc::default();
        let keys = Keyring::new(Key::from_bytes(&[42; 32]).unwrap());
        let cookie = CookieConfig::builder("session").build().unwrap();
        let manager = SessionManager::new(store, keys)
            .with_cookie(cookie)
            .with_policy(policy)
            .with_observer(Thefts(Arc::clone(&thefts)));
        Self { manager, thefts }
    }

    fn browser(&self) -> Browser {
        Browser { manager: self.manager.clone(), cookie: None }
    }

    async fn logged_in(&self, user: &Owner) -> Browser {
        let mut browser = self.browser();
        let exchange = browser.open();
        let session = session(&exchange).await;
        session.insert("counter", &0).unwrap();
        saved("login", session.login(user.clone()).await);
        browser.close(&exchange).await;
        browser
    }
}

impl Browser {
    fn open(&self) -> Exchange {
        self.manager.open(Incoming::new(self.cookie.as_ref().map(|cookie| cookie.as_bytes())))
    }

    /// Commits, and stores the cookie that the response sets.
    async fn close(&mut self, exchange: &Exchange) -> Outcome {
        let outcome = saved("commit", exchange.commit().await);
        if let Some(cookie) = set_cookie(exchange) {
            self.cookie = Some(cookie);
        }
        outcome
    }

    /// One request that changes the session. A slow store lets core give up, and then nothing is saved. So it is asked once
    /// more.
    async fn change<T>(&self, change: impl Fn(&Session) -> Result<T, Error>) {
        loop {
            let exchange = self.open();
            saved("change", change(&session(&exchange).await));
            let committed = exchange.commit().await;
            if !matches!(committed, Err(Error::Contended)) {
                saved("commit", committed);
                return;
            }
        }
    }

    /// The same browser at another site over the same sessions.
    fn at(&self, site: &Site) -> Self {
        Self { manager: site.manager.clone(), cookie: self.cookie.clone() }
    }

    async fn visit(&mut self) -> Option<Owner> {
        let exchange = self.open();
        let owner = session(&exchange).await.owner();
        self.close(&exchange).await;
        owner
    }

    async fn counter(&self) -> Option<u64> {
        session(&self.open()).await.get("counter").unwrap()
    }
}

/// The same browser at as many sites. Requests of one site take turns, so its store would not have to decide.
fn at_sites<S: Subject>(trial: &Trial<S>, browser: &Browser) -> Vec<Browser> {
    let at = |number| browser.at(&Site::at(trial.store_of(number), Policy::default()));
    (0..AT_ONCE).map(at).collect()
}

async fn session(exchange: &Exchange) -> Session {
    saved("load", exchange.session().await)
}

fn saved<T>(what: &str, answer: Result<T, Error>) -> T {
    answer.unwrap_or_else(|error| panic!("the {what} failed where the store has no reason to: {error:?}"))
}

fn set_cookie(exchange: &Exchange) -> Option<String> {
    let headers = exchange.headers();
    let cookie = headers.get("set-cookie")?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

fn lasting(idle: Duration, absolute: Duration) -> Policy {
    let lifetime = Lifetime::new(idle, absolute);
    Policy::builder().before_login(lifetime).logged_in(lifetime).build().unwrap()
}

pub(crate) async fn n_parallel_updates_of_one_key_add_n<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let browser = site.logged_in(&owner("user 42")).await;
    for round in 0..2 {
        let browsers = at_sites(trial, &browser);
        trial
            .together(round, AT_ONCE, move |number, _| {
                let browser = browsers[number as usize].clone();
                async move { browser.change(|session| session.update("counter", |n: &mut u64| *n += 1)).await }
            })
            .await;
    }
    assert_eq!(browser.counter().await, Some(2 * AT_ONCE), "of parallel increments some are lost or counted twice");
}

pub(crate) async fn updates_at_two_processes_are_all_kept<S: Subject>(trial: &Trial<S>) {
    n_parallel_updates_of_one_key_add_n(&trial.at_two_processes().await).await;
}

pub(crate) async fn an_update_whose_answer_is_lost_is_applied_once<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let mut browser = site.logged_in(&owner("user 42")).await;
    for round in 1..4 {
        let exchange = browser.open();
        let session = session(&exchange).await;
        session.update("counter", |n: &mut u64| *n += 1).unwrap();
        if !trial.loses_the_answer(session.id().unwrap()).await {
            return;
        }
        browser.close(&exchange).await;
        assert_eq!(browser.counter().await, Some(round), "an update whose answer was lost was applied twice or not");
    }
}

pub(crate) async fn changes_of_different_keys_at_once_are_all_kept<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let browser = site.logged_in(&owner("user 42")).await;
    let writers = at_sites(trial, &browser);
    trial
        .together(0, AT_ONCE, move |number, _| {
            let browser = writers[number as usize].clone();
            async move { browser.change(|session| session.insert(&format!("key {number}"), &number)).await }
        })
        .await;
    let keys = session(&browser.open()).await.keys().len();
    assert_eq!(keys as u64, AT_ONCE + 1, "of changes of different keys some are lost");
}

pub(crate) async fn of_many_who_take_a_value_one_gets_it<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let mut browser = site.logged_in(&owner("user 42")).await;
    for round in 0..4 {
        let exchange = browser.open();
        session(&exchange).await.insert("code", &round).unwrap();
        browser.close(&exchange).await;
        let takers = at_sites(trial, &browser);
        let taken = trial.together(round, AT_ONCE, move |number, _| {
            let taker = takers[number as usize].clone();
            async move { saved("take", session(&taker.open()).await.take::<u128>("code").await) }
        });
        let winners = taken.await.into_iter().flatten().count();
        assert_eq!(winners, 1, "{winners} of {AT_ONCE} callers took the same value");
    }
}

pub(crate) async fn a_save_after_the_logout_changes_nothing_and_sends_no_cookie<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let mut browser = site.logged_in(&owner("user 42")).await;
    let slow = browser.open();
    session(&slow).await.insert("counter", &1).unwrap();
    let fast = browser.open();
    saved("logout", session(&fast).await.logout().await);
    browser.close(&fast).await;
    assert_eq!(saved("commit", slow.commit().await), Outcome::Gone, "a late save after a logout");
    assert_eq!(set_cookie(&slow), None, "the loser sent a cookie");
    let id = slow.presented_id().unwrap();
    assert!(trial.load(id).await.is_none(), "a late save revived a session after its logout");
}

pub(crate) async fn a_login_ends_the_old_token_at_once<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let mut browser = site.browser();
    let first = browser.open();
    session(&first).await.insert("counter", &0).unwrap();
    browser.close(&first).await;
    let mut planted = browser.clone();
    let login = browser.open();
    saved("login", session(&login).await.login(owner("user 42")).await);
    browser.close(&login).await;
    assert_eq!(browser.visit().await, Some(owner("user 42")));
    assert_eq!(planted.visit().await, None, "the token from before the login opens the user's session");
    assert_eq!(planted.counter().await, None, "the token from before the login reads the user's session");
    assert_eq!(browser.counter().await, Some(0), "the values from before the login are lost");
}

pub(crate) async fn what_ends_at_one_process_has_ended_at_another<S: Subject>(trial: &Trial<S>) {
    let there = trial.at_another_process().await;
    let (here, there) = (Site::over(trial, Policy::default()), Site::over(&there, Policy::default()));
    let user = owner("user 42");
    for (here, there) in [(&here, &there), (&there, &here)] {
        let mut planted = there.browser();
        let first = planted.open();
        session(&first).await.insert("counter", &0).unwrap();
        planted.close(&first).await;
        let mut browser = planted.at(here);
        let login = browser.open();
        saved("login", session(&login).await.login(user.clone()).await);
        browser.close(&login).await;
        assert_eq!(planted.visit().await, None, "a token from before a login opens the session at another process");

        let mut elsewhere = browser.at(there);
        assert_eq!(elsewhere.visit().await, Some(user.clone()), "a login does not stick at another process");
        let slow = elsewhere.open();
        session(&slow).await.insert("counter", &1).unwrap();
        let logout = browser.open();
        saved("logout", session(&logout).await.logout().await);
        browser.close(&logout).await;
        assert_eq!(elsewhere.visit().await, None, "a session that was logged out goes on at another process");
        assert_eq!(
            saved("commit", slow.commit().await),
            Outcome::Gone,
            "a late save at another process than the logout"
        );
        assert_eq!(set_cookie(&slow), None, "the loser sent a cookie");
        let id = slow.presented_id().unwrap();
        assert!(trial.load(id).await.is_none(), "a late save at another process revived a session after its logout");

        // Time passes first, because a login that may have begun before the last revocation is refused.
        trial.pass(Duration::from_millis(200)).await;
        let mut standing = here.logged_in(&user).await;
        let mut elsewhere = standing.at(there);
        assert_eq!(elsewhere.visit().await, Some(user.clone()), "a login does not stick at another process");
        let in_flight = there.browser().open();
        let session = session(&in_flight).await;
        assert_eq!(saved("revocation", here.manager.revoke_all(&user).await), 1);
        let answer = session.login(user.clone()).await;
        assert!(matches!(answer, Err(Error::LoginRevoked)), "a login that began before the revocation: {answer:?}");
        assert_eq!(standing.visit().await, None, "a revoked session goes on");
        assert_eq!(elsewhere.visit().await, None, "a revoked session goes on at another process");
        trial.pass(Duration::from_millis(200)).await;
    }
}

pub(crate) async fn what_is_stored_holds_no_part_of_the_cookie<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let user = owner("user 42");
    let browser = site.logged_in(&user).await;
    let id = browser.open().presented_id().unwrap();
    let listed = trial.list(&user).await.remove(0).1;
    let cookie = browser.cookie.unwrap();
    for payload in [trial.loaded(id).await.payload, listed.payload] {
        assert!(payload.len() > 32, "`load` or `list` answered no payload");
        let holds = cookie.as_bytes().windows(16).any(|part| payload.windows(16).any(|window| window == part));
        assert!(!holds, "what is stored has a part of the cookie in it");
    }
}

pub(crate) async fn a_token_that_is_used_after_its_successor_was_proven_ends_the_session<S: Subject>(trial: &Trial<S>) {
    let (rotation, grace) = (trial.short(Duration::from_millis(600)), trial.short(Duration::from_millis(300)));
    let site = Site::over(trial, Policy::builder().rotation(rotation).grace(grace).build().unwrap());
    let user = owner("user 42");
    let mut browser = site.logged_in(&user).await;
    trial.pass(rotation).await;
    let mut stolen = browser.clone();
    let old = browser.cookie.clone();
    assert_eq!(browser.visit().await, Some(user.clone()));
    assert_ne!(browser.cookie, old, "no successor was sent when it was due");
    assert_eq!(stolen.visit().await, Some(user.clone()), "the old token is good until its successor is proven");
    assert_eq!(stolen.cookie, browser.cookie, "two requests derived two successors");
    assert_eq!(browser.visit().await, Some(user.clone()));
    trial.pass(grace).await;
    let mut late = Browser { cookie: old, ..stolen };
    assert_eq!(late.visit().await, None, "a retired token opened the session after the grace");
    assert_eq!(site.thefts.load(Ordering::SeqCst), 1, "the theft was not told, or told twice");
    assert_eq!(browser.visit().await, None, "a session that is in two hands goes on");
    assert!(trial.list(&user).await.is_empty(), "a session that is in two hands is still listed");
}

pub(crate) async fn revoke_all_beats_a_login_that_began_before_it<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let user = owner("user 42");
    let mut standing = site.logged_in(&user).await;
    let in_flight = site.browser().open();
    let session = session(&in_flight).await;
    assert_eq!(saved("revocation", site.manager.revoke_all(&user).await), 1);
    let answer = session.login(user.clone()).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "a login that began before the revocation: {answer:?}");
    assert_eq!(standing.visit().await, None, "a revoked session goes on");
    assert!(trial.list(&user).await.is_empty(), "a revoked login left a session");
}

pub(crate) async fn revoke_others_keeps_exactly_the_caller<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::default());
    let (user, other) = (owner("user 42"), owner("user 43"));
    let (mut one, mut two, mut stranger) =
        (site.logged_in(&user).await, site.logged_in(&user).await, site.logged_in(&other).await);
    let revoked = session(&one.open()).await.revoke_others().await;
    let count = saved("revocation", revoked);
    assert_eq!(one.visit().await, Some(user.clone()), "`revoke_others` ended the session that asked for it");
    assert_eq!(two.visit().await, None, "`revoke_others` left another session of the owner");
    assert_eq!(count, 1, "`revoke_others` must count the sessions that it ended");
    // Time passes first, because a login that may have begun before the revocation is refused.
    trial.pass(Duration::from_millis(200)).await;
    let mut third = site.browser();
    let exchange = third.open();
    saved("login", session(&exchange).await.login(Login::new(user.clone()).ending_others()).await);
    third.close(&exchange).await;
    assert_eq!(one.visit().await, None, "a login that ends the others left one");
    assert_eq!(third.visit().await, Some(user), "a login that ends the others ended itself");
    assert_eq!(stranger.visit().await, Some(other), "another owner's session was revoked");
}

pub(crate) async fn parallel_logins_keep_the_limit_and_never_evict_all<S: Subject>(trial: &Trial<S>) {
    let site = Site::over(trial, Policy::builder().sessions_per_owner(2).build().unwrap());
    let user = owner("user 42");
    let answers = trial.together(0, 8, {
        let browser = site.browser();
        move |_, _| {
            let browser = browser.clone();
            async move { session(&browser.open()).await.login(owner("user 42")).await.is_ok() }
        }
    });
    let admitted = answers.await.into_iter().filter(|is_admitted| *is_admitted).count();
    let left = trial.list(&user).await.len();
    assert!(left <= 2, "after parallel logins {left} sessions are left where two are allowed");
    assert!(left >= 1 && admitted >= 1, "parallel logins evicted one another: {left} left, {admitted} admitted");
}

pub(crate) async fn idle_and_absolute_timeouts_hold_together<S: Subject>(trial: &Trial<S>) {
    let [idle, absolute, pause] = [700, 1200, 400].map(|time| trial.short(Duration::from_millis(time)));
    let site = Site::over(trial, lasting(idle, absolute));
    let user = owner("user 42");
    let (mut used, mut unused) = (site.logged_in(&user).await, site.logged_in(&user).await);
    trial.pass(pause).await;
    assert_eq!(used.visit().await, Some(user.clone()));
    trial.pass(pause).await;
    assert_eq!(used.visit().await, Some(user), "use did not extend the idle timeout");
    assert_eq!(unused.visit().await, None, "a session outlived its idle timeout");
    trial.pass(pause).await;
    assert_eq!(used.visit().await, None, "a session outlived its end");
}
