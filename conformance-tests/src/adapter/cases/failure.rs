//! The responses when the store fails.

use crate::adapter::trial::Trial;

pub(crate) fn a_failed_save_is_an_empty_answer_with_the_status_of_the_error(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.7");
    site.store().fail_writes(true);
    let answer = browser.get("/put.count.8/say.saved/location/cache.public/shared.public");
    assert_eq!((answer.status, answer.text()), (503, ""), "what was to be saved is not, so nothing may say that it is");
    for name in ["location", "cdn-cache-control"] {
        assert!(answer.headers.get(name).is_none(), "the handler's {name} does not leave: {:?}", answer.headers);
    }
    assert_eq!(answer.headers.get("cache-control").as_deref(), Some("no-store"), "the cache-control of an error");
    assert_eq!(answer.headers.get("retry-after").as_deref(), Some("5"), "when to try again, in seconds");
    assert!(answer.headers.cookies(&site.cookie()).is_empty(), "no cookie of ours leaves: {:?}", answer.headers);
    site.store().fail_writes(false);
    assert_eq!(browser.get("/get.count").text(), "7", "what was stored before");
}

pub(crate) fn a_failed_save_leaves_the_cookies_and_vary_of_others(trial: &Trial) {
    let site = trial.site();
    site.store().fail_writes(true);
    let answer = site.browser().get("/put.count.7/cookie.theme/cookie.language/vary.accept-language");
    assert_eq!(answer.status, 503);
    for cookie in ["theme", "language"] {
        let lines = answer.headers.cookies(cookie).len();
        assert_eq!(lines, 1, "the cookie {cookie} of the handler leaves all the same: {:?}", answer.headers);
    }
    for element in ["cookie", "accept-language"] {
        assert!(answer.headers.has("vary", element), "`Vary` names {element}: {:?}", answer.headers);
    }
}

pub(crate) fn a_login_leaves_its_cookie_though_a_later_save_fails(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let answer = browser.get("/login.42/fail_writes/put.count.7");
    assert_eq!((answer.status, answer.text()), (503, ""));
    assert_eq!(answer.headers.cookies(&site.cookie()).len(), 1, "the login's cookie: {:?}", answer.headers);
    assert_eq!(answer.headers.get("cache-control").as_deref(), Some("no-store"), "the cache-control beside a cookie");
    site.store().fail_writes(false);
    assert_eq!(browser.get("/owner").text(), "42", "the login had succeeded");
}

pub(crate) fn a_logout_leaves_its_removal_though_a_later_save_fails(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/login.42");
    let answer = browser.get("/logout/fail_writes/put.count.7");
    assert_eq!((answer.status, answer.text()), (503, ""));
    let removals = answer.headers.cookies(&site.cookie()).len();
    assert_eq!((removals, browser.cookies.len()), (1, 0), "the logout's removal: {:?}", answer.headers);
}

pub(crate) fn a_store_that_cannot_be_read_is_an_error_and_no_empty_session(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.7");
    site.store().fail_reads(true);
    let answer = browser.get("/get.count");
    assert_eq!((answer.status, answer.text()), (503, ""), "a page that asks for its session");
    assert_eq!(answer.headers.get("cache-control").as_deref(), Some("no-store"), "the cache-control of an error");
    assert_eq!(answer.headers.get("retry-after").as_deref(), Some("5"), "when to try again, in seconds");
    assert!(answer.headers.get("set-cookie").is_none(), "no cookie leaves: {:?}", answer.headers);
    assert_eq!(browser.get("/say.hello").text(), "hello", "a page that does not ask for its session");
    site.store().fail_reads(false);
    assert_eq!(browser.get("/get.count").text(), "7", "the session is as it was");
}
