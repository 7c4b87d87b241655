//! The plays that show the promises: what each shows, and what none of them may do.

use crate::site::{Answer, Demo, SQLITE};
use serde_json::{Value, json};

over_both_stores! {
    a_logout_under_a_slow_request_is_shown
    tabs_that_race_are_shown
    a_planted_cookie_is_shown
    a_stolen_database_is_shown
    a_stolen_cookie_is_shown
    a_logout_everywhere_is_shown
    both_timeouts_are_shown
    the_calls_of_the_store_are_shown
    an_outage_is_shown
}

const PLAYS: [&str; 9] = ["logout", "tabs", "planted", "database", "theft", "everywhere", "time", "reads", "outage"];

/// What the visitor reads below the button: a line for each step, and the verdict as the last one.
fn lines(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let shown = answer.body.split_once("<ol class=\"rows play\">").unwrap().1;
    let (steps, rest) = shown.split_once("</ol>").unwrap();
    let verdict = rest.split("</p>").next().unwrap();
    steps.split("</li>").chain([verdict]).map(without_tags).filter(|line| !line.is_empty()).collect()
}

fn without_tags(html: &str) -> String {
    html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
}

/// Plays it. Asserts that the verdict is good, and that lines like these come in this order: `…` is any text.
fn shows(store: &str, play: &str, wanted: &[&str]) -> Vec<String> {
    let demo = Demo::start(store, &[]);
    let lines = lines(&demo.browser().post(&format!("/promises/{play}")));
    assert!(lines.last().unwrap().starts_with("Kept. "), "{lines:#?}");
    let mut left = lines.iter();
    for wanted in wanted {
        assert!(left.any(|line| is_like(line, wanted)), "{wanted}: {lines:#?}");
    }
    lines
}

fn is_like(line: &str, wanted: &str) -> bool {
    let (start, rest) = wanted.split_once('…').unwrap_or((wanted, ""));
    let Some(left) = line.strip_prefix(start) else { return false };
    if start == wanted {
        return left.is_empty();
    }
    let mut parts: Vec<_> = rest.split('…').collect();
    let end = parts.pop().unwrap_or_default();
    let left = parts.iter().try_fold(left, |left, part| Some(left.split_once(part)?.1));
    left.is_some_and(|left| left.ends_with(end))
}

fn a_logout_under_a_slow_request_is_shown(store: &str) {
    shows(
        store,
        "logout",
        &[
            "The browser: POST /login without a cookie → 200 OK, “user 42 is logged in”, sets cookie …",
            "The slow tab asks…",
            "The browser: POST /logout with cookie … → 200 OK, “user 42 is logged out”, removes the cookie",
            "Now the slow request ends…",
            "The slow tab: POST /add/slowly with cookie … → 200 OK, “one more”",
            "The slow tab: GET /account with cookie … → 401 Unauthorized",
            "The store has no such session.",
        ],
    );
}

fn tabs_that_race_are_shown(store: &str) {
    shows(
        store,
        "tabs",
        &["Two tabs send 20 times … 20 are answered 200 OK.", "The browser: GET … has counted to 20”"],
    );
}

fn a_planted_cookie_is_shown(store: &str) {
    let wanted = [
        "The attacker: POST /add without a cookie → 200 OK, “one more”, sets cookie …",
        "The victim: POST /login with cookie … → 200 OK, “user 42 is logged in”, sets cookie …",
        "The victim: GET /account with cookie … → 200 OK, “user 42, who has counted to 1”",
        "The attacker: GET /account with cookie … → 401 Unauthorized",
        "An inventor: GET /account with cookie …AAAAAA → 401 Unauthorized",
        "The store was not even asked.",
    ];
    shows(store, "planted", &wanted);
}

fn a_stolen_database_is_shown(store: &str) {
    let lines = shows(
        store,
        "database",
        &[
            "The browser's cookie: …",
            "What the database has…",
            "The thief finds the hash of the secret…",
            "The thief: GET /account with cookie …AAAAAA → 401 Unauthorized",
            "It is not signed, so the store was not even asked.",
            "The browser: GET /account with cookie … → 200 OK, “user 42, who has counted to 0”",
            "The thief has stolen the site's key, too…",
            "The thief: GET /account with cookie … → 401 Unauthorized, removes the cookie",
            "The site gets the event session.theft.",
        ],
    );
    let record = lines.iter().find(|line| line.starts_with("What the database has")).unwrap();
    assert!(record.contains("play:"), "it is the record of the session: {record}");
}

fn a_stolen_cookie_is_shown(store: &str) {
    let wanted = [
        "The thief: GET /account with cookie … → 200 OK, “user 42, who has counted to 0”",
        "Fifteen minutes later…",
        "The browser: GET /account with cookie … → 200 OK, “user 42, who has counted to 0”, sets cookie …",
        "The browser: GET /account with cookie … → 200 OK, “user 42, who has counted to 0”",
        "The thief: GET /account with cookie … → 401 Unauthorized, removes the cookie",
        "The site gets the event session.theft.",
        "The browser: GET /account with cookie … → 401 Unauthorized",
    ];
    shows(store, "theft", &wanted);
}

fn a_logout_everywhere_is_shown(store: &str) {
    let wanted = [
        "The thief knows the password…",
        "The laptop: POST /end-others with cookie … → 200 OK, “1 ended”",
        "The thief: POST /login/slowly without a cookie → 409 Conflict",
        "The phone: GET /account with cookie … → 401 Unauthorized",
        "The laptop: GET /account with cookie … → 200 OK, “user 42, who has counted to 0”",
    ];
    shows(store, "everywhere", &wanted);
}

fn both_timeouts_are_shown(store: &str) {
    let inside = "The busy browser: GET /account with cookie … → 200 OK, “user 42, who has counted to 0”";
    let wanted = [
        "50 minutes…",
        inside,
        "100 minutes…",
        inside,
        "150 minutes…",
        inside,
        "185 minutes…",
        "The busy browser: GET /account with cookie … → 401 Unauthorized",
        "61 minutes…",
        "The idle browser: GET /account with cookie … → 401 Unauthorized",
    ];
    shows(store, "time", &wanted);
}

fn the_calls_of_the_store_are_shown(store: &str) {
    let calls = ["none", "none", "load", "load", "load, replace"].map(|calls| format!("Calls of the store: {calls}."));
    let lines = shows(store, "reads", &[]);
    let shown: Vec<_> = lines.iter().filter(|line| line.starts_with("Calls")).collect();
    assert_eq!(shown, calls.iter().collect::<Vec<_>>());
}

fn an_outage_is_shown(store: &str) {
    let wanted = [
        "Now the store fails…",
        "The browser: GET /account with cookie … → 503 Service Unavailable",
        "The browser: POST /add with cookie … → 503 Service Unavailable",
        "The store is back.",
        "The browser: GET /account with cookie … → 200 OK, “user 42, who has counted to 1”",
    ];
    shows(store, "outage", &wanted);
}

#[test]
fn the_first_page_leads_to_each_promise_and_each_has_a_button() {
    let demo = Demo::start("memory", &[]);
    let (first, page) = (demo.browser().get("/").body, demo.browser().get("/promises").body);
    for play in PLAYS {
        assert!(first.contains(&format!("href=\"/promises#{play}\"")), "{play}");
        assert!(page.contains(&format!("action=\"/promises/{play}#{play}\"")), "{play}");
    }
    assert_eq!(page.matches("action=\"/promises/").count(), PLAYS.len());
}

#[test]
fn no_play_touches_the_visitors_session_or_costs_its_store_a_call() {
    let demo = Demo::start(SQLITE, &["--lab"]);
    let mut browser = demo.browser();
    browser.register("anna");
    browser.post("/api/counter");
    let (id, cookies) = (browser.session(), browser.cookies.clone());
    for play in PLAYS {
        let path = format!("/promises/{play}");
        let calls = demo.calls(|| assert_eq!(browser.post(&path).set_cookies().len(), 0, "{play}"));
        assert_eq!(calls, 1, "{play}: the visitor's own session is read, for the head of the page");
        assert_eq!(demo.calls(|| drop(demo.browser().post(&path))), 0, "{play}");
    }
    assert_eq!((browser.session(), &browser.cookies), (id, &cookies));
    assert_eq!(browser.get("/api/data").json(), json!({ "counter": 1 }));
    assert_eq!(browser.get("/api/sessions").json().as_array().unwrap().len(), 1);
    assert!(!demo.has_logged(&["session.theft"]), "a theft that is played is no alarm");
}

#[test]
fn a_cookie_of_a_play_opens_nothing() {
    let demo = Demo::start(SQLITE, &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    let lines = lines(&browser.post("/promises/database"));
    let cookie = lines.iter().find_map(|line| line.strip_prefix("The browser's cookie: ")).unwrap();
    assert_eq!(cookie.len(), 114, "{cookie}");
    for name in [&*browser.cookies[0].0, "stage"] {
        let mut thief = demo.browser();
        thief.cookies.push((name.to_owned(), cookie.to_owned()));
        assert_eq!(thief.get("/api/me").json()["session"], Value::Null, "{name}");
    }
    // The record of the play is in the store of the site, and its user is nobody who can log in there.
    assert_eq!(demo.browser().register("play%3A1").status, 422);
}

#[test]
fn a_play_is_refused_to_other_sites_and_there_is_none_of_another_name() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    assert_eq!(browser.post("/promises/nothing").status, 404);
    assert_eq!(browser.get("/promises/theft").status, 405);
    assert_eq!(browser.with_header("sec-fetch-site", "cross-site").post("/promises/theft").status, 403);
}
