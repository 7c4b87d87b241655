//! Events: who gets them, and in which words.

use std::{net::IpAddr, time::SystemTime};

use session_core::{
    EventKind, Exchange, Incoming, Key, Keyring, Owner, PurgeTask, SessionEvent, SessionId, SessionManager,
};
use session_memory::MemoryStore;

use crate::support::{log::Log, *};

/// A request with this cookie of ours.
fn open(manager: &SessionManager, cookie: &str) -> Exchange {
    manager.open(Incoming::new([format!("__Host-session={cookie}").as_bytes()]))
}

async fn log_in(manager: &SessionManager, incoming: Incoming, owner: impl Into<Owner>) -> Exchange {
    let exchange = manager.open(incoming);
    exchange.session().await.unwrap().login(owner.into()).await.unwrap();
    exchange.commit().await.unwrap();
    exchange
}

fn reset() -> Incoming {
    let incoming = Incoming::new([]).with_resource("POST", "/reset/d41d8cd98f").with_peer(IpAddr::from([192, 0, 2, 7]));
    incoming.with_route("/reset/{token}")
}

#[tokio::test]
async fn tracing_and_every_observer_are_told() {
    let (site, second, log) = (Site::new(), Events::default(), Log::start());
    let manager = site.manager.clone().with_observer(second.clone());
    log_in(&manager, reset(), USER).await;
    for observer in [&site.events, &second] {
        assert_eq!(observer.count(|kind| matches!(kind, EventKind::LoggedIn)), 1);
    }
    assert_eq!(log.of("session.logged_in").len(), 1);

    log_in(&manager.without_tracing_events(), reset(), USER).await;
    assert_eq!(second.count(|kind| matches!(kind, EventKind::LoggedIn)), 2);
    assert_eq!(log.of("session.logged_in").len(), 1, "{:?}", log.lines());
}

#[tokio::test]
async fn the_log_has_the_names_of_opentelemetry() {
    let (site, log) = (Site::new(), Log::start());
    let exchange = log_in(&site.manager, reset(), Owner::try_from("user 42").unwrap()).await;
    let id = exchange.session().await.unwrap().id().unwrap();
    let line = log.of("session.logged_in").pop().unwrap();
    assert!(line.contains(" INFO session: "), "{line}");
    for field in [
        &format!("session.id={id}"),
        "user.id=\"user 42\"",
        "http.request.method=\"POST\"",
        "http.route=\"/reset/{token}\"",
        "client.address=192.0.2.7",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
    exchange.session().await.unwrap().logout().await.unwrap();
    assert!(log.of("session.ended")[0].contains("session.reason=\"logout\""));
}

#[tokio::test]
async fn an_error_is_named_and_told_with_its_sources() {
    let (site, log) = (Site::new(), Log::start());
    let mut browser = site.logged_in(USER).await;
    site.lab.advance(10 * MINUTE);
    site.lab.next(Call::Touch, Fault::Fails);
    browser.visit(async |_| ()).await;
    let line = log.of("session.touch_failed").pop().unwrap();
    assert!(line.contains(" WARN session: ") && line.contains("error.type=\"store_"), "{line}");
    assert!(line.contains("exception.message=\"the session store failed: "), "{line}");
}

#[tokio::test]
async fn an_event_has_the_route_and_the_path_only_where_it_is_wanted() {
    let (site, log) = (Site::new(), Log::start());
    log_in(&site.manager, reset(), USER).await;
    let event = site.events.all().pop().unwrap();
    assert_eq!((event.route.as_deref(), event.path.as_deref()), (Some("/reset/{token}"), None));
    assert!(!log.lines().iter().any(|line| line.contains("d41d8cd98f")), "{:?}", log.lines());

    log_in(&site.manager.clone().with_paths_in_events(), reset(), USER).await;
    let event = site.events.all().pop().unwrap();
    assert_eq!(event.path.as_deref(), Some("/reset/d41d8cd98f"));
    assert!(log.of("session.logged_in")[1].contains("url.path=\"/reset/d41d8cd98f\""));
}

#[tokio::test]
async fn a_route_that_is_found_out_later_is_told() {
    let site = Site::new();
    let exchange = site.manager.open(Incoming::new([]).with_resource("POST", "/login"));
    let session = exchange.session().await.unwrap();
    session.insert("n", &1).unwrap();
    session.save().await.unwrap();
    assert_eq!(site.events.all().pop().unwrap().route, None);
    exchange.set_route("/{page}");
    exchange.set_route("/other");
    session.login(USER).await.unwrap();
    assert_eq!(site.events.all().pop().unwrap().route.as_deref(), Some("/{page}"));
}

#[tokio::test]
async fn what_a_request_says_is_bounded_and_forges_no_line() {
    let (site, log) = (Site::new(), Log::start());
    let manager = site.manager.clone().with_paths_in_events();
    let long = "a".repeat(100_000);
    let owner = Owner::try_from("42\n\u{1b}[31m\u{202e}").unwrap();
    let incoming = Incoming::new([]).with_resource(&long, &format!("/\r\n WARN session: {long}")).with_route(&long);
    log_in(&manager, incoming, owner).await;
    let event = site.events.all().pop().unwrap();
    for text in [event.method, event.route, event.path] {
        let text = text.unwrap();
        assert!(text.len() <= 256 + '…'.len_utf8() && text.ends_with("a…"), "{text}");
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].len() < 2048 && lines[0].contains("http.request.method=\"_OTHER\""), "{}", lines[0]);
    assert!(!lines[0].contains(|character: char| character.is_control() || character == '\u{202e}'), "{}", lines[0]);
    // The text is already escaped, for subscribers that write it as it is. This subscriber has escaped the backslashes
    // once more.
    assert!(lines[0].contains(r#"user.id="42\\n\\u{1b}[31m\\u{202e}""#), "{}", lines[0]);
}

#[test]
fn an_event_for_the_test_of_an_observer_has_what_it_is_given() {
    let (id, at) = (SessionId::from_bytes([7; 16]), SystemTime::UNIX_EPOCH + HOUR);
    let event = SessionEvent::new(EventKind::TheftDetected)
        .with_time(at)
        .with_id(id)
        .with_owner(user())
        .with_request("GET", "/account/{page}")
        .with_path("/account/1")
        .with_peer([192, 0, 2, 7].into());
    assert_eq!((event.at, event.id, event.owner), (at, Some(id), Some(user())));
    assert_eq!((event.method.as_deref(), event.route.as_deref()), (Some("GET"), Some("/account/{page}")));
    assert_eq!((event.path.as_deref(), event.peer), (Some("/account/1"), Some([192, 0, 2, 7].into())));
    let long = "a\n".repeat(1000);
    let event = SessionEvent::new(EventKind::TheftDetected).with_request(&long, &long).with_path(&long);
    for text in [event.method, event.route, event.path].map(Option::unwrap) {
        assert!(text.len() <= 256 + '…'.len_utf8() && text.starts_with(r"a\na\n"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_cookies_bring_ten_lines_a_second_and_then_their_number() {
    let (site, log) = (Site::new(), Log::start());
    for _ in 0..1000 {
        open(&site.manager.clone(), "x");
    }
    let is_bad = |kind: &EventKind| matches!(kind, EventKind::BadCookie { count: 1 });
    assert_eq!((log.of("session.bad_cookie").len(), site.events.count(is_bad)), (10, 1000));
    assert_eq!(log.of("session.suppressed").len(), 0);
    log_in(&site.manager, reset(), USER).await;
    assert_eq!(log.of("session.suppressed").len(), 0, "the second is not over");
    tokio::time::advance(SECOND).await;
    log_in(&site.manager, reset(), USER).await;
    let lines = log.of("session.suppressed");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let said = ["DEBUG session: ", "session.suppressed.event=\"session.bad_cookie\"", "session.count=990"];
    assert!(said.iter().all(|words| lines[0].contains(words)), "{}", lines[0]);
    open(&site.manager, "x");
    assert_eq!((log.of("session.bad_cookie").len(), log.of("session.suppressed").len()), (11, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_is_told_with_the_next_request_though_it_brings_no_event() {
    let (site, log) = (Site::new(), Log::start());
    for _ in 0..11 {
        open(&site.manager, "x");
    }
    let quiet = || site.manager.open(Incoming::new([]));
    quiet();
    assert_eq!(log.of("session.suppressed").len(), 0, "the second is not over");
    tokio::time::advance(SECOND).await;
    quiet();
    quiet();
    let lines = log.of("session.suppressed");
    assert!(lines.len() == 1 && lines[0].contains("session.count=1"), "{lines:?}");
    assert_eq!(log.of("session.bad_cookie").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_stranger_sends_there_are_ten_lines_of_a_name_in_a_second() {
    let (site, log) = (Site::new(), Log::start());
    let other = other_site().await;
    let many = vec![other.as_str(); 200].join("; __Host-session=");
    for n in 0..100 {
        let cookie = ["x", &other, &many][n % 3];
        let header = format!("__Host-session={cookie}");
        let incoming =
            Incoming::new([header.as_bytes()]).with_resource("POST", "/").with_fetch_metadata("cross-site", "");
        let exchange = site.manager.open(incoming.with_https(false).with_peer(IpAddr::from([192, 0, 2, 7])));
        exchange.session().await.unwrap().insert("n", &1).unwrap();
        let _ = exchange.commit().await;
        let exchange =
            site.manager.open(Incoming::new([]).with_resource("POST", "/").with_fetch_metadata("cross-site", ""));
        exchange.session().await.unwrap().insert("n", &1).unwrap();
        exchange.commit().await.unwrap();
    }
    let lines = log.lines();
    let names = ["bad_cookie", "unknown_key", "too_many_cookies", "withheld", "created", "insecure_transport"];
    let counts: Vec<_> = names.iter().map(|name| log.of(&format!("session.{name}")).len()).collect();
    assert!(counts.iter().all(|&count| count <= 11), "{counts:?} {lines:?}");
    assert!(counts[0] > 0 && counts[1] == 1 && counts[3] == 10, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_logins_is_told_whole() {
    let (site, log) = (Site::new(), Log::start());
    for _ in 0..100 {
        log_in(&site.manager, reset(), USER).await;
    }
    assert_eq!(log.of("session.logged_in").len(), 100);
}

/// The cookie of a site with another key.
async fn other_site() -> String {
    let other = Site::new();
    let manager = SessionManager::new(other.lab.clone(), Keyring::new(Key::from_bytes(&[8; 32]).unwrap()));
    let mut browser = Browser { manager, cookie: None };
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    browser.cookie.unwrap()
}

#[tokio::test(start_paused = true)]
async fn cookies_under_an_unknown_key_bring_one_warning_a_minute_and_junk_none() {
    let cookie = other_site().await;
    let (site, log) = (Site::new(), Log::start());
    let (token, mac) = cookie.split_once('.').unwrap();
    let outside = format!("{}.{mac}", "!".repeat(token.len()));
    let junk = ["", "x", token, &outside, &format!("{token}.{}", "!".repeat(mac.len())), &cookie[1..]];
    for junk in junk {
        open(&site.manager, junk);
    }
    assert_eq!(log.of("session.unknown_key").len(), 0);
    let is_junk = |kind: &EventKind| matches!(kind, EventKind::BadCookie { count: 1 });
    assert_eq!(site.events.count(is_junk), junk.len());
    for _ in 0..50 {
        open(&site.manager, &cookie);
    }
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::UnknownKey { count: 1 })), 50);
    let lines = log.of("session.unknown_key");
    assert!(lines.len() == 1 && lines[0].contains(" WARN session: "), "{lines:?}");
    tokio::time::advance(MINUTE).await;
    open(&site.manager, &cookie);
    assert_eq!(log.of("session.unknown_key").len(), 2);
    assert!(log.of("session.suppressed")[0].contains("session.count=49"), "{:?}", log.lines());
}

#[tokio::test]
async fn a_key_that_signs_before_every_node_knows_it_brings_a_warning() {
    let [old, new] = [Key::generate().unwrap(), Key::generate().unwrap()];
    let (site, log) = (Site::new(), Log::start());
    let first = SessionManager::new(site.lab.clone(), Keyring::new(new).and_retire(old.clone()));
    let second = SessionManager::new(site.lab.clone(), Keyring::new(old));
    let mut browser = Browser { manager: first, cookie: None };
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(log.of("session.unknown_key").len(), 0);
    open(&second, &browser.cookie.unwrap());
    assert!(log.of("session.unknown_key")[0].contains("another node signs"), "{:?}", log.lines());
}

#[tokio::test]
async fn in_development_a_key_of_before_is_told_to_observers_only() {
    let (events, log) = (Events::default(), Log::start());
    let site = || SessionManager::development(MemoryStore::new()).with_observer(events.clone());
    let before = log_in(&site(), Incoming::new([]), USER).await;
    let set_cookie = before.headers()["set-cookie"].to_str().unwrap().to_owned();
    let _after = site().open(Incoming::new([set_cookie.split(';').next().unwrap().as_bytes()]));
    assert_eq!(events.count(|kind| matches!(kind, EventKind::UnknownKey { count: 1 })), 1);
    assert_eq!(log.of("session.unknown_key").len(), 0);
}

#[tokio::test]
async fn a_login_that_is_gone_is_told_and_a_visitor_makes_no_noise() {
    let (site, log) = (Site::new(), Log::start());
    let [login, visitor, ended] = [site.logged_in(USER).await, site.visitor().await, site.logged_in(7).await];
    let id = login.open().presented_id().unwrap();
    ended.clone().visit(async |session| session.logout().await.unwrap()).await;
    site.lab.advance(2 * HOUR);
    let counts = || {
        let gone = site.events.count(|kind| matches!(kind, EventKind::SessionGone));
        (gone, site.events.count(|kind| matches!(kind, EventKind::StaleCookie)))
    };
    for (browser, expected) in [(&login, (1, 0)), (&visitor, (1, 1)), (&ended, (2, 1))] {
        assert!(browser.owner().await.is_none());
        assert_eq!(counts(), expected);
    }
    let lines = log.of("session.gone");
    assert!(lines[0].contains(" INFO session: ") && lines[0].contains(&format!("session.id={id}")), "{lines:?}");
    login.open();
    assert_eq!(counts(), (2, 1), "who does not ask for the session is not told");
}

#[tokio::test]
async fn a_token_that_a_login_has_replaced_is_told_within_the_grace_and_after_it() {
    let (site, log) = (Site::new(), Log::start());
    let browser = late(&site).await;
    for told in [1, 2] {
        assert!(browser.owner().await.is_none());
        assert_eq!(site.events.count(|kind| matches!(kind, EventKind::StaleCookie)), told);
        site.lab.advance(2 * MINUTE); // longer than the grace
    }
    let lines = log.of("session.stale_cookie");
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("DEBUG session: ")), "{lines:?}");
}

#[tokio::test]
async fn a_login_over_that_of_another_user_keeps_the_id_and_is_told_as_a_login_only() {
    let site = Site::new();
    site.logged_in(USER).await.visit(async |session| session.login(7).await.unwrap()).await;
    let events = site.events.all();
    assert!(events.iter().all(|event| matches!(event.kind, EventKind::LoggedIn)), "{events:?}");
    let owners: Vec<_> = events.iter().map(|event| event.owner.clone().unwrap()).collect();
    assert_eq!((owners, events[0].id), (vec![user(), Owner::from(7)], events[1].id));
}

#[tokio::test]
async fn beside_a_login_a_visitor_s_session_that_is_gone_makes_no_noise() {
    let site = Site::new();
    let visitor = site.visitor().await;
    site.lab.advance(2 * HOUR);
    let login = site.logged_in(USER).await;
    let cookies = [visitor.cookie.unwrap(), login.cookie.unwrap()].join("; __Host-session=");
    assert_eq!(open(&site.manager, &cookies).session().await.unwrap().owner(), Some(user()));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SessionGone)), 0, "{:?}", site.events.all());
}

#[tokio::test]
async fn a_token_without_a_cookie_is_told_of_like_one() {
    let site = Site::new();
    let unknown = other_site().await;
    for token in ["x", &unknown] {
        drop(site.manager.open(Incoming::new([]).with_token(token)));
    }
    let kinds: Vec<_> = site.events.all().into_iter().map(|event| event.kind).collect();
    assert!(matches!(kinds[..], [EventKind::BadCookie { count: 1 }, EventKind::UnknownKey { count: 1 }]), "{kinds:?}");
}

const MILLISECOND: std::time::Duration = std::time::Duration::from_millis(1);

/// Moves the clock forward. It stands still while a task has something to do.
async fn move_on(time: std::time::Duration) {
    tokio::time::sleep(time).await;
}

/// Logins that have expired, but are still stored.
async fn expired(count: usize) -> Site {
    let site = Site::new();
    for _ in 0..count {
        site.logged_in(USER).await;
    }
    site.lab.advance(48 * HOUR);
    site
}

fn purged(site: &Site) -> Vec<u64> {
    let count = |kind| if let EventKind::Purged { count } = kind { Some(count) } else { None };
    site.events.all().into_iter().filter_map(|event| count(event.kind)).collect()
}

#[tokio::test]
async fn a_purge_tells_how_many_were_expired() {
    let (site, log) = (expired(3).await, Log::start());
    assert_eq!(site.manager.purge(2).await.unwrap(), 2);
    assert_eq!(site.manager.purge(2).await.unwrap(), 1);
    assert_eq!(site.manager.purge(2).await.unwrap(), 0);
    assert_eq!(purged(&site), [2, 1], "nothing is no news");
    assert!(log.of("session.purged")[0].contains("session.count=2"));
}

#[tokio::test(start_paused = true)]
async fn the_task_tells_how_many_were_expired_and_each_error() {
    let site = expired(3).await;
    let task = site.manager.purge_every(MINUTE);
    move_on(MILLISECOND).await;
    assert_eq!(purged(&site), [3]);
    move_on(MINUTE).await;
    assert_eq!(purged(&site), [3], "nothing is no news");
    site.lab.next(Call::Purge, Fault::Fails);
    move_on(MINUTE).await;
    let failed = site.events.all().pop().unwrap().kind;
    assert!(matches!(failed, EventKind::PurgeFailed(session_core::Error::Store(_))), "{failed:?}");
    task.stop().await;

    let (site, log) = (expired(1).await, Log::start());
    let task = PurgeTask::start(site.lab.clone(), MINUTE);
    move_on(MILLISECOND).await;
    assert!(log.of("session.purged")[0].contains("session.count=1"));
    task.stop().await;
}
