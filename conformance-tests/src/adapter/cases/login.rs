//! Logins and logouts.

use crate::adapter::trial::Trial;

pub(crate) fn a_login_changes_the_token_and_the_old_one_opens_nothing(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/add.count");
    let before = browser.cookies.clone();
    let answer = browser.get("/login.42");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers.cookies(&site.cookie()).len(), 1, "a login sends one cookie: {:?}", answer.headers);
    assert_ne!(browser.cookies, before, "the token of before the login goes on after it");
    assert_eq!(browser.get("/owner/get.count").text(), "42 1", "the login, and what was stored before it");
    let mut old = site.browser();
    old.cookies = before;
    assert_eq!(old.get("/owner/get.count").text(), "nobody none", "with the token of before the login");
}

pub(crate) fn a_logout_removes_the_cookie(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/login.42");
    let before = browser.cookies.clone();
    let answer = browser.get("/logout");
    let removals = answer.headers.cookies(&site.cookie());
    assert!(
        matches!(removals[..], [removal] if removal.contains("Max-Age=0")),
        "a logout sends one cookie, which removes: {removals:?}"
    );
    assert!(browser.cookies.is_empty());
    browser.cookies = before;
    assert_eq!(browser.get("/owner").text(), "nobody", "with the token of before the logout");
}
