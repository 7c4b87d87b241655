//! Everybody can use the pages: on narrow screens, with dark colours, by keyboard and by ear.

use serde_json::json;

use crate::browser::{
    chromium::{Chromium, Profile},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    axe_finds_nothing_on_any_page_in_any_state_and_no_page_is_too_wide
}

/// The longest name that is allowed.
const NAME: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl";

/// Checks the page in both themes, as wide as a small phone and as wide as a desk.
async fn is_good(profile: &Profile, state: &str) {
    for theme in ["light", "dark"] {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        profile.command("Emulation.setEmulatedMedia", media).await;
        for width in [320, 1200] {
            profile.is_wide(width).await;
            let state = format!("{state}, {theme}, {width} pixels wide");
            let excess = profile.run("return document.documentElement.scrollWidth - innerWidth").await;
            assert!(excess.as_i64().unwrap() <= 0, "{state}: {excess} pixels too wide");
            profile.is_accessible(&state).await;
        }
    }
}

async fn send(profile: &Profile, action: &str, note: &str) {
    let script = "const [action, note] = arguments;
                  const form = Object.assign(document.createElement('form'), { method: 'post', action });
                  form.append(Object.assign(document.createElement('input'), { name: 'note', value: note }));
                  document.body.append(form);
                  form.submit();";
    profile.driver.execute(script, vec![json!(action), json!(note)]).await.unwrap();
}

async fn axe_finds_nothing_on_any_page_in_any_state_and_no_page_is_too_wide() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let (profile, other) = (chromium.profile(&demo).await, chromium.profile(&demo).await);
    for path in
        ["/", "/login", "/login?why=ended", "/login?next=%2Fdevices", "/register", "/promises", "/nowhere", "/note"]
    {
        profile.open(path).await;
        is_good(&profile, path).await;
    }
    profile.open("/promises").await;
    profile.press("Steal the database").await;
    profile.sees("What the database has").await;
    is_good(&profile, "a play").await;
    profile.open("/login").await;
    profile.send_form("nobody", "Log in").await;
    profile.sees("The name or the password is wrong.").await;
    profile.run("document.getElementById('stood').hidden = false").await;
    is_good(&profile, "a wrong password").await;
    send(&profile, "/note", NAME).await;
    profile.sees("your text is not saved yet").await;
    is_good(&profile, "a note without a login").await;

    profile.register(NAME).await;
    is_good(&profile, "home").await;
    profile.press("Save").await;
    profile.sees("Your note is saved.").await;
    is_good(&profile, "a saved note").await;
    other.log_in(NAME).await;
    for path in ["/devices", "/devices/end-others"] {
        profile.open(path).await;
        is_good(&profile, path).await;
    }
    profile.open("/devices").await;
    profile.press("End").await;
    profile.sees("will have to log in again.").await;
    is_good(&profile, "a question").await;
    profile.open("/").await;
    profile.run("document.getElementById('warning').showModal()").await;
    is_good(&profile, "the warning").await;
    send(&profile, "/cart", NAME).await;
    profile.sees("Not understood").await;
    is_good(&profile, "an error with what was typed").await;
}
