//! Timeouts, rotation and theft.

use std::time::Duration;

use crate::site::{Demo, pass};
use serde_json::Value;

over_both_stores! {
    without_use_it_ends_after_the_idle_timeout
    used_or_not_it_ends_after_the_absolute_timeout
    a_token_rotates_and_a_stolen_one_ends_the_session
    a_lost_answer_ends_nothing
}

const HALF: Duration = Duration::from_millis(500);

fn without_use_it_ends_after_the_idle_timeout(store: &str) {
    let demo = Demo::start(store, &["--idle", "4s", "--absolute", "60s"]);
    let mut browser = demo.browser();
    browser.register("anna");
    for _ in 0..3 {
        pass(4 * HALF);
        assert_eq!(browser.owner(), "anna", "use keeps it");
    }
    pass(HALF);
    let left = browser.get("/api/status").json()["expires_in"].as_f64().unwrap();
    assert!((1.0..=3.5).contains(&left), "{left}");
    for _ in 0..7 {
        pass(HALF);
        browser.get("/api/status");
    }
    pass(HALF);
    assert_eq!(browser.owner(), Value::Null, "asking for the status is no use");
    assert_eq!(browser.get("/devices").status, 303);
}

fn used_or_not_it_ends_after_the_absolute_timeout(store: &str) {
    let demo = Demo::start(store, &["--idle", "4s", "--absolute", "6s"]);
    let mut browser = demo.browser();
    browser.register("anna");
    for _ in 0..6 {
        pass(HALF);
        assert_eq!(browser.owner(), "anna");
    }
    let me = browser.get("/api/me").json();
    assert!(me["ends_in"].as_f64().unwrap() <= 3.0 && me["expires_in"].as_f64() <= me["ends_in"].as_f64());
    pass(7 * HALF);
    assert_eq!(browser.owner(), Value::Null);
    assert_eq!(browser.login("anna").status, 303);
    assert!(browser.get("/api/me").json()["ends_in"].as_f64().unwrap() > 3.0, "a login begins a new lifetime");
}

const ROTATING: [&str; 4] = ["--rotate", "3s", "--grace", "2s"];

fn a_token_rotates_and_a_stolen_one_ends_the_session(store: &str) {
    let demo = Demo::start(store, &ROTATING);
    let mut browser = demo.browser();
    browser.register("anna");
    let id = browser.session();
    let mut thief = browser.clone();
    pass(Duration::from_millis(3100));
    let successor = browser.get("/api/me");
    let [cookie] = successor.set_cookies()[..] else { panic!("{:?}", successor.set_cookies()) };
    assert!(!cookie.contains(&thief.cookies[0].1));
    let again = thief.clone().get("/api/me");
    assert_eq!(again.set_cookies(), [cookie], "a parallel request gets the same successor");
    assert_eq!(browser.session(), id, "the successor is proven");
    demo.logs(&["session.rotated", "user.id=\"anna\""]);
    let retired = thief.get("/api/me");
    assert_eq!((retired.json()["owner"].as_str(), retired.set_cookies().len()), (Some("anna"), 0), "in its grace");
    pass(Duration::from_millis(2100));
    let stolen = thief.get("/api/me");
    assert_eq!(stolen.json()["owner"], Value::Null);
    assert!(matches!(stolen.set_cookies()[..], [removal] if removal.contains("=; Path=/; Max-Age=0; ")));
    assert_eq!(browser.owner(), Value::Null, "the session is gone for both");
    let of_whom = ["user.id=\"anna\"", &id, "http.route=\"/api/me\"", "client.address=127.0.0.1"];
    demo.logs(&["WARN", "session.theft", of_whom[0], of_whom[1], of_whom[2], of_whom[3]]);
}

fn a_lost_answer_ends_nothing(store: &str) {
    let demo = Demo::start(store, &ROTATING);
    let mut browser = demo.browser();
    browser.register("anna");
    pass(Duration::from_millis(3100));
    let mut successors = Vec::new();
    for _ in 0..3 {
        // The browser never sees the answer.
        successors.push(browser.clone().get("/api/me").set_cookies()[0].to_owned());
        pass(HALF);
    }
    successors.dedup();
    assert_eq!(successors.len(), 1, "a pending successor is never replaced");
    assert_eq!(browser.owner(), "anna");
    assert_eq!(browser.owner(), "anna");
    assert!(!demo.has_logged(&["session.theft"]));
}
