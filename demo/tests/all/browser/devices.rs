//! Two browsers of one user.

use thirtyfour::By;

use crate::browser::{
    chromium::{Chromium, Profile},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    what_a_stranger_counted_is_the_users_after_the_login_and_gone_after_the_logout
    a_session_is_ended_from_another_browser_of_the_user
}

async fn count_devices(profile: &Profile) -> usize {
    profile.open("/devices").await;
    profile.sees("Your devices").await;
    profile.driver.find_all(By::Css("main li")).await.unwrap().len()
}

async fn what_a_stranger_counted_is_the_users_after_the_login_and_gone_after_the_logout() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.open("/").await;
    profile.sees("Hello, stranger").await;
    assert!(profile.session_cookie().await.is_none(), "looking makes no session");
    for count in ["1", "2"] {
        profile.press("Add one").await;
        profile.counts(count).await;
    }
    let before = profile.session_cookie().await.unwrap().value;
    profile.register("user42").await;
    profile.counts("2").await;
    assert_ne!(profile.session_cookie().await.unwrap().value, before);
    profile.press("Log out").await;
    profile.sees("You are logged out.").await;
    assert!(profile.session_cookie().await.is_none(), "the browser has forgotten the cookie");
    profile.log_in("user42").await;
    profile.counts("0").await;
}

async fn a_session_is_ended_from_another_browser_of_the_user() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let (first, second) = (chromium.profile(&demo).await, chromium.profile(&demo).await);
    first.register("user42").await;
    second.log_in("user42").await;
    assert_eq!(count_devices(&first).await, 2);
    first.sees("this one").await;
    first.press("End").await;
    first.sees("will have to log in again.").await;
    first.press("Yes, end").await;
    first.sees("The session is ended.").await;
    first.is_gone("main li form").await;
    second.open("/").await;
    second.sees("Hello, stranger").await;

    second.log_in("user42").await;
    assert_eq!(count_devices(&second).await, 2);
    second.press("End all others").await;
    second.press("Yes, end").await;
    second.sees("1 other session is ended.").await;
    first.open("/devices").await;
    first.is_at("/login?next=%2Fdevices").await;
    assert_eq!(count_devices(&second).await, 1);
}
