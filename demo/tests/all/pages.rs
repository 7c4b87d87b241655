//! Pages that say that something failed, and the pages that a login leads to.

use crate::site::{Answer, Browser, Demo};

/// A browser that asks for pages as a person's does.
fn person(demo: &Demo) -> Browser {
    demo.browser().with_header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
}

fn is_a_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/html"), "{status}: {}", answer.body);
    assert!(answer.body.contains("<h1>") && answer.body.contains("site.css"), "{status}: {}", answer.body);
    assert!(answer.body.contains("role=\"alert\""), "{status}: {}", answer.body);
}

#[test]
fn every_error_is_a_page_of_the_site_and_keeps_what_was_typed() {
    let demo = Demo::start("memory", &[]);
    let mut browser = person(&demo);
    browser.register("anna");
    is_a_page(&browser.get("/nowhere"), 404);
    is_a_page(&browser.get("/assets/nothing"), 404);
    let not_a_page = browser.get("/note");
    is_a_page(&not_a_page, 405);
    assert_eq!(not_a_page.header("allow"), "POST");
    is_a_page(&browser.get("/login?next=a&next=b"), 400);
    let unread = browser.send("POST", "/note", "note=one&note=two");
    is_a_page(&unread, 422);
    assert!(unread.body.contains("one</textarea>") && unread.body.contains("two</textarea>"), "{}", unread.body);
    is_a_page(&browser.send("PUT", "/note", "note=one"), 405);
    // A byte more than axum takes: it reads all of it. Of a longer body it leaves some unread, and then the client may lose the
    // connection before it has read the answer.
    let too_long = format!("note={}", "x".repeat((2 << 20) - 4));
    is_a_page(&browser.send("POST", "/note", &too_long), 413);
    is_a_page(&person(&demo).get("/api/sessions"), 401);
    let mut json = browser.clone().with_header("content-type", "application/json");
    is_a_page(&json.send("POST", "/note", "{}"), 415);
    browser.put("/api/data/counter", "\"abc\"");
    is_a_page(&browser.send("POST", "/counter", ""), 409);
}

#[test]
fn programs_get_errors_as_they_are() {
    let answer = Demo::start("memory", &[]).browser().get("/nowhere");
    assert_eq!((answer.status, answer.body.as_str()), (404, ""));
}

#[test]
fn a_note_without_a_login_is_kept_over_the_login() {
    let demo = Demo::start("memory", &[]);
    let mut browser = person(&demo);
    browser.register("anna");
    browser.send("POST", "/note", "note=saved&by=anna");
    browser.post("/logout");
    let refused = browser.send("POST", "/note", "note=new+text&by=anna");
    is_a_page(&refused, 401);
    assert!(refused.body.contains("new text</textarea>"), "{}", refused.body);
    let wrong = browser.send("POST", "/login", "user=anna&password=wrong+horse&draft=new+text");
    is_a_page(&wrong, 401);
    assert!(wrong.body.contains("new text</textarea>"), "{}", wrong.body);
    let entered = browser.send("POST", "/login", "user=anna&password=correct+horse&draft=new+text");
    assert_eq!((entered.status, entered.header("location")), (303, "/"));
    assert_eq!(browser.send("HEAD", "/", "").status, 200);
    let home = browser.get("/").body;
    assert!(home.contains("new text</textarea>") && home.contains("not saved yet"), "{home}");
    let home = browser.get("/").body;
    assert!(home.contains("saved</textarea>") && !home.contains("not saved yet"), "{home}");
}

#[test]
fn the_note_of_a_tab_that_another_user_left_open_is_not_saved_as_this_ones() {
    let demo = Demo::start("memory", &[]);
    demo.browser().register("anna");
    let mut browser = person(&demo);
    browser.register("bert");
    let refused = browser.send("POST", "/note", "note=of+anna&by=anna");
    is_a_page(&refused, 409);
    assert!(refused.body.contains("of anna</textarea>") && refused.body.contains("another user"), "{}", refused.body);
    assert!(!browser.get("/").body.contains("of anna"));
}

#[test]
fn a_form_of_another_site_or_to_another_site_is_not_offered_again() {
    let demo = Demo::start("memory", &[]);
    let mut forged = person(&demo).with_header("sec-fetch-site", "cross-site");
    let refused = forged.send("POST", "/note", "note=forged");
    is_a_page(&refused, 403);
    assert!(!refused.body.contains("forged") && !refused.body.contains("<form method=\"post\" action=\"/note"));
    let elsewhere = person(&demo).send("POST", "//evil.example/note", "note=text");
    is_a_page(&elsewhere, 404);
    assert!(!elsewhere.body.contains("evil.example"), "{}", elsewhere.body);
}

#[test]
fn a_login_leads_where_one_wanted_to_go_and_never_elsewhere() {
    let demo = Demo::start("memory", &["--lab"]);
    demo.browser().register("anna");
    let asked = demo.browser().get("/devices");
    assert_eq!((asked.status, asked.header("location")), (303, "/login?next=%2Fdevices"));
    let end = demo.browser().get("/devices/end?id=a%26b");
    assert_eq!(end.header("location"), "/login?next=%2Fdevices%2Fend%3Fid%3Da%2526b");
    let page = demo.browser().get("/login?next=%2Fdevices").body;
    assert!(page.contains("action=\"/login?next=%2Fdevices\"") && page.contains("/register?next=%2Fdevices"), "{page}");
    let targets = [
        ("%2Fdevices", "/devices"),
        ("%2Fdevices%3Fpage%3D2", "/devices?page=2"),
        ("%2F%2Fevil.example%2Fdevices", "/"),
        ("%2F%5Cevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%2509%2Fevil.example", "/"),
        ("%2Fdevices%250d%250aSet-Cookie:%20a=b", "/"),
        // These are no pages: the action of a form, and an address for programs.
        ("%2Flogout", "/"),
        ("%2Fapi%2Fme", "/"),
    ];
    for (next, target) in targets {
        let path = format!("/login?next={next}");
        assert_eq!(demo.calls(|| drop(demo.browser().get(&path))), 0, "the session keeps none of it");
        let mut browser = demo.browser();
        let wrong = browser.send("POST", &path, "user=anna&password=wrong+horse").body;
        assert_eq!(wrong.contains("action=\"/login?next="), target != "/", "{next}: {wrong}");
        let entered = browser.send("POST", &path, "user=anna&password=correct+horse");
        assert_eq!((entered.status, entered.header("location")), (303, target), "{next}");
        assert_eq!(browser.get(&path).header("location"), target, "a user who is logged in goes on");
    }
    let registered = demo.browser().send("POST", "/register?next=%2Fdevices", "user=bert&password=correct+horse");
    assert_eq!(registered.header("location"), "/devices");
}

#[test]
fn a_device_tells_its_browser_and_address_and_is_ended_after_a_question() {
    let demo = Demo::start("memory", &["--trusted-proxy", "127.0.0.1"]);
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36";
    let from = |address: &str| demo.browser().with_header("user-agent", agent).with_header("x-forwarded-for", address);
    let (mut other, mut current) = (from("203.0.113.5"), from("198.51.100.7"));
    other.register("anna");
    current.login("anna");
    let page = current.get("/devices").body;
    let this = page.find("Chrome on Linux, from 198.51.100.7").unwrap();
    let that = page.find("Chrome on Linux, from 203.0.113.5").unwrap();
    assert!(this < that, "the one that asks comes first");
    assert!(page.contains("active less than a minute ago, logged in less than a minute ago"), "{page}");
    let listed = current.get("/api/sessions").json();
    let mut addresses: Vec<_> = listed.as_array().unwrap().iter().map(|device| &device["address"]).collect();
    addresses.sort_by_key(|address| address.as_str());
    assert_eq!(addresses, ["198.51.100.7", "203.0.113.5"]);

    let id = other.session();
    let question = current.get(&format!("/devices/end?id={id}"));
    assert!(
        question.body.contains("Chrome on Linux, from 203.0.113.5 will have to log in again."),
        "{}",
        question.body
    );
    assert_eq!(other.owner(), "anna", "a question ends nothing");
    assert_eq!(current.get("/devices/end?id=unknown").header("location"), "/devices");
    assert_eq!(current.get("/devices/end-others").status, 200);
    assert_eq!(other.owner(), "anna");
    current.send("POST", "/devices/end", &format!("id={id}"));
    assert!(current.get("/devices").body.contains("The session is ended."));
    assert_eq!(other.owner(), serde_json::Value::Null);
}

#[test]
fn the_rules_of_a_form_stand_there_before_they_are_broken() {
    let demo = Demo::start("memory", &[]);
    let page = person(&demo).get("/register").body;
    for rule in ["1 to 64 letters, digits, or . _ @ + -", "8 characters or more", "minlength=\"8\"", "maxlength=\"64\""]
    {
        assert!(page.contains(rule), "{rule}: {page}");
    }
    assert!(!page.contains("aria-invalid"));
    let refused = person(&demo).send("POST", "/register", "user=a+b&password=short");
    is_a_page(&refused, 422);
    assert!(refused.body.contains("aria-invalid=\"true\"") && refused.body.contains("value=\"a b\""));
}

#[test]
fn both_ends_of_a_session_are_shown_rounded() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    let page = browser.get("/").body;
    assert!(page.contains("Ends without use</dt><dd>in 1 hour</dd>"), "{page}");
    assert!(page.contains("Ends in any case</dt><dd>in 1 day</dd>"), "{page}");
}
