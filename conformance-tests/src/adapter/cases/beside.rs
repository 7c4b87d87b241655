//! Capabilities that not every framework has: one middleware inside another, two sessions side by side, and upgraded
//! connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use session_core::{CookieConfig, EventKind, Lifetime, Observer, Policy, SessionEvent, SessionManager, TokenHeader};

use crate::{
    FaultyStore,
    adapter::trial::{Mounting, Trial},
};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: &str = "second";

/// The headers of a browser that wants a websocket (RFC 6455, section 4.1).
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// How many bad cookies the events have told. Each exchange tells those that it was opened with.
#[derive(Clone, Debug, Default)]
struct BadCookies(Arc<AtomicUsize>);

impl Observer for BadCookies {
    fn on(&self, event: &SessionEvent) {
        if let EventKind::BadCookie { count } = event.kind {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }
}

pub(crate) fn a_middleware_inside_another_opens_nothing_of_its_own(trial: &Trial) {
    let short = Lifetime::new(MINUTE, MINUTE * 5);
    let policy = Policy::builder().before_login(short).logged_in(short).build().unwrap();
    let bad_cookies = BadCookies::default();
    let mounting = Mounting::new().with(|manager| manager.with_observer(bad_cookies.clone()));
    let site = trial.mount(mounting.with_inside(|manager| manager.with_policy(policy)));
    let mut browser = site.browser();
    browser.cookies = vec![(site.cookie(), "forged".to_owned())];
    browser.get("/session");
    assert_eq!(
        bad_cookies.0.load(Ordering::Relaxed),
        1,
        "events of one bad cookie: one for each exchange that was opened"
    );
    for (path, expected, cookies) in [("/add.count", 1, 1), ("/add.count", 2, 0), ("/login.42", 3, 1)] {
        let answer = browser.get(path);
        assert_eq!(site.store().calls(), expected, "calls to the store for {path} within two middlewares");
        assert_eq!(
            answer.headers.cookies(&site.cookie()).len(),
            cookies,
            "cookies of one session: {:?}",
            answer.headers
        );
    }
    assert_eq!(browser.get("/owner/get.count/idle").text(), "42 2 60", "the idle timeout is that of the policy inside");
}

pub(crate) fn a_middleware_inside_another_commits_nothing(trial: &Trial) {
    let site = trial.mount(Mounting::new().with_inside(|manager| manager));
    let mut browser = site.browser();
    site.store().fail_writes(true);
    // A second commit would say that the session cannot be made any more.
    let answer = browser.get("/put.count.7/say.saved/location");
    let told = (answer.status, answer.text(), answer.headers.get("retry-after"));
    assert_eq!(
        told,
        (503, "", Some("5".to_owned())),
        "the status, the body and `Retry-After` of the failed save, which only the middleware outside may try"
    );
    assert!(answer.headers.cookies(&site.cookie()).is_empty(), "no cookie of ours leaves: {:?}", answer.headers);
    site.store().fail_writes(false);
    assert_eq!((browser.get("/add.count").text(), browser.cookies.len()), ("1", 1), "the next request makes a session");
}

/// A manager of a store and a cookie of its own.
pub(crate) fn second() -> SessionManager {
    second_over(FaultyStore::default())
}

fn second_over(store: FaultyStore) -> SessionManager {
    let cookie = CookieConfig::builder(SECOND).secure(false).build().unwrap();
    SessionManager::development(store).with_cookie(cookie)
}

pub(crate) fn two_sessions_go_side_by_side(trial: &Trial) {
    let site = trial.mount(Mounting::new().with_second(second()));
    let mut browser = site.browser();
    let answer = browser.get("/login.42/second/login.1");
    for cookie in [SECOND, &site.cookie()] {
        assert_eq!(answer.headers.cookies(cookie).len(), 1, "the cookie {cookie}: {:?}", answer.headers);
    }
    assert_eq!(browser.get("/owner/second/owner").text(), "42 1", "the owners of the two sessions");
    browser.get("/logout");
    assert_eq!(browser.get("/owner/second/owner").text(), "nobody 1", "after the logout from the first");
}

pub(crate) fn the_login_of_one_session_outlives_the_failed_save_of_the_other(trial: &Trial) {
    let site = trial.mount(Mounting::new().with_second(second()));
    let mut browser = site.browser();
    let answer = browser.get("/fail_writes/put.count.7/second/login.1");
    assert_eq!((answer.status, answer.text()), (503, ""), "the save of the first session has failed");
    assert_eq!(answer.headers.cookies(SECOND).len(), 1, "the cookie of the second: {:?}", answer.headers);
    assert!(answer.headers.cookies(&site.cookie()).is_empty(), "no cookie of the first: {:?}", answer.headers);
    assert_eq!(browser.get("/second/owner").text(), "1", "the login had succeeded");
}

pub(crate) fn a_login_outside_outlives_the_failed_save_of_the_session_inside(trial: &Trial) {
    let (store, header) = (FaultyStore::default(), TokenHeader::default());
    store.fail_writes(true);
    let mounting = Mounting::new().with(|manager| manager.with_token_header(header));
    let site = trial.mount(mounting.with_second(second_over(store)));
    let (mut browser, path) = (site.browser(), "/login.42/second/put.count.7");
    let answer = browser.get(path);
    assert_eq!((answer.status, answer.text()), (503, ""), "the save of the session inside has failed");
    assert_eq!(
        answer.headers.cookies(&site.cookie()).len(),
        1,
        "cookies of the login outside, without which the user is not logged in: {:?}. Is the session outside committed, and \
         are its changes applied, though the one inside has failed?",
        answer.headers
    );
    assert_eq!(browser.get("/owner").text(), "42", "the login had succeeded");
    let answer = browser.ask("GET", path, &[("session-token", "")]);
    assert_eq!((answer.status, answer.text()), (503, ""), "the save of the session inside has failed");
    let token = answer.headers.get("session-token").unwrap_or_default();
    assert!(
        !token.is_empty(),
        "a client without cookies does not get the token of its login outside: {:?}. Is the session inside committed first, \
         so that its failure takes the place of nothing that the one outside has added?",
        answer.headers
    );
}

pub(crate) fn two_markers_of_one_cookie_let_no_request_in(trial: &Trial) {
    let site = trial.mount(Mounting::new().with_second_of_one_cookie());
    for (method, path) in [("GET", "/say.hello"), ("GET", "/put.count.7"), ("POST", "/login.42/second/owner")] {
        let answer = site.browser().ask(method, path, &[]);
        assert_eq!(
            site.handled(),
            0,
            "the handler ran for {method} {path}, though two layers of one cookie have two markers: does each layer name its \
             own marker, and does it call nothing if it cannot enter?"
        );
        assert_eq!((answer.status, answer.text()), (500, ""), "{method} {path}, which a layer has not let in");
        assert!(answer.headers.get("set-cookie").is_none(), "no cookie leaves: {:?}", answer.headers);
    }
}

pub(crate) fn an_upgraded_connection_keeps_its_session(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    let mut socket = browser.head("GET", "/add.count/upgrade", &UPGRADE);
    assert_eq!((socket.status, browser.cookies.len()), (101, 1), "a new session: {:?}", socket.headers);
    for round in 1..=3 {
        let (socket, page) = (socket.say("add_now.count"), browser.get("/add.count"));
        let expected = ((2 * round).to_string(), (2 * round + 1).to_string());
        assert_eq!((socket, page.text().to_owned()), expected, "the socket counts with the pages beside it");
    }
    assert_eq!(socket.say("add.count"), "update_after_response");
    browser.get("/login.42/logout");
    assert_eq!(socket.say("add_now.count"), "gone", "the session was ended");
}

pub(crate) fn a_failed_save_upgrades_no_connection(trial: &Trial) {
    let site = trial.site();
    site.store().fail_writes(true);
    let answer = site.browser().head("GET", "/put.count.7/upgrade", &UPGRADE);
    let told = (answer.status, answer.headers.get("retry-after"), answer.headers.get("upgrade"));
    assert_eq!(
        told,
        (503, Some("5".to_owned()), None),
        "the status, `Retry-After` and `Upgrade` where the handler has answered 101 and the save has failed. With a 101 the \
         client believes what it has changed to be saved. Does the failure take the place of the upgrade, too?"
    );
    assert_eq!(answer.body().text(), "", "the body of the failed save");
}
