//! The headers by which a response tells caches how private it is.

use crate::adapter::{
    client::{Browser, Received},
    trial::{Mounting, Trial},
};

fn cache_control(answer: &Received) -> Option<String> {
    answer.headers.get("cache-control")
}

/// Asks for the path, and checks the `Cache-Control` of the page, also with a 304.
#[track_caller]
fn says(browser: &mut Browser, path: &str, expected: Option<&str>, what: &str) {
    for path in [path, &format!("{path}/status.304")] {
        let answer = browser.get(path);
        assert_eq!(cache_control(&answer).as_deref(), expected, "the cache-control of {what}: {path}");
        assert!(answer.headers.has("vary", "cookie"), "{path} varies with the cookie: {:?}", answer.headers);
    }
}

pub(crate) fn a_page_is_as_private_as_the_session_that_it_has_read(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    says(&mut browser, "/get.count", None, "a page for everybody without a session");
    browser.get("/add.count");
    says(&mut browser, "/get.count", Some("private, no-cache"), "a page of a visitor");
    browser.get("/login.42");
    says(&mut browser, "/get.count", Some("no-store"), "a page of a user");
    for what in ["the answer to a logout", "the answer to a logout of nobody"] {
        assert_eq!(cache_control(&browser.get("/logout")).as_deref(), Some("no-store"), "the cache-control of {what}");
    }
}

pub(crate) fn the_handler_s_word_to_caches_stands_but_beside_a_cookie(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let answer = browser.get("/add.count/cache.private/shared.public");
    assert_eq!(cache_control(&answer).as_deref(), Some("no-store"), "the cache-control beside a cookie");
    assert!(answer.headers.get("cdn-cache-control").is_none(), "no word to shared caches stays: {:?}", answer.headers);
    let answer = browser.get("/get.count/cache.private/shared.no-cache");
    assert_eq!(cache_control(&answer).as_deref(), Some("private"), "the handler's own cache-control");
    assert_eq!(answer.headers.get("cdn-cache-control").as_deref(), Some("no-cache"), "its word to shared caches");
}

pub(crate) fn of_two_sessions_the_more_private_one_tells_caches(trial: &Trial) {
    let site = trial.mount(Mounting::new().with_second(super::beside::second()));
    for (path, expected) in [
        ("/add.count/second/add.count", "private, no-cache"),
        ("/login.42/second/add.count", "no-store"),
        ("/add.count/second/login.42", "no-store"),
    ] {
        let mut browser = site.browser();
        browser.get(path);
        let answer = browser.get("/get.count/second/get.count");
        assert_eq!(cache_control(&answer).as_deref(), Some(expected), "the cache-control of a page after {path}");
    }
}
