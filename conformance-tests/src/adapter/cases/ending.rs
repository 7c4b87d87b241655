//! Requests that end without a response.

use crate::{
    adapter::{
        Capability,
        trial::{Running, Trial},
    },
    faulty::HeldAt,
};

pub(crate) fn a_panic_commits_nothing(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.7");
    let answer = browser.send("GET", "/put.count.8/panic", &[], b"").head();
    if let Some(head) = answer {
        assert_eq!(head.status / 100, 5, "what a panic is answered, if anything");
        assert!(head.headers.cookies(&site.cookie()).is_empty(), "no cookie leaves: {:?}", head.headers);
    }
    assert_eq!(browser.get("/get.count").text(), "7", "what was stored before the panic");
}

pub(crate) fn an_answered_panic_has_the_cookie_of_its_login_and_is_private(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let advice = "does the answer to a panic get the changes of the exchange, though nothing is committed?";
    // Many servers answer no panic. They close the connection.
    if let Some(head) = browser.send("GET", "/login.42/panic", &[], b"").head() {
        assert_eq!(
            head.headers.cookies(&site.cookie()).len(),
            1,
            "cookies of a login before a panic. The login was saved at once, so the cookie of before it opens nothing any \
             more: {advice} {:?}",
            head.headers
        );
        assert!(head.headers.has("cache-control", "no-store"), "a cache keeps the cookie: {advice} {:?}", head.headers);
    }
    browser.get("/login.42");
    if let Some(head) = browser.send("GET", "/owner/panic", &[], b"").head() {
        assert!(
            head.headers.has("vary", "cookie") || head.headers.has("cache-control", "no-store"),
            "an error page that may show the session, and says so to no cache: another visitor may get it: {advice} {:?}",
            head.headers
        );
    }
}

pub(crate) fn a_request_that_is_dropped_saves_all_or_nothing(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.first.1/put.second.1");
    let sent = browser.send("GET", "/put.first.2/wait/put.second.2", &[], b"");
    assert!(site.gate().is_reached_within(site.deadline()), "no handler was called");
    drop(sent);
    let expected = if trial.has(Capability::DroppedRequests) {
        assert!(
            site.gate().is_left_within(site.deadline()),
            "the handler of a client that has hung up still waits: an adapter whose framework lets it lacks \
             `Capability::DroppedRequests`"
        );
        "1 1"
    } else {
        site.gate().open();
        until_both_are_saved(&site, &browser.cookies);
        "2 2"
    };
    assert_eq!(browser.get("/get.first/get.second").text(), expected, "the two values that the handler was to change");
}

pub(crate) fn a_request_that_is_dropped_while_it_saves_saves_all_or_nothing(trial: &Trial) {
    for (at, saved) in [(HeldAt::Call, "1 1"), (HeldAt::Answer, "2 2")] {
        let site = trial.site();
        let mut browser = site.browser();
        browser.get("/put.first.1/put.second.1");
        site.store().hold_writes(Some((site.gate().clone(), at)));
        let sent = browser.send("GET", "/put.first.2/put.second.2", &[], b"");
        assert!(site.gate().is_reached_within(site.deadline()), "no write has come to the store");
        drop(sent);
        let is_dropped = trial.has(Capability::DroppedRequests);
        if is_dropped {
            assert!(
                site.gate().is_left_within(site.deadline()),
                "the commit of a client that has hung up still waits: an adapter whose framework lets it lacks \
                 `Capability::DroppedRequests`"
            );
        } else {
            site.gate().open();
        }
        site.store().hold_writes(None);
        if !is_dropped {
            until_both_are_saved(&site, &browser.cookies);
        }
        let expected = if is_dropped { saved } else { "2 2" };
        let told = browser.get("/get.first/get.second");
        assert_eq!(told.text(), expected, "the two values, whose write was held at its {at:?}");
        assert_eq!(browser.get("/put.first.3/get.first").text(), "3", "the session goes on");
    }
}

fn until_both_are_saved(site: &Running, cookies: &[(String, String)]) {
    let mut browser = site.browser();
    browser.cookies = cookies.to_vec();
    let is_saved = site.holds_in_time(|| browser.get("/get.first").text() != "1");
    assert!(is_saved, "a handler that was not dropped has saved nothing");
}
