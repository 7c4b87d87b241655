//! The commit: what it saves, and when.

use std::{panic::resume_unwind, time::Duration};

use crate::{adapter::trial::Trial, faulty::HeldAt};

/// How long a slow store writes.
const SLOW: Duration = Duration::from_secs(1);

const STATUSES: [u16; 6] = [200, 204, 302, 304, 404, 500];

pub(crate) fn the_session_is_saved_before_the_head_leaves_whatever_the_status(trial: &Trial) {
    let site = trial.site();
    for status in STATUSES {
        let mut browser = site.browser();
        site.store().calls();
        let head = browser.head("GET", &format!("/put.count.7/location/status.{status}"), &[]);
        assert_eq!(site.store().calls(), 1, "writes until the head of a {status} has come");
        assert_eq!(head.status, status);
        let cookies = head.headers.cookies(&site.cookie()).len();
        assert_eq!(cookies, 1, "the cookie of a new session leaves with a {status}: {:?}", head.headers);
        assert_eq!(head.headers.get("location").as_deref(), Some("/elsewhere"), "the handler's headers stay");
        // The body has not been read.
        assert_eq!(browser.get("/get.count").text(), "7", "what was stored before a {status}");
    }
}

pub(crate) fn no_head_leaves_before_a_slow_save_has_ended(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.1");
    site.store().hold_writes(Some((site.gate().clone(), HeldAt::Call)));
    let mut sent = browser.send("GET", "/put.count.2/say.saved", &[], b"");
    assert!(site.gate().is_reached_within(site.deadline()), "no write has come to the store");
    // An adapter that waits for the store passes, however busy the machine is.
    assert!(
        !sent.is_answered_within(SLOW),
        "an answer has come before the store had saved anything. It says that something is saved which may be lost in the \
         end. Does the layer wait for the commit, without a timeout of its own?"
    );
    site.store().hold_writes(None);
    site.gate().open();
    let Some(head) = sent.head() else { panic!("the server has closed the connection of a slow save") };
    let answer = head.body();
    assert_eq!((answer.status, answer.text()), (200, "saved"), "the answer after a slow save");
    assert_eq!(browser.get("/get.count").text(), "2", "what was saved slowly");
}

pub(crate) fn changes_are_committed_whatever_the_method(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    for (method, number) in [("GET", 1), ("POST", 2), ("PUT", 3), ("PATCH", 4), ("DELETE", 5), ("OPTIONS", 6)] {
        let answer = browser.ask(method, &format!("/put.count.{number}/method"), &[]);
        assert_eq!(
            (answer.status, answer.text()),
            (200, method),
            "the answer of the handler, which serves each method"
        );
        let stored = browser.get("/get.count");
        assert_eq!(stored.text(), number.to_string(), "what is stored after {method}, which has put {number}");
        let mut visitor = site.browser();
        visitor.ask(method, "/put.count.7", &[]);
        assert_eq!(visitor.cookies.len(), 1, "cookies of a session that {method} has made");
    }
}

pub(crate) fn a_204_sends_cookies_as_any_other_status_does(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    for (path, is_kept, what) in [
        ("/put.count.7/status.204", 1, "the cookie of a new session"),
        ("/login.42/status.204", 1, "the new cookie of a login"),
        ("/logout/status.204", 0, "the removal of the cookie by a logout"),
    ] {
        let answer = browser.get(path);
        assert_eq!((answer.status, answer.text()), (204, ""), "{path}");
        let cookies = answer.headers.cookies(&site.cookie()).len();
        assert_eq!((cookies, browser.cookies.len()), (1, is_kept), "{what} leaves with a 204: {:?}", answer.headers);
    }
}

pub(crate) fn the_handler_s_cookies_and_vary_stand_beside_those_of_the_session(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    for path in ["/put.count.7", "/login.42", "/logout"] {
        let answer = browser.get(&format!("{path}/cookie.theme/cookie.language/vary.accept-language/vary.origin"));
        assert_eq!(answer.status, 200, "the answer to {path}");
        for cookie in ["theme", "language", &site.cookie()] {
            assert_eq!(
                answer.headers.cookies(cookie).len(),
                1,
                "`Set-Cookie` lines of the cookie {cookie} in the answer to {path}: without its own line, a browser does not \
                 get that cookie. Is a line appended beside those of the handler, and neither put in their place nor joined \
                 with them? {:?}",
                answer.headers
            );
        }
        for element in ["accept-language", "origin", "cookie"] {
            assert!(
                answer.headers.has("vary", element),
                "`Vary` does not name {element} in the answer to {path}: a cache gives the page of one visitor to another. Do \
                 all lines of the handler's `Vary` stay? {:?}",
                answer.headers
            );
        }
    }
}

pub(crate) fn a_failed_save_is_told_whatever_the_status_was(trial: &Trial) {
    let site = trial.site();
    site.store().fail_writes(true);
    for status in STATUSES {
        let answer = site.browser().get(&format!("/put.count.7/location/status.{status}"));
        assert_eq!(answer.status, 503, "the save has failed, and the handler has said {status}");
        assert!(answer.headers.get("location").is_none(), "the handler's headers do not leave with a failed save");
    }
}

pub(crate) fn a_session_that_was_ended_leaves_the_response_as_it_is(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/login.42");
    let mut late = site.browser();
    late.cookies = browser.cookies.clone();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| late.get("/put.count.7/wait/say.done/status.404"));
        assert!(site.gate().is_reached_within(site.deadline()), "no handler was called");
        browser.get("/logout");
        site.gate().open();
        let answer = waiting.join().unwrap_or_else(|panic| resume_unwind(panic));
        assert_eq!((answer.status, answer.text()), (404, "done"), "the session was ended while the handler ran");
        assert!(answer.headers.cookies(&site.cookie()).is_empty(), "no cookie leaves: {:?}", answer.headers);
    });
}

pub(crate) fn a_handler_s_error_is_committed(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let answer = browser.get("/put.count.7/error");
    assert_eq!(answer.status, 503, "the status of the error that the handler has returned");
    assert!(answer.body.is_empty(), "what went wrong is nobody's business outside: {:?}", answer.text());
    assert_eq!(browser.get("/get.count").text(), "7", "what the handler had changed before its error");
}

pub(crate) fn a_stream_saves_after_the_head_has_left(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let head = browser.head("GET", "/put.count.7/stream/wait/put.count.8/save/add_now.count/add.count", &[]);
    assert_eq!((head.status, browser.get("/get.count").text()), (200, "7"), "before the body has begun");
    site.gate().open();
    let streamed = head.body();
    assert_eq!(streamed.text(), "9 update_after_response", "what the body says of its steps");
    assert_eq!(browser.get("/get.count").text(), "9", "what the body has saved");
    let head = site.browser().head("GET", "/session/stream/put.count.8/save", &[]);
    assert_eq!(head.body().text(), "response_sent", "a session that no cookie can leave for is not made");
}

pub(crate) fn a_head_request_has_the_headers_of_its_get(trial: &Trial) {
    let site = trial.site();
    let answer = site.browser().ask("HEAD", "/put.count.7/say.hello/vary.accept-language", &[]);
    assert_eq!((answer.status, answer.headers.cookies(&site.cookie()).len()), (200, 1), "{:?}", answer.headers);
    for element in ["cookie", "accept-language"] {
        assert!(answer.headers.has("vary", element), "`Vary` names {element}: {:?}", answer.headers);
    }
    site.store().fail_writes(true);
    assert_eq!(site.browser().ask("HEAD", "/put.count.7", &[]).status, 503, "the save has failed");
}
