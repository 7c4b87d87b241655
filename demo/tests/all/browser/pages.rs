//! The pages as a person uses them.

use serde_json::json;

use crate::browser::{
    chromium::{Chromium, Profile, until},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    the_buttons_change_their_numbers_and_neither_scroll_nor_fill_the_history
    an_expiry_keeps_the_note_for_its_writer_alone
    a_stale_tab_keeps_the_note_over_a_login
    a_login_leads_to_the_page_that_asked_for_it
    a_login_form_that_has_stood_for_too_long_says_so_before_one_types
}

async fn note(profile: &Profile) -> String {
    profile.find("#note").await.value().await.unwrap().unwrap_or_default()
}

async fn the_buttons_change_their_numbers_and_neither_scroll_nor_fill_the_history() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    profile.is_wide(320).await;
    profile.type_into("#note", "not saved").await;
    let more = "button[aria-label='One Coffee, 250 g more']";
    profile.run(&format!("document.querySelector(\"{more}\").scrollIntoView()")).await;
    let place = "return [scrollY, history.length, performance.timeOrigin]";
    let before = profile.run(place).await;
    assert!(before[0].as_f64().unwrap() > 0.0, "{before}");
    for _ in 0..3 {
        profile.click(more).await;
    }
    until("the cart has three", async || profile.find("#cart-coffee").await.text().await.unwrap() == "3").await;
    profile.click("button[aria-label='One Coffee, 250 g less']").await;
    until("the cart has two", async || profile.find("#cart-coffee").await.text().await.unwrap() == "2").await;
    assert_eq!(profile.find("#total").await.text().await.unwrap(), "€ 13.80");
    assert_eq!(profile.run(place).await, before, "the same page at the same place");
    assert_eq!(note(&profile).await, "not saved");
    profile.press("Add one").await;
    profile.counts("1").await;
    assert_eq!(profile.api("/api/data").await, json!({ "cart": { "coffee": 2 }, "counter": 1 }));
}

async fn an_expiry_keeps_the_note_for_its_writer_alone() {
    let (demo, chromium) = (Demo::start(SQLITE, &["--idle", "12s"]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    profile.type_into("#note", "bread, milk").await;
    profile.is_at("/login?why=ended").await;
    assert!(!profile.seen().await.contains("bread"));
    profile.register("user43").await;
    assert_eq!(note(&profile).await, "");
    // The session ends by itself here. A logout would clear what the tab has kept.
    profile.is_at("/login?why=ended").await;
    profile.log_in("user42").await;
    profile.sees("Your text is back, and not saved yet").await;
    assert_eq!(note(&profile).await, "bread, milk");
    profile.press("Save").await;
    profile.sees("Your note is saved.").await;
    assert!(!profile.seen().await.contains("Your text is back"));
    assert_eq!(note(&profile).await, "bread, milk");
}

async fn a_stale_tab_keeps_the_note_over_a_login() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    let stale = profile.driver.window().await.unwrap();
    profile.new_tab().await;
    profile.open("/").await;
    profile.press("Log out").await;
    profile.sees("You are logged out.").await;
    profile.turn_to(stale).await;
    profile.type_into("#note", "bread, milk").await;
    profile.press("Save").await;
    profile.sees("your text is not saved yet").await;
    profile.enter("user42", "Log in").await;
    profile.sees("not saved yet").await;
    assert_eq!(note(&profile).await, "bread, milk");
    profile.press("Save").await;
    profile.sees("Your note is saved.").await;
}

async fn a_login_leads_to_the_page_that_asked_for_it() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.open("/devices").await;
    profile.is_at("/login?next=%2Fdevices").await;
    profile.click("main a[href='/register?next=%2Fdevices']").await;
    profile.is_at("/register?next=%2Fdevices").await;
    profile.send_form("user42", "Register").await;
    profile.is_at("/devices").await;
}

async fn a_login_form_that_has_stood_for_too_long_says_so_before_one_types() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.open("/login?next=%2Fdevices").await;
    let too_long = "This form is more than an hour old.";
    profile.click("input[name=user]").await;
    assert!(!profile.seen().await.contains(too_long));
    profile.run("const now = Date.now; Date.now = () => now() + 3600 * 1000; document.activeElement.blur()").await;
    profile.click("input[name=password]").await;
    profile.sees(too_long).await;
    profile.click("#stood a").await;
    profile.is_at("/login?next=%2Fdevices").await;
    profile.sees("Password").await;
    assert!(!profile.seen().await.contains(too_long));
}
