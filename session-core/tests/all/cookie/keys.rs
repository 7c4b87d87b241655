//! Changing the key that signs: on one node, on two, and while requests are under way.

use session_core::{EventKind, Incoming, Key, Keyring, Login, Observer, Policy, SessionEvent, SessionManager};

use crate::support::*;

/// The key of the site in `support`.
const OLD: u8 = 7;
const NEW: u8 = 1;

fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32]).unwrap()
}

fn accepting_new() -> Keyring {
    Keyring::new(key(OLD)).and_accept(key(NEW))
}

fn retiring_old() -> Keyring {
    Keyring::new(key(NEW)).and_retire(key(OLD))
}

fn only_new() -> Keyring {
    Keyring::new(key(NEW))
}

/// Another node of the site, with these keys.
fn node(site: &Site, keys: Keyring) -> SessionManager {
    SessionManager::new(site.lab.clone(), keys).with_observer(site.events.clone())
}

fn at(browser: &Browser, manager: &SessionManager) -> Browser {
    Browser { manager: manager.clone(), ..browser.clone() }
}

/// A policy with a long grace. On a slow machine, too, a test ends within it.
fn with_long_grace() -> Policy {
    Policy::builder().rotation(15 * MINUTE).grace(10 * MINUTE).build().unwrap()
}

async fn is_good_at(browser: &Browser, manager: &SessionManager) -> bool {
    at(browser, manager).start().await.1.id().is_some()
}

#[tokio::test]
async fn a_login_s_token_under_an_old_key_gets_a_successor_under_the_new_one() {
    for remembered in [false, true] {
        let site = Site::new();
        let mut browser = site.browser();
        browser.visit(async |s| s.login(Login::new(USER).remembered(remembered)).await.unwrap()).await;
        site.manager.set_keys(retiring_old());
        site.lab.advance(MINUTE + SECOND);
        let new_only = node(&site, only_new());
        assert!(!is_good_at(&browser, &new_only).await);
        browser.visit(async |_| ()).await;
        assert_eq!(at(&browser, &new_only).owner().await, Some(user()), "remembered: {remembered}");
        browser.visit(async |_| ()).await;
        let rotated = browser.cookie.clone();
        site.lab.advance(10 * MINUTE);
        browser.visit(async |_| ()).await;
        assert_eq!(browser.cookie, rotated, "under the new key it rotates as it always does");
        assert_eq!(site.events.thefts(), 0);
    }
}

#[tokio::test]
async fn a_token_under_an_old_key_is_not_due_within_the_grace_of_its_login_renewal_or_promotion() {
    for change in ["login", "renewal", "promotion"] {
        let site = Site::with_policy(with_long_grace());
        let mut browser = site.logged_in(USER).await;
        site.lab.advance(16 * MINUTE);
        match change {
            "login" => browser.visit(async |session| session.login(USER).await.unwrap()).await,
            "renewal" => browser.visit(async |session| session.renew().await.unwrap()).await,
            _ => {
                browser.visit(async |_| ()).await;
                browser.visit(async |_| ()).await;
            }
        }
        site.manager.set_keys(retiring_old());
        let before = browser.cookie.clone();
        site.lab.advance(9 * MINUTE);
        browser.visit(async |_| ()).await;
        assert_eq!(browser.cookie, before, "within the grace after the {change}");
        site.lab.advance(2 * MINUTE);
        browser.visit(async |_| ()).await;
        assert_ne!(browser.cookie, before, "after the grace of the {change}");
    }
}

#[tokio::test]
async fn a_successor_under_an_old_key_is_one_for_parallel_requests_and_survives_a_lost_answer() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.manager.set_keys(retiring_old());
    site.lab.advance(2 * MINUTE);
    let (one, _) = browser.start().await;
    let (two, session) = browser.start().await;
    add_one(&session);
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    assert_eq!(one.headers()["set-cookie"], two.headers()["set-cookie"]);
    // Both answers are lost: the old cookie goes on, and the next answer carries the same successor.
    site.lab.advance(5 * MINUTE);
    let before = browser.clone();
    browser.visit(async |_| ()).await;
    assert!(one.headers()["set-cookie"].to_str().unwrap().contains(browser.cookie.as_ref().unwrap()));
    assert_eq!((before.owner().await, browser.owner().await), (Some(user()), Some(user())));
    assert_eq!(site.events.thefts(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_to_a_token_under_an_old_key_carries_no_successor() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let slow = browser.clone();
    site.manager.set_keys(retiring_old());
    site.lab.advance(2 * MINUTE);
    browser.visit(async |_| ()).await;
    let (exchange, _) = slow.start().await;
    tokio::time::advance(MINUTE + SECOND).await;
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "the browser may have moved on");
}

#[tokio::test]
async fn an_anonymous_token_is_never_signed_again() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let before = browser.cookie.clone();
    site.manager.set_keys(retiring_old());
    for _ in 0..6 {
        site.lab.advance(30 * MINUTE);
        browser.visit(async |session| assert!(add_one(session) > 0)).await;
        assert_eq!(browser.cookie, before, "no response carries the token that it was asked with");
    }
    assert_eq!(browser.get::<i64>("n").await, Some(6));
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(at(&browser, &node(&site, only_new())).owner().await, Some(user()), "a login's token is a new one");
}

#[tokio::test]
async fn a_key_that_is_accepted_signs_nothing_and_what_it_signed_is_not_old() {
    let site = Site::new();
    let ahead = node(&site, only_new());
    let mut browser = at(&site.browser(), &ahead);
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    site.manager.set_keys(accepting_new());
    let mut browser = at(&browser, &site.manager);
    let before = browser.cookie.clone();
    site.lab.advance(10 * MINUTE);
    browser.visit(async |session| assert_eq!(session.owner(), Some(user()))).await;
    assert_eq!(browser.cookie, before, "not due");
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert!(is_good_at(&browser, &node(&site, keys())).await, "the first key has signed");
    assert!(!is_good_at(&browser, &ahead).await);
}

#[tokio::test]
async fn the_key_of_two_nodes_is_changed_and_no_cookie_of_one_is_ever_refused_by_the_other() {
    let site = Site::new();
    let nodes = [site.manager.clone(), node(&site, keys())];
    let mut users = Vec::new();
    let (mut hours, policy) = (0, Policy::default());
    for (phase, keys) in [accepting_new(), retiring_old(), only_new()].into_iter().enumerate() {
        for changed in &nodes {
            // In between each change, users come at both nodes, and go on at the other.
            for here in &nodes {
                let mut visitor = at(&site.browser(), here);
                visitor.visit(async |session| session.insert("n", &0).unwrap()).await;
                let mut login = at(&site.browser(), here);
                login.visit(async |session| session.login(USER).await.unwrap()).await;
                users.extend([visitor.clone(), login.clone()]);
                for browser in &mut users {
                    for there in &nodes {
                        *browser = at(browser, there);
                        browser.visit(async |session| assert!(session.id().is_some(), "in phase {phase}")).await;
                    }
                }
            }
            changed.set_keys(keys.clone());
        }
        if phase == 1 {
            // Until the old key may go, logins are used now and then, and visitors end. The old key goes then.
            for _ in 0..5 {
                site.lab.advance(59 * MINUTE);
                hours += 1;
                for browser in &mut users {
                    browser.visit(async |_| ()).await;
                }
            }
            let mut logins = Vec::new();
            for browser in users {
                if browser.owner().await.is_some() {
                    logins.push(browser);
                }
            }
            users = logins;
        }
    }
    assert_eq!((users.len() > 8, hours, site.events.thefts()), (true, 5, 0), "{}", policy.describe());
    for browser in &users {
        assert!(browser.start().await.1.id().is_some());
    }
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::BadCookie { .. } | EventKind::UnknownKey { .. })), 0);
}

#[tokio::test]
async fn an_old_key_may_go_after_the_longest_idle_time_and_the_grace() {
    let site = Site::with_policy(with_long_grace());
    let behind = node(&site, keys());
    let mut browser = at(&site.browser(), &behind);
    // The last token that the old key signs.
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    site.manager.set_keys(retiring_old());
    let mut browser = at(&browser, &site.manager);
    site.lab.advance(9 * MINUTE);
    browser.visit(async |session| assert_eq!(add_one(session), 1)).await;
    site.lab.advance(59 * MINUTE);
    browser.visit(async |session| assert_eq!(session.owner(), Some(user()))).await;
    site.lab.advance(2 * MINUTE);
    site.manager.set_keys(only_new());
    assert_eq!(browser.owner().await, Some(user()));
    for (policy, needed) in [
        (Policy::default(), "14 d 1 min\n"),
        (with_long_grace(), "14 d 10 min\n"),
        // Here sessions before login last longer than any login rests.
        (Policy::aal3(), "1 h\n"),
    ] {
        let sheet = policy.describe();
        assert!(sheet.contains(&format!("a key that signs no more is needed for {needed}")), "{sheet}");
    }
}

#[tokio::test]
async fn honest_browsers_never_look_like_thieves_where_one_node_signs_with_what_is_old_at_the_other() {
    let policy = Policy::builder().rotation(10 * MINUTE).grace(40 * SECOND).build().unwrap();
    let site = Site::with_policy(policy.clone());
    site.manager.set_keys(retiring_old());
    let nodes = [site.manager.clone(), node(&site, accepting_new()).with_policy(policy)];
    let mut jar = site.logged_in(USER).await;
    for round in 0_usize..300 {
        if round % 20 == 0 {
            // A token under what is the old key at the first.
            jar = at(&jar, &nodes[1]);
            jar.visit(async |session| session.renew().await.unwrap()).await;
        }
        let (one, _) = at(&jar, &nodes[round % 2]).start().await;
        let (two, session) = at(&jar, &nodes[round / 2 % 2]).start().await;
        assert_eq!(session.owner(), Some(user()), "in round {round}");
        add_one(&session);
        one.commit().await.unwrap();
        site.lab.advance(10 * SECOND);
        two.commit().await.unwrap();
        if round % 3 != 0 {
            jar.receive(&two.headers());
        }
        if round % 5 == 0 {
            jar.receive(&one.headers());
        }
        site.lab.advance(u32::from(round % 7 == 0) * 50 * SECOND);
    }
    let rotated = site.events.count(|kind| matches!(kind, EventKind::Rotated));
    assert!(rotated > 9, "more often than once in ten minutes: {rotated}");
    assert_eq!(site.events.thefts(), 0);
}

// In a running manager.

#[tokio::test]
async fn keys_are_exchanged_in_every_clone_of_a_running_manager() {
    let site = Site::new();
    let clones = [site.manager.clone(), site.manager.clone().with_policy(Policy::aal3())];
    let opened = site.browser().open();
    clones[0].set_keys(only_new());
    assert!(opened.is_of(&site.manager), "it is the same manager");
    for manager in clones.iter().chain([&site.manager]) {
        let mut browser = at(&site.browser(), manager);
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert!(is_good_at(&browser, &node(&site, only_new())).await);
    }
}

#[tokio::test]
async fn a_login_under_way_while_its_key_is_dropped_is_signed_with_the_new_one() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    site.manager.set_keys(only_new());
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    assert_eq!(browser.owner().await, Some(user()), "the login sticks");
}

#[tokio::test]
async fn one_exchange_signs_with_one_key_however_often_its_headers_are_asked_for() {
    let site = Site::new();
    let (exchange, session) = site.browser().start().await;
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    let mut headers = exchange.headers();
    site.manager.set_keys(only_new());
    exchange.apply(&mut headers);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 1);
}

#[tokio::test]
async fn a_header_client_s_token_under_an_old_key_is_replaced_too() {
    let site = Site::new();
    let exchange = site.manager.open(Incoming::default().with_token(""));
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    let token = exchange.token().unwrap();
    site.manager.set_keys(retiring_old());
    site.lab.advance(2 * MINUTE);
    let exchange = site.manager.open(Incoming::default().with_token(token.expose()));
    exchange.session().await.unwrap();
    exchange.commit().await.unwrap();
    let token = exchange.token().unwrap();
    let exchange = node(&site, only_new()).open(Incoming::default().with_token(token.expose()));
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
}

/// Exchanges the keys as soon as it hears of something.
#[derive(Debug)]
struct Exchanging(SessionManager);

impl Observer for Exchanging {
    fn on(&self, _: &SessionEvent) {
        self.0.set_keys(retiring_old());
    }
}

#[test]
fn keys_can_be_set_while_a_request_is_opened() {
    let (opened, was_opened) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let site = Site::new();
        let manager = site.manager.clone().with_observer(Exchanging(site.manager.clone()));
        let cookie = format!("{}=bad", manager.cookie().name());
        let _ = manager.open(Incoming::new([cookie.as_bytes()]));
        assert_eq!(site.events.count(|kind| matches!(kind, EventKind::BadCookie { .. })), 1);
        opened.send(()).unwrap();
    });
    was_opened.recv_timeout(std::time::Duration::from_secs(60)).expect("the request waits for the keys that it holds");
}
