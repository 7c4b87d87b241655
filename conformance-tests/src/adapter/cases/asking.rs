//! Pages that ask for their session or do not, and the cookies that name it.

use std::thread;

use session_core::{CookieConfig, EventKind, SameSite};

use super::told;
use crate::adapter::trial::{Mounting, Trial};

/// Half of a body. A framework may look at the first bytes before it calls a layer.
const HALF: [u8; 1024] = [b'a'; 1024];

pub(crate) fn a_session_goes_from_request_to_request(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    for expected in ["1", "2", "3"] {
        let answer = browser.get("/add.count");
        assert_eq!((answer.status, answer.text()), (200, expected), "a counter that this browser has in its session");
    }
    assert_eq!(site.browser().get("/add.count").text(), "1", "another browser has a session of its own");
}

pub(crate) fn two_requests_of_one_connection_are_kept_apart(trial: &Trial) {
    let site = trial.site();
    let (mut user, mut visitor) = (site.browser(), site.browser());
    let (_, connection) = user.get_over(user.connect(), "/login.42");
    let (answer, connection) = visitor.get_over(connection, "/owner");
    assert_eq!(answer.text(), "nobody", "the owner of a visitor, on the connection on which a user has logged in");
    assert!(answer.headers.get("set-cookie").is_none(), "the cookie of the user before it: {:?}", answer.headers);
    let (answer, connection) = visitor.get_over(connection, "/add.count");
    assert_eq!((answer.text(), visitor.cookies.len()), ("1", 1), "the visitor gets a session: {:?}", answer.headers);
    assert_ne!(user.cookies, visitor.cookies, "the token of the session that the visitor gets");
    let (answer, _) = user.get_over(connection, "/owner/get.count");
    assert_eq!(answer.text(), "42 none", "the user, on the connection on which a visitor has asked");
    let mut stranger = site.browser();
    let (_, connection) = stranger.get_over(stranger.connect(), "/get.count");
    let (answer, _) = user.get_over(connection, "/owner");
    assert_eq!(answer.text(), "42", "the user, on a connection whose first request had no session");
}

pub(crate) fn the_body_of_a_request_reaches_the_handler(trial: &Trial) {
    let site = trial.site();
    for path in ["/method/echo", "/put.count.7/method/echo"] {
        let sent = site.browser().send("POST", path, &[], b"user=42");
        let Some(head) = sent.head() else { panic!("POST {path}: the server has closed the connection") };
        let answer = head.body();
        assert_eq!(
            (answer.status, answer.text()),
            (200, "POST user=42"),
            "the method and the body that {path} has got"
        );
    }
}

pub(crate) fn requests_that_wait_for_their_bodies_are_kept_apart(trial: &Trial) {
    let (site, events) = told::site(trial, |manager| manager);
    // More than a server has threads, so two of them meet on one thread.
    let users = thread::available_parallelism().map_or(8, usize::from) + 2;
    let mut waiting = Vec::new();
    for user in 1..=users {
        let mut browser = site.browser();
        browser.get(&format!("/login.{user}"));
        browser.cookies.push((site.cookie(), "forged".to_owned()));
        let length = [("Content-Length", &*(2 * HALF.len()).to_string())];
        let sent = browser.send("POST", &format!("/put.count.{user}/owner"), &length, &HALF);
        waiting.push((user, browser, sent));
    }
    // An exchange tells of a forged cookie when it is opened. A framework that reads the body first has opened none by then,
    // and one with few threads not all of them. They are not broken, and go on after the deadline.
    let mut opened = 0;
    site.holds_in_time(|| {
        opened += events.take(|event| matches!(event.kind, EventKind::BadCookie { .. }).then_some(())).len();
        opened == users
    });
    for (_, _, sent) in &mut waiting {
        sent.go_on(&HALF);
    }
    let advice =
        "does the layer keep what belongs to a request with that request, and not with its thread or its server?";
    for (user, mut browser, sent) in waiting {
        let Some(head) = sent.head() else {
            panic!("the user {user}, whose body came after other requests, gets no answer: {advice}")
        };
        let answer = head.body();
        assert_eq!(
            (answer.status, answer.text()),
            (200, &*user.to_string()),
            "the owner of the session of the user {user}, whose body came after other requests: a user acts as another; \
             {advice}"
        );
        assert_eq!(browser.get("/get.count").text(), user.to_string(), "what the user {user} has stored; {advice}");
    }
}

pub(crate) fn a_request_that_never_asks_costs_no_call_to_the_store(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/add.count");
    site.store().calls();
    let answer = browser.get("/say.hello");
    assert_eq!((answer.text(), site.store().calls()), ("hello", 0), "a page that does not ask for its session");
    assert!(answer.headers.get("set-cookie").is_none(), "a cookie of a page that does not ask: {:?}", answer.headers);
    assert!(answer.headers.get("cache-control").is_none(), "a page that does not ask is not private");
}

pub(crate) fn a_read_costs_one_call_and_a_change_two(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/add.count");
    site.store().calls();
    for (path, expected, what) in [("/get.count", 1, "a load"), ("/add.count", 2, "a load and a write")] {
        browser.get(path);
        assert_eq!(site.store().calls(), expected, "calls to the store for {path}: {what}");
    }
}

pub(crate) fn a_first_value_costs_one_call_and_a_login_over_it_three(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    for (path, expected, what) in
        [("/add.count", 1, "a write"), ("/login.42", 3, "a load, a look at the revocations, and a write")]
    {
        browser.get(path);
        assert_eq!(site.store().calls(), expected, "calls to the store for {path}: {what}");
    }
}

pub(crate) fn a_forged_token_is_ignored_and_replaced(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let forged = (site.cookie(), "forged".to_owned());
    browser.cookies = vec![forged.clone()];
    let answer = browser.get("/get.count");
    assert_eq!((answer.status, answer.text(), site.store().calls()), (200, "none", 0), "a page with a forged token");
    let answer = browser.get("/add.count");
    assert_eq!((answer.status, answer.text()), (200, "1"), "a change with a forged token");
    assert_ne!(browser.cookies, [forged], "the session that was made has a token of its own");
    assert_eq!(browser.get("/get.count").text(), "1");
}

pub(crate) fn of_several_cookies_of_the_name_the_genuine_one_counts(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.7");
    let genuine = browser.take_cookie();
    let forged = (genuine.0.clone(), "forged".to_owned());
    let other = ("theme".to_owned(), "dark".to_owned());
    for cookies in [[&other, &forged, &genuine], [&genuine, &forged, &other]] {
        browser.cookies = cookies.map(Clone::clone).to_vec();
        assert_eq!(browser.get("/get.count").text(), "7", "of several cookies of the name one is genuine: {cookies:?}");
    }
}

pub(crate) fn cookies_in_several_lines_are_all_read(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.7");
    let (name, token) = browser.take_cookie();
    let genuine = format!("{name}={token}");
    for lines in [["theme=dark", &genuine], [&genuine, "theme=dark"]] {
        let answer = browser.ask("GET", "/get.count", &lines.map(|line| ("Cookie", line)));
        assert_eq!(answer.text(), "7", "a `Cookie` header of two lines, as a proxy makes them of HTTP/2");
    }
}

pub(crate) fn a_cookie_that_is_no_text_hides_no_other(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/put.count.7");
    let (name, token) = browser.take_cookie();
    let (genuine, other) = (format!("{name}={token}"), "theme=\u{ff}");
    for lines in
        [vec![format!("{other}; {genuine}")], vec![format!("{genuine}; {other}")], vec![other.to_owned(), genuine]]
    {
        let headers: Vec<_> = lines.iter().map(|line| ("Cookie", line.as_str())).collect();
        let answer = browser.ask("GET", "/get.count", &headers);
        assert_eq!(
            (answer.status, answer.text()),
            (200, "7"),
            "beside a cookie with the byte 0xFF: {lines:?}. An adapter whose framework drops lines that are no text lacks \
             `Capability::NonTextHeaders`"
        );
    }
}

pub(crate) fn a_form_of_another_site_gets_no_new_session(trial: &Trial) {
    let site = trial.site();
    let fetched = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    for headers in [&[("Origin", "https://bank.example")], &fetched[..]] {
        site.store().calls();
        let answer = site.browser().ask("POST", "/put.count.7/say.done", headers);
        assert_eq!((answer.status, answer.text(), site.store().calls()), (200, "done", 0), "a form with {headers:?}");
        assert!(
            answer.headers.get("set-cookie").is_none(),
            "its cookie would replace that of a login that was kept back"
        );
        let saved = site.browser().ask("POST", "/put.count.7/save", headers);
        assert_eq!((saved.status, saved.text()), (403, ""), "a form that insists, with {headers:?}");
        let link = site.browser().ask("GET", "/put.count.7", headers);
        assert_eq!(link.headers.cookies(&site.cookie()).len(), 1, "a link from there is no form: {headers:?}");
    }
}

pub(crate) fn a_link_of_another_site_gets_no_new_session_under_a_strict_cookie(trial: &Trial) {
    let strict = CookieConfig::builder("strict").secure(false).same_site(SameSite::Strict).build().unwrap();
    let site = trial.mount(Mounting::new().with(|manager| manager.with_cookie(strict)));
    for (mode, status, cookies) in [("navigate", 403, 0), ("cors", 200, 1)] {
        let headers = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", mode)];
        let answer = site.browser().ask("GET", "/put.count.7/save", &headers);
        assert_eq!(
            (answer.status, answer.headers.cookies(&site.cookie()).len()),
            (status, cookies),
            "the status and the cookies for {headers:?}: a browser keeps a strict cookie back from a link of another site. \
             Is the mode told to the session?"
        );
    }
}
