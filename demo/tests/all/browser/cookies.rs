//! The cookie as the browser has stored it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thirtyfour::SameSite;

use crate::browser::{
    chromium::{Chromium, until},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    the_cookie_is_out_of_reach_of_scripts_and_of_other_sites_forms
    a_login_ends_with_the_browser_unless_it_is_to_be_remembered
    the_production_cookie_is_stored_where_the_browser_trusts_the_connection_and_nowhere_else
    an_honest_browser_stays_logged_in_while_its_token_rotates
}

async fn the_cookie_is_out_of_reach_of_scripts_and_of_other_sites_forms() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    let cookie = profile.session_cookie().await.unwrap();
    assert_eq!((cookie.http_only, cookie.secure), (Some(true), Some(false)));
    assert_eq!((cookie.path.as_deref(), cookie.domain.as_deref()), (Some("/"), Some("127.0.0.1")));
    assert!(matches!(cookie.same_site, Some(SameSite::Lax)));
    assert_eq!(cookie.expiry, None);
    assert_eq!(profile.driver.execute("return document.cookie", Vec::new()).await.unwrap().json(), "");
}

async fn a_login_ends_with_the_browser_unless_it_is_to_be_remembered() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    let profile = chromium.profile_in(profile.quit(), &demo).await;
    profile.open("/").await;
    profile.sees("Hello, stranger").await;

    profile.open("/login").await;
    profile.click("input[name=remember]").await;
    profile.enter("user42", "Log in").await;
    let expiry = profile.session_cookie().await.unwrap().expiry.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = Duration::from_secs(expiry.try_into().unwrap()).saturating_sub(now);
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    assert!((days(29)..=days(30)).contains(&left), "{left:?}");
    let profile = chromium.profile_in(profile.quit(), &demo).await;
    profile.open("/").await;
    profile.sees("Hello, user42").await;
}

async fn the_production_cookie_is_stored_where_the_browser_trusts_the_connection_and_nowhere_else() {
    let (demo, chromium) = (Demo::start(SQLITE, &["--trusted-proxy", "127.0.0.1"]), Chromium::start());
    let profile = chromium.profile(&demo).await.calling_it("localhost");
    profile.register("user42").await;
    let cookie = profile.cookie("__Host-session").await.unwrap();
    assert_eq!((cookie.http_only, cookie.secure), (Some(true), Some(true)));
    assert_eq!((cookie.path.as_deref(), cookie.domain.as_deref()), (Some("/"), Some("localhost")));
    assert!(matches!(cookie.same_site, Some(SameSite::Lax)));

    assert!(!demo.has_logged(&["WARN session", "session.insecure_transport"]));

    let profile = chromium.profile(&demo).await.calling_it("shop.test");
    profile.open("/login").await;
    profile.send_form("user42", "Log in").await;
    profile.sees("Hello, stranger").await;
    assert!(profile.cookie("__Host-session").await.is_none());
    // No proxy says that it is http. The `Origin` of the form does.
    demo.logs(&["WARN session", "session.insecure_transport", "a page of this host", "redirect http to https"]);
}

async fn an_honest_browser_stays_logged_in_while_its_token_rotates() {
    let (demo, chromium) = (Demo::start(SQLITE, &["--rotate", "4s", "--grace", "3s"]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    let mut tokens = Vec::new();
    until("the token has rotated twice", async || {
        let answers = profile.apis("/api/me", 8).await;
        assert!(answers.iter().all(|answer| answer["owner"] == "user42"), "{answers:?}");
        tokens.push(profile.session_cookie().await.unwrap().value);
        tokens.dedup();
        tokens.len() == 3
    })
    .await;
}
