//! Logins and logouts.

use std::collections::BTreeSet;

use session_core::{CookieConfig, SameSite, SiteData};

use crate::adapter::{
    client::Received,
    trial::{Mounting, Trial},
};

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

pub(crate) fn a_logout_tells_browsers_what_to_clear(trial: &Trial) {
    let site = trial.mount(Mounting::new().with(|manager| manager.with_clear_site_data([SiteData::Cache])));
    let mut browser = site.browser();
    browser.get("/login.42");
    let answer = browser.get("/logout");
    assert_eq!(
        answer.headers.get("clear-site-data").as_deref(),
        Some("\"cache\""),
        "`Clear-Site-Data` of a logout. Without it the pages of the user stay in the browser. Are all changes of the exchange \
         applied, also those of other headers than `Set-Cookie`? {:?}",
        answer.headers
    );
}

/// The attributes of the one cookie of this name, but those that say how long it is kept. Their order tells nothing.
#[track_caller]
fn attributes<'a>(answer: &'a Received, cookie: &str) -> BTreeSet<&'a str> {
    let lines = answer.headers.cookies(cookie);
    let [line] = lines[..] else { panic!("the answer has not one cookie {cookie}: {:?}", answer.headers) };
    let is_time = |attribute: &&str| ["Max-Age=", "Expires="].iter().any(|known| attribute.starts_with(known));
    line.split(';').skip(1).map(str::trim).filter(|attribute| !is_time(attribute)).collect()
}

pub(crate) fn the_cookie_has_the_attributes_that_the_site_has_chosen(trial: &Trial) {
    let lax = CookieConfig::builder("lax").secure(false).build().unwrap();
    let strict = CookieConfig::builder("strict").same_site(SameSite::Strict).domain("shop.example").path("/shop");
    let open = CookieConfig::builder("open").http_only(false).same_site(SameSite::None).partitioned(true);
    for (cookie, expected) in [
        (lax, &["Path=/", "HttpOnly", "SameSite=Lax"][..]),
        (strict.build().unwrap(), &["Path=/shop", "Domain=shop.example", "Secure", "HttpOnly", "SameSite=Strict"]),
        (open.build().unwrap(), &["Path=/", "Secure", "SameSite=None", "Partitioned"]),
    ] {
        let site = trial.mount(Mounting::new().with(|manager| manager.with_cookie(cookie)));
        let (name, mut browser) = (site.cookie(), site.browser());
        for path in ["/login.42", "/logout"] {
            let answer = browser.get(path);
            assert_eq!(
                attributes(&answer, &name),
                expected.iter().copied().collect(),
                "the attributes of the cookie {name} in the answer to {path}. Without `HttpOnly` scripts can steal a login, \
                 without `SameSite` other sites can use it, and without `Path` a browser leaves it out on other pages. Does \
                 the line leave as the exchange has made it?"
            );
        }
    }
}
