//! Clients without cookies, on the routes of browsers.

use session_core::TokenHeader;

use crate::adapter::{
    client::{Browser, Received},
    trial::{Mounting, Running, Trial},
};

/// The header of both directions.
const HEADER: &str = "session-token";

fn site(trial: &Trial) -> Running {
    trial.mount(Mounting::new().with(|manager| manager.with_token_header(TokenHeader::default())))
}

/// Asks with this token. Whatever the answer, it sets no cookie.
#[track_caller]
fn ask(browser: &mut Browser, path: &str, token: &str) -> Received {
    let answer = browser.ask("GET", path, &[(HEADER, token)]);
    assert!(answer.headers.get("set-cookie").is_none(), "a header client gets no cookie: {:?}", answer.headers);
    answer
}

pub(crate) fn a_header_client_logs_in_and_out_beside_a_browser(trial: &Trial) {
    let site = site(trial);
    let (mut app, mut browser) = (site.browser(), site.browser());
    let answer = ask(&mut app, "/put.count.7/login.42", "");
    let token = answer.headers.get(HEADER).unwrap_or_default();
    assert!(!token.is_empty(), "a login that asks for a token gets one: {:?}", answer.headers);
    assert_eq!(answer.headers.get("cache-control").as_deref(), Some("no-store"), "the cache-control beside a token");
    let answer = ask(&mut app, "/owner/get.count", &token);
    assert_eq!((answer.text(), answer.headers.get(HEADER)), ("42 7", None), "with the token of the login");
    assert!(answer.headers.has("vary", HEADER), "the page varies with the header: {:?}", answer.headers);
    browser.get("/login.1");
    assert_eq!(browser.get("/owner").text(), "1", "a browser beside it");
    let answer = ask(&mut app, "/logout", &token);
    assert_eq!(answer.headers.get(HEADER).as_deref(), Some(""), "a logout tells the client to forget its token");
    assert_eq!(ask(&mut app, "/owner", &token).text(), "nobody", "with the token of before the logout");
    assert_eq!(browser.get("/owner").text(), "1", "the browser has a session of its own");
}

pub(crate) fn a_wrong_token_beside_a_good_cookie_opens_nothing(trial: &Trial) {
    let site = site(trial);
    let mut browser = site.browser();
    browser.get("/login.42");
    for token in ["forged", ""] {
        let answer = ask(&mut browser, "/owner", token);
        assert_eq!(answer.text(), "nobody", "the cookies of a request with the header are ignored: {token:?}");
    }
    assert_eq!(browser.get("/owner").text(), "42", "the cookie alone");
}

/// The owner that a request with these two lines of the header opens.
fn owner_of(app: &mut Browser, lines: [&str; 2]) -> String {
    app.ask("GET", "/owner", &lines.map(|line| (HEADER, line))).text().to_owned()
}

pub(crate) fn of_several_lines_of_the_header_the_one_token_counts(trial: &Trial) {
    let site = site(trial);
    let mut app = site.browser();
    let mut login = || ask(&mut app, "/login.42", "").headers.get(HEADER).unwrap_or_default();
    let (token, other) = (login(), login());
    for (lines, expected) in [(["", &token], "42"), ([&token, ""], "42"), ([&token, &other], "nobody")] {
        assert_eq!(owner_of(&mut app, lines), expected, "the owner for a header of these two lines: {lines:?}");
    }
}

pub(crate) fn a_line_of_the_header_that_is_no_text_is_another_token(trial: &Trial) {
    let site = site(trial);
    let mut app = site.browser();
    let token = ask(&mut app, "/login.42", "").headers.get(HEADER).unwrap_or_default();
    assert_eq!(ask(&mut app, "/owner", &token).text(), "42", "the owner for the token of the login");
    for lines in [[&*token, "\u{ff}"], ["\u{ff}", &token]] {
        assert_eq!(
            owner_of(&mut app, lines),
            "nobody",
            "the owner for a token beside the byte 0xFF, so that nobody knows which of the two lines counts: {lines:?}. Are \
             the bytes of all lines told? Where the framework drops such a line, the adapter lacks \
             `Capability::NonTextHeaders`"
        );
    }
}

pub(crate) fn a_login_leaves_its_token_though_a_later_save_fails(trial: &Trial) {
    let site = site(trial);
    let mut app = site.browser();
    let answer = ask(&mut app, "/login.42/fail_writes/put.count.7", "");
    assert_eq!((answer.status, answer.text()), (503, ""));
    let token = answer.headers.get(HEADER).unwrap_or_default();
    assert!(!token.is_empty(), "the login's token: {:?}", answer.headers);
    site.store().fail_writes(false);
    assert_eq!(ask(&mut app, "/owner", &token).text(), "42", "the login had succeeded");
}
