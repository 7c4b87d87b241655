//! The calls that a request costs, counted at the store.

use std::time::Duration;

use crate::site::{Demo, pass};

over_both_stores! {
    what_is_not_asked_for_costs_nothing
    what_is_read_costs_one_call_and_what_is_changed_two
    a_login_costs_three_calls_or_one
    a_promotion_costs_one_call_once_a_rotation
}

fn what_is_not_asked_for_costs_nothing(store: &str) {
    let demo = Demo::start(store, &["--lab"]);
    let mut browser = demo.browser();
    browser.register("anna");
    for path in ["/api/ping", "/assets/site.css", "/nowhere"] {
        assert_eq!(demo.calls(|| drop(browser.get(path))), 0, "{path}");
    }
    assert_eq!(demo.calls(|| drop(demo.browser().get("/"))), 0, "nobody's page");
    assert_eq!(demo.calls(|| drop(demo.browser().post("/logout"))), 0, "nobody's logout");
}

fn what_is_read_costs_one_call_and_what_is_changed_two(store: &str) {
    let demo = Demo::start(store, &["--lab"]);
    let mut browser = demo.browser();
    assert_eq!(demo.calls(|| drop(browser.put("/api/data/key", "1"))), 1, "a new session");
    assert_eq!(demo.calls(|| drop(browser.get("/api/data"))), 1, "a read");
    assert_eq!(demo.calls(|| drop(browser.get("/"))), 1, "a page");
    assert_eq!(demo.calls(|| drop(browser.put("/api/data/key", "1"))), 1, "an unchanged insert");
    assert_eq!(demo.calls(|| drop(browser.put("/api/data/key", "2"))), 2, "a change");
    assert_eq!(demo.calls(|| drop(browser.post("/api/counter"))), 2, "an update");
    assert_eq!(demo.calls(|| drop(browser.post("/api/take/nothing"))), 1, "nothing to take");
    assert_eq!(demo.calls(|| drop(browser.delete("/api/data/key"))), 2, "a removal");
    assert_eq!(demo.calls(|| drop(browser.delete("/api/data/key"))), 1, "of what is not there");
    assert_eq!(demo.calls(|| drop(browser.post("/logout"))), 2, "a logout");
    assert_eq!(demo.calls(|| drop(browser.get("/api/me"))), 0, "the cookie is gone");
}

fn a_login_costs_three_calls_or_one(store: &str) {
    let demo = Demo::start(store, &["--lab"]);
    let mut browser = demo.browser();
    assert_eq!(demo.calls(|| drop(browser.register("anna"))), 1);
    let mut browser = demo.browser();
    assert_eq!(demo.calls(|| drop(browser.login("anna"))), 1);
    assert_eq!(demo.calls(|| drop(browser.login("anna"))), 3, "over a login");
    let mut browser = demo.browser();
    browser.post("/api/counter");
    assert_eq!(demo.calls(|| drop(browser.login("anna"))), 3, "over a stranger's session");
    let mut browser = demo.browser();
    assert_eq!(demo.calls(|| drop(browser.send("POST", "/login", "user=anna&password=wrong"))), 0);
}

fn a_promotion_costs_one_call_once_a_rotation(store: &str) {
    let demo = Demo::start(store, &["--lab", "--rotate", "2s", "--grace", "1s"]);
    let mut browser = demo.browser();
    browser.register("anna");
    assert_eq!(demo.calls(|| drop(browser.get("/api/me"))), 1);
    pass(Duration::from_millis(2100));
    assert_eq!(demo.calls(|| drop(browser.get("/api/me"))), 2, "it is due: a successor is stored");
    assert_eq!(demo.calls(|| drop(browser.get("/api/me"))), 2, "the successor comes back");
    assert_eq!(demo.calls(|| drop(browser.get("/api/me"))), 1);
}
