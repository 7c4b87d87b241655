//! The warning before the idle timeout.

use crate::browser::{
    chromium::{Chromium, Profile},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    the_warning_keeps_who_answers_and_logs_out_who_does_not
    save_and_leave_keeps_the_work_and_logs_out
}

/// An idle timeout that is long enough for a busy machine to press a button in its last third.
const IDLE: [&str; 2] = ["--idle", "12s"];

async fn is_warned(profile: &Profile) {
    profile.find("#warning[open]").await;
    assert_eq!(profile.owner().await, "user42", "the warning comes in time");
}

async fn the_warning_keeps_who_answers_and_logs_out_who_does_not() {
    let (demo, chromium) = (Demo::start(SQLITE, &IDLE), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    is_warned(&profile).await;
    let before = profile.api("/api/status").await["expires_in"].as_f64().unwrap();
    profile.click("#stay").await;
    profile.is_gone("#warning[open]").await;
    let after = profile.api("/api/status").await["expires_in"].as_f64().unwrap();
    assert!(before < 6.0 && after > 6.0, "{before} {after}");
    profile.is_at("/login?why=ended").await;
    profile.sees("Your session has ended.").await;
    assert!(!profile.seen().await.contains("user42"));
}

async fn save_and_leave_keeps_the_work_and_logs_out() {
    let (demo, chromium) = (Demo::start(SQLITE, &IDLE), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    profile.type_into("#note", "bread, milk").await;
    is_warned(&profile).await;
    profile.click("#leave").await;
    profile.is_at("/login?why=saved").await;
    assert_eq!(profile.owner().await, serde_json::Value::Null);
    profile.log_in("user42").await;
    assert_eq!(profile.find("#note").await.value().await.unwrap().as_deref(), Some("bread, milk"));
}
