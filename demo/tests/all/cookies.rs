//! The cookie as it travels, and the headers of proxies.

use std::process::Command;

use crate::site::Demo;
use serde_json::Value;

#[test]
fn a_new_session_sends_one_cookie_in_development_form() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    for answer in [browser.post("/api/counter"), browser.register("anna")] {
        let [cookie] = answer.set_cookies()[..] else { panic!("{:?}", answer.set_cookies()) };
        let (value, attributes) = cookie.split_once(';').unwrap();
        let (name, value) = value.split_once('=').unwrap();
        assert!(name.starts_with("session-") && name.len() == 16, "{name}");
        assert_eq!(value.len(), 114);
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert!(browser.post("/api/counter").set_cookies().is_empty());
}

#[test]
fn a_remembered_login_is_kept_over_the_end_of_the_browser() {
    let demo = Demo::start("memory", &[]);
    let form = "user=anna&password=correct+horse&remember=on";
    let answer = demo.browser().send("POST", "/register", form);
    let [cookie] = answer.set_cookies()[..] else { panic!("{:?}", answer.set_cookies()) };
    let age: u64 = cookie.split_once("Max-Age=").unwrap().1.split(';').next().unwrap().parse().unwrap();
    let month = 30 * 24 * 3600;
    assert!((month - 10..=month).contains(&age), "{age}");
}

#[test]
fn behind_a_trusted_proxy_it_has_the_production_form() {
    let demo = Demo::start("memory", &["--trusted-proxy", "127.0.0.1"]);
    let mut browser = demo.browser().with_header("x-forwarded-for", "203.0.113.9");
    browser.headers.push(("x-forwarded-proto".to_owned(), "https".to_owned()));
    let answer = browser.register("anna");
    let [cookie] = answer.set_cookies()[..] else { panic!("{:?}", answer.set_cookies()) };
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert!(value.starts_with("__Host-session="));
    assert_eq!(attributes, " Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(browser.owner(), "anna");
    demo.logs(&[
        "session::access",
        "client.address=203.0.113.9",
        "url.path=\"/register\"",
        "http.response.status_code=303",
        "user.id=\"anna\"",
        "session.id=",
    ]);
    demo.logs(&["session.logged_in", "user.id=\"anna\"", "client.address=203.0.113.9"]);
    assert!(!demo.has_logged(&["WARN session", "session.insecure_transport"]));
    assert_eq!(browser.get("/").header("strict-transport-security"), "max-age=31536000");
}

#[test]
fn a_proxy_that_says_http_gets_one_warning_with_the_cause_and_the_setting() {
    let demo = Demo::start("memory", &["--trusted-proxy", "127.0.0.1"]);
    let plain = demo.browser().with_header("x-forwarded-proto", "http");
    // A browser on the same machine keeps the cookie all the same, so there is no warning.
    plain.clone().post("/api/counter");
    assert!(!demo.has_logged(&["WARN session", "session.insecure_transport"]));
    for _ in 0..2 {
        let answer = plain.clone().with_header("host", "shop.example").post("/api/counter");
        assert_eq!(answer.set_cookies().len(), 1, "nothing is withheld");
        assert_eq!(answer.header("strict-transport-security"), "", "it may be demanded over https only");
    }
    demo.logs(&["WARN session", "session.insecure_transport", "X-Forwarded-Proto: http", "redirect http to https"]);
    let warnings = demo
        .log()
        .iter()
        .filter(|line| line.contains("WARN session") && line.contains("session.insecure_transport"))
        .count();
    assert_eq!(warnings, 1);
}

#[test]
fn nobody_but_the_trusted_proxy_is_believed() {
    let demo = Demo::start("memory", &["--trusted-proxy", "192.0.2.1"]);
    let mut browser = demo.browser().with_header("x-forwarded-for", "203.0.113.9");
    browser.headers.push(("x-forwarded-proto".to_owned(), "http".to_owned()));
    assert!(browser.register("anna").set_cookies()[0].starts_with("__Host-session="));
    demo.logs(&["session::access", "client.address=127.0.0.1", "http.response.status_code=303", "user.id=\"anna\""]);
    demo.logs(&["session.logged_in", "client.address=127.0.0.1"]);
    assert!(!demo.has_logged(&["203.0.113.9"]));
    assert!(!demo.has_logged(&["WARN session", "session.insecure_transport"]));
}

#[test]
fn proxies_are_counted_or_speak_the_other_header_on_demand() {
    let through = |flags: &[&str], header, value| {
        let demo = Demo::start("memory", flags);
        assert!(
            demo.browser().with_header(header, value).register("anna").set_cookies()[0].starts_with("__Host-session=")
        );
        demo
    };
    let demo = through(&["--proxy-hops", "2"], "x-forwarded-for", "1.2.3.4, 203.0.113.9:4711, 10.0.0.2");
    demo.logs(&["session::access", "client.address=203.0.113.9", "user.id=\"anna\""]);
    let demo = through(&["--trusted-proxy", "127.0.0.0/8", "--forwarded"], "forwarded", "for=\"[2001:db8::1]:443\"");
    demo.logs(&["session::access", "client.address=2001:db8::1", "user.id=\"anna\""]);
}

#[test]
fn without_a_proxy_nobody_is_believed() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser().with_header("x-forwarded-for", "203.0.113.9");
    browser.headers.push(("x-forwarded-proto".to_owned(), "https".to_owned()));
    assert!(browser.register("anna").set_cookies()[0].starts_with("session-"));
    demo.logs(&["session::access", "client.address=127.0.0.1", "http.response.status_code=303", "user.id=\"anna\""]);
    assert!(!demo.has_logged(&["203.0.113.9"]));
}

#[test]
fn a_forged_cookie_is_as_if_absent() {
    let demo = Demo::start("memory", &["--lab"]);
    let mut browser = demo.browser();
    browser.register("anna");
    let (name, good) = browser.cookies[0].clone();
    let changed = format!("{}{}", &good[..good.len() - 2], if good.ends_with("AA") { "BB" } else { "AA" });
    let flipped = format!("{}{}", if good.starts_with('A') { "B" } else { "A" }, &good[1..]);
    for bad in ["", "x", &good[..70], &good[1..], &changed, &flipped, &good.to_lowercase()] {
        let mut browser = demo.browser();
        browser.cookies.push((name.clone(), bad.to_owned()));
        assert_eq!(demo.calls(|| assert_eq!(browser.owner(), Value::Null)), 0, "{bad}");
    }
    demo.logs(&["DEBUG session: ", "session.bad_cookie", "http.route=\"/api/me\"", "session.count=1"]);
    demo.logs(&["WARN session: ", "session.unknown_key", "http.route=\"/api/me\"", "session.count=1"]);
    let mut browser = demo.browser();
    browser.cookies.extend([(name.clone(), changed), (name, good)]);
    assert_eq!(browser.owner(), "anna", "the good one of two is found");
}

#[test]
fn each_timeout_alone_takes_the_other_along() {
    for (flags, seconds) in [(["--absolute", "30min"], 1800.0), (["--idle", "2days"], 172_800.0)] {
        let demo = Demo::start("memory", &flags);
        let mut browser = demo.browser();
        browser.register("anna");
        let me = browser.get("/api/me").json();
        for left in [&me["expires_in"], &me["ends_in"]] {
            assert!(left.as_f64().is_some_and(|left| left <= seconds && left > seconds - 60.0), "{flags:?}: {me}");
        }
    }
}

#[test]
fn it_says_what_it_does_not_understand() {
    let folder = tempfile::TempDir::new().unwrap();
    let refused = |flags: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_demo")).args(flags).current_dir(folder.path()).output().unwrap();
        assert!(!ran.status.success(), "{flags:?}");
        String::from_utf8(ran.stderr).unwrap()
    };
    assert!(refused(&["--store", "mongodb"]).contains("a store is `memory`, `sqlite:PATH`"));
    assert!(refused(&["--idle", "soon"]).contains("--idle"));
    assert!(refused(&["--addr", "everywhere"]).contains("--addr"));
    assert!(
        refused(&["--trusted-proxy", "0.0.0.0/0"])
            .contains("--trusted-proxy: the trusted proxy at index 0 is everybody")
    );
    assert!(refused(&["--trusted-proxy", "10.0.0.1", "--proxy-hops", "1"]).contains("cannot be used with"));
    assert!(refused(&["--rotate", "1s", "--grace", "2s"]).contains("must be longer than the grace"));
    assert!(refused(&["--idle", "0s"]).contains("--idle, --absolute, --rotate or --grace: "));
    assert!(refused(&["--store", "sqlite::memory:"]).contains("can have no write-ahead log"));
    assert!(refused(&["--idle", "2h", "--absolute", "1h"]).contains("logged_in is longer than its absolute one"));
    let nowhere = refused(&["--store", "sqlite:/no/such/folder/sessions.db"]);
    assert!(nowhere.contains("--store sqlite:/no/such/folder/sessions.db: sqlite"), "{nowhere}");
    assert_eq!(nowhere.matches("unable to open").count(), 1, "{nowhere}");
    let secret = refused(&["--store", "redis://:password@127.0.0.1:1"]);
    assert!(secret.contains("--store redis: ") && !secret.contains("password"), "{secret}");
}
