//! Many requests of one session at the same time.

use std::thread;

use crate::site::{Answer, Browser, Demo, until};
use serde_json::{Value, json};

over_both_stores! {
    fifty_parallel_increments_add_fifty
    twenty_disjoint_keys_are_all_kept
    a_value_is_taken_once
    a_logout_during_a_slow_request_stays_a_logout
    a_login_during_a_slow_request_stays_the_login
}

/// The browser does the same thing this many times at once.
fn at_once(browser: &Browser, count: usize, act: impl Fn(&mut Browser, usize) -> Answer + Sync) -> Vec<Answer> {
    thread::scope(|scope| {
        let act = &act;
        let acting: Vec<_> = (0..count)
            .map(|turn| {
                let mut browser = browser.clone();
                scope.spawn(move || act(&mut browser, turn))
            })
            .collect();
        acting.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn fifty_parallel_increments_add_fifty(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    let answers = at_once(&browser, 50, |browser, _| browser.post("/api/counter"));
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(browser.get("/api/data").json(), json!({ "counter": 50 }));
}

fn twenty_disjoint_keys_are_all_kept(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut browser = demo.browser();
    browser.put("/api/data/first", "true");
    let answers =
        at_once(&browser, 20, |browser, turn| browser.put(&format!("/api/data/key{turn}"), &turn.to_string()));
    assert!(answers.iter().all(|answer| answer.status == 204));
    let data = browser.get("/api/data").json();
    assert_eq!(data.as_object().unwrap().len(), 21);
    assert!((0..20).all(|turn| data[format!("key{turn}")] == turn));
}

fn a_value_is_taken_once(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut browser = demo.browser();
    browser.put("/api/data/code", "\"4711\"");
    let answers = at_once(&browser, 20, |browser, _| browser.post("/api/take/code"));
    let taken: Vec<_> = answers.iter().map(Answer::json).filter(|value| !value.is_null()).collect();
    assert_eq!(taken, [json!("4711")]);
    assert_eq!(browser.get("/api/data").json(), json!({}));
}

/// Starts a slow increment. Does something else once that has loaded its session, and returns the answer to the
/// increment.
fn during_a_slow_increment(demo: &Demo, browser: &Browser, act: impl FnOnce()) -> Answer {
    let before = demo.ops();
    thread::scope(|scope| {
        let mut slow = browser.clone();
        let slow = scope.spawn(move || slow.post("/api/counter?delay_ms=3000"));
        until("the slow request has its session", || demo.ops() > before);
        act();
        assert!(!slow.is_finished());
        slow.join().unwrap()
    })
}

fn a_logout_during_a_slow_request_stays_a_logout(store: &str) {
    let demo = Demo::start(store, &["--lab"]);
    let mut browser = demo.browser();
    browser.register("anna");
    let old = browser.clone();
    let slow = during_a_slow_increment(&demo, &old, || assert_eq!(browser.post("/logout").status, 303));
    assert_eq!((slow.status, slow.set_cookies().len()), (200, 0));
    let mut again = old.clone();
    assert_eq!(again.get("/api/me").json()["session"], Value::Null);
    assert_eq!(browser.owner(), Value::Null);
}

fn a_login_during_a_slow_request_stays_the_login(store: &str) {
    let demo = Demo::start(store, &["--lab"]);
    demo.browser().register("anna");
    let mut browser = demo.browser();
    browser.post("/api/counter");
    let slow = during_a_slow_increment(&demo, &browser.clone(), || assert_eq!(browser.login("anna").status, 303));
    assert_eq!((slow.status, slow.set_cookies().len()), (200, 0));
    assert_eq!(browser.owner(), "anna");
    assert_eq!(browser.get("/api/data").json(), json!({ "counter": 1 }), "the late increment is not merged in");
}
