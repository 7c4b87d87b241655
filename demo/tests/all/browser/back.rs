//! The back button after a logout.

use crate::browser::{
    chromium::Chromium,
    elsewhere::Elsewhere,
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    the_back_button_after_a_logout_shows_nothing_private
    a_page_that_comes_back_after_a_logout_in_another_tab_shows_nothing_private
}

async fn the_back_button_after_a_logout_shows_nothing_private() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    profile.click("a[href='/devices']").await;
    profile.sees("Your devices").await;
    profile.press("Log out").await;
    profile.sees("You are logged out.").await;

    profile.driver.back().await.unwrap();
    profile.is_at("/login?next=%2Fdevices").await;
    assert!(!profile.seen().await.contains("Your devices"));
    profile.driver.back().await.unwrap();
    profile.sees("Hello, stranger").await;
}

async fn a_page_that_comes_back_after_a_logout_in_another_tab_shows_nothing_private() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    let elsewhere = Elsewhere::serve("<h1>elsewhere</h1>");
    profile.register("user42").await;
    // If the browser keeps the page, it now goes into the memory for the way back.
    profile.driver.goto(elsewhere.page("elsewhere.test")).await.unwrap();
    let left = profile.new_tab().await;
    profile.open("/").await;
    profile.press("Log out").await;
    profile.sees("You are logged out.").await;

    profile.turn_to(left).await;
    profile.driver.back().await.unwrap();
    // This holds from the first moment on, not only once the page has been loaded again.
    assert!(!profile.seen().await.contains("user42"));
    profile.sees("Hello, stranger").await;
}
