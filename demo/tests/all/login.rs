//! Logging in and out, from one browser and from several.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use crate::site::{Demo, SQLITE, until};
use serde_json::{Value, json};

over_both_stores! {
    a_login_shows_who_it_is_and_a_logout_forgets
    reading_makes_no_session
    a_wrong_password_logs_nobody_in
    a_planted_cookie_opens_nothing_after_the_login
    the_cart_of_a_stranger_stays_his_when_he_logs_in
    another_users_login_drops_what_was_there
    a_second_browser_is_ended_from_the_first
    all_others_are_ended_at_once
    nobody_ends_a_strangers_session
}

fn a_login_shows_who_it_is_and_a_logout_forgets(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut browser = demo.browser();
    let registered = browser.register("anna");
    assert_eq!((registered.status, registered.header("location")), (303, "/"));
    assert_eq!(browser.owner(), "anna");
    assert!(browser.get("/").body.contains("Hello, anna"));
    let out = browser.post("/logout");
    assert_eq!(out.status, 303);
    assert!(matches!(out.set_cookies()[..], [removal] if removal.contains("=; Path=/; Max-Age=0; ")));
    assert!(browser.cookies.is_empty());
    demo.logs(&["session::access", "url.path=\"/logout\"", "user.id=\"anna\"", "session.id="]);
    assert_eq!(browser.owner(), Value::Null);
    assert_eq!(browser.login("Anna").status, 303);
    assert_eq!(browser.owner(), "anna", "as it was registered");
}

fn reading_makes_no_session(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut browser = demo.browser();
    for path in ["/", "/login", "/register", "/api/me", "/api/status", "/api/data", "/api/ping"] {
        let answer = browser.get(path);
        assert_eq!((answer.status, answer.set_cookies().len()), (200, 0), "{path}");
    }
    let nobody = json!({ "session": null, "owner": null, "expires_in": null, "ends_in": null });
    assert_eq!(browser.get("/api/me").json(), nobody);
    assert_eq!(browser.get("/api/sessions").status, 401);
    assert_eq!(browser.get("/devices").status, 303);
}

fn a_wrong_password_logs_nobody_in(store: &str) {
    let demo = Demo::start(store, &[]);
    demo.browser().register("anna");
    let mut browser = demo.browser();
    for form in ["user=anna&password=wrong+horse", "user=nobody&password=correct+horse", "user=&password="] {
        let refused = browser.send("POST", "/login", form);
        assert_eq!((refused.status, refused.set_cookies().len()), (401, 0), "{form}");
    }
    assert_eq!(browser.register("anna").status, 409);
    assert_eq!(browser.register("ANNA").status, 409);
    assert_eq!(browser.register("%3Cscript%3E").status, 422);
    assert_eq!(browser.send("POST", "/register", "user=bert&password=short").status, 422);
    assert_eq!(browser.owner(), Value::Null);
}

fn a_planted_cookie_opens_nothing_after_the_login(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut attacker = demo.browser();
    attacker.post("/api/counter");
    let mut victim = attacker.clone();
    victim.register("anna");
    assert_ne!(victim.cookies, attacker.cookies);
    assert_eq!(victim.owner(), "anna");
    let late = attacker.get("/api/me");
    assert_eq!((late.json()["owner"].clone(), late.set_cookies().len()), (Value::Null, 0));
    assert_eq!(victim.owner(), "anna");
}

fn the_cart_of_a_stranger_stays_his_when_he_logs_in(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut browser = demo.browser();
    browser.send("POST", "/cart", "article=coffee&step=more");
    browser.send("POST", "/cart", "article=coffee&step=more");
    browser.send("POST", "/cart", "article=mug&step=more");
    browser.register("anna");
    browser.send("POST", "/cart", "article=mug&step=less");
    assert_eq!(browser.get("/api/data").json(), json!({ "cart": { "coffee": 2 } }));
}

fn another_users_login_drops_what_was_there(store: &str) {
    let demo = Demo::start(store, &[]);
    demo.browser().register("bert");
    let mut browser = demo.browser();
    browser.register("anna");
    browser.put("/api/data/secret", "\"anna's\"");
    browser.login("bert");
    assert_eq!(browser.owner(), "bert");
    assert_eq!(browser.get("/api/data").json(), json!({}));
    assert_ne!(browser.get("/api/sessions").json()[0]["label"], "Unknown device");
}

fn a_second_browser_is_ended_from_the_first(store: &str) {
    let demo = Demo::start(store, &[]);
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let mut first = demo.browser().with_header("user-agent", firefox);
    let mut second = demo.browser().with_header("user-agent", "Mozilla/5.0 (iPhone) Version/19.0 Safari/605.1");
    first.register("anna");
    second.login("anna");
    let list = first.get("/api/sessions").json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let current = list.as_array().unwrap().iter().find(|device| device["current"] == true).unwrap();
    let other = list.as_array().unwrap().iter().find(|device| device["current"] == false).unwrap();
    assert_eq!((&current["label"], &other["label"]), (&json!("Firefox on Linux"), &json!("Safari on iPhone")));
    assert_eq!(other["id"], second.session());
    let page = first.get("/devices").body;
    assert!(page.contains("Firefox on Linux") && page.contains("Safari on iPhone") && page.contains("this one"));

    let ended = first.send("POST", "/devices/end", &format!("id={}", second.session()));
    assert_eq!(ended.status, 303);
    assert_eq!(second.owner(), Value::Null);
    assert_eq!(first.owner(), "anna");
    demo.logs(&["session.ended", "session.reason=\"ended_by_owner\"", "user.id=\"anna\""]);

    second.login("anna");
    let id = second.session();
    assert_eq!(first.delete(&format!("/api/sessions/{id}")).status, 204);
    assert_eq!(first.delete(&format!("/api/sessions/{id}")).status, 404);
    assert_eq!(first.delete("/api/sessions/no-id").status, 404);
    assert_eq!(second.owner(), Value::Null);
}

fn all_others_are_ended_at_once(store: &str) {
    let demo = Demo::start(store, &[]);
    let mut first = demo.browser();
    let mut stranger = demo.browser();
    first.register("anna");
    stranger.register("bert");
    let mut others: Vec<_> = (0..3).map(|_| demo.browser()).collect();
    for other in &mut others {
        other.login("anna");
    }
    assert_eq!(first.delete("/api/sessions").json(), json!({ "ended": 3 }));
    for other in &mut others {
        assert_eq!(other.owner(), Value::Null);
    }
    assert_eq!((first.owner(), stranger.owner()), (json!("anna"), json!("bert")));
    // A login is refused that follows a revocation too closely: it cannot be told from one that began before.
    until("the revocation is over", || others[0].login("anna").status == 303);
    assert_eq!(first.post("/devices/end-others").status, 303);
    assert!(first.get("/devices").body.contains("1 other session is ended."));
    assert_eq!(others[0].owner(), Value::Null);
}

fn nobody_ends_a_strangers_session(store: &str) {
    let demo = Demo::start(store, &[]);
    let (mut anna, mut bert) = (demo.browser(), demo.browser());
    anna.register("anna");
    bert.register("bert");
    let id = anna.session();
    assert_eq!(bert.delete(&format!("/api/sessions/{id}")).status, 404);
    bert.send("POST", "/devices/end", &format!("id={id}"));
    assert_eq!(bert.delete("/api/sessions").json(), json!({ "ended": 0 }));
    assert_eq!(demo.browser().delete(&format!("/api/sessions/{id}")).status, 401);
    assert_eq!(anna.owner(), "anna");
}

#[test]
fn a_request_that_never_ends_does_not_keep_it_from_stopping() {
    let mut demo = Demo::start("memory", &[]);
    let address = demo.browser().address();
    let mut stalled = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    stalled.write_all(head.as_bytes()).unwrap();
    let mut waits = [0; 21];
    stalled.read_exact(&mut waits).unwrap();
    assert_eq!(&waits, b"HTTP/1.1 100 Continue");
    assert!(demo.stop(), "it stops when it is told to");
    demo.logs(&["WARN", "stopped before each request was answered"]);
}

#[test]
fn a_login_survives_a_restart_and_a_kill() {
    let mut demo = Demo::start(SQLITE, &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    browser.post("/api/counter");
    assert!(demo.stop(), "it stops when it is told to");
    demo = demo.another();
    browser = browser.at(&demo);
    assert_eq!(browser.owner(), "anna");
    browser.post("/api/counter");
    let demo = demo.restarted(&mut [&mut browser]);
    assert_eq!(browser.owner(), "anna");
    assert_eq!(browser.post("/api/counter").json(), 3);
    assert_eq!(demo.browser().login("anna").status, 303);
}

#[test]
fn users_and_key_survive_a_restart_of_the_memory_store() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    let demo = demo.restarted(&mut [&mut browser]);
    assert_eq!(browser.owner(), Value::Null);
    assert!(!demo.has_logged(&["session.bad_cookie"]) && !demo.has_logged(&["session.unknown_key"]));
    assert_eq!(browser.login("anna").status, 303);
}

#[test]
fn two_demos_in_one_folder_are_one_site() {
    let first = Demo::start(SQLITE, &[]);
    let second = first.another();
    let mut browser = first.browser();
    browser.register("anna");
    let mut elsewhere = browser.at(&second);
    assert_eq!(elsewhere.owner(), "anna");
    assert_eq!(second.browser().login("anna").status, 303);
    thread::scope(|scope| {
        for demo in [&first, &second].repeat(10) {
            let mut browser = browser.at(demo);
            scope.spawn(move || assert_eq!(browser.post("/api/counter").status, 200));
        }
    });
    assert_eq!(browser.get("/api/data").json(), json!({ "counter": 20 }));
    elsewhere.post("/logout");
    assert_eq!(browser.owner(), Value::Null);
}

#[cfg(unix)]
#[test]
fn the_key_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let demo = Demo::start(SQLITE, &[]);
    let mode = |path: &str| std::fs::metadata(demo.folder().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("demo-data"), mode("demo-data/key")), (0o700, 0o600));
}
