//! The option to log out when a tab closes.

use serde_json::Value;

use crate::browser::{
    chromium::{Chromium, until},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    closing_the_tab_logs_out_only_if_that_was_asked_for
}

async fn closing_the_tab_logs_out_only_if_that_was_asked_for() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    let plain = profile.new_tab().await;
    profile.open("/").await;
    profile.click("#tab-option").await;
    let asked = profile.driver.window().await.unwrap();

    // A tab that did not ask.
    profile.turn_to(plain).await;
    profile.driver.close_window().await.unwrap();
    profile.turn_to(asked.clone()).await;
    // Going to another page of the site is not closing the tab.
    profile.click("a[href='/devices']").await;
    profile.sees("Your devices").await;
    profile.driver.refresh().await.unwrap();
    profile.sees("Your devices").await;
    assert_eq!(profile.owner().await, "user42");

    profile.new_tab().await;
    profile.open("/").await;
    profile.sees("Hello, user42").await;
    let witness = profile.driver.window().await.unwrap();
    profile.turn_to(asked).await;
    profile.driver.close_window().await.unwrap();
    profile.turn_to(witness).await;
    until("the user is logged out", async || profile.owner().await == Value::Null).await;
}
