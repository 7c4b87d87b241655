//! A handle tells its values, its times and its devices. A policy describes itself.

use std::time::Duration;

use session_core::{Error, EventKind, Incoming, Policy, SessionId, Store};

use crate::support::*;

/// Whether both times are the same, up to the time that a request takes.
fn is_about(one: Option<Duration>, other: Duration) -> bool {
    one.is_some_and(|one| one.abs_diff(other) < 30 * SECOND)
}

#[tokio::test]
async fn a_request_sees_what_is_stored_with_its_own_changes() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser
        .visit(async |session| {
            assert!(session.contains("n") && !session.contains("m"));
            session.insert("m", &1).unwrap();
            assert!(session.contains("m"));
            assert!(session.remove("n"), "there was one");
            assert!(!session.contains("n"));
            assert_eq!(session.get::<i64>("n").unwrap(), None);
            assert!(!session.remove("n") && !session.remove("never there"));
        })
        .await;
    browser
        .visit(async |session| {
            assert_eq!((session.get::<i64>("n").unwrap(), session.get("m").unwrap()), (None, Some(1)));
            session.clear();
            assert!(!session.contains("m"));
            assert_eq!(session.get::<i64>("m").unwrap(), None);
            session.insert("last", &2).unwrap();
        })
        .await;
    browser.visit(async |session| assert_eq!(session.keys(), ["last"])).await;
}

#[tokio::test]
async fn the_keys_are_sorted_whether_stored_or_new() {
    let site = Site::new();
    let mut browser = site.browser();
    browser
        .visit(async |session| {
            assert!(session.keys().is_empty());
            for key in ["d", "b", "f"] {
                session.insert(key, &1).unwrap();
            }
        })
        .await;
    browser
        .visit(async |session| {
            for key in ["e", "a", "c"] {
                session.insert(key, &1).unwrap();
            }
            assert_eq!(session.keys(), ["a", "b", "c", "d", "e", "f"]);
            session.remove("c");
            session.remove("d");
            assert_eq!(session.keys(), ["a", "b", "e", "f"]);
        })
        .await;
}

#[tokio::test]
async fn a_session_tells_its_age_and_how_long_it_lasts() {
    let site = Site::new();
    let (_, new) = site.browser().start().await;
    assert_eq!((new.age(), new.idle_timeout(), new.expires_in(), new.ends_in()), (None, None, None, None));
    let mut browser = site.visitor().await;
    site.lab.advance(10 * MINUTE);
    browser
        .visit(async |session| {
            assert!(is_about(session.age(), 10 * MINUTE), "{:?}", session.age());
            assert_eq!(session.idle_timeout(), Some(HOUR));
            assert!(is_about(session.expires_in(), 50 * MINUTE), "{:?}", session.expires_in());
            assert!(is_about(session.ends_in(), 4 * HOUR - 10 * MINUTE), "{:?}", session.ends_in());
            session.login(USER).await.unwrap();
            assert!(is_about(session.age(), Duration::ZERO), "a login begins a new life: {:?}", session.age());
            assert!(is_about(session.ends_in(), 24 * HOUR), "{:?}", session.ends_in());
        })
        .await;
}

#[tokio::test]
async fn the_idle_time_is_that_of_the_login_it_was_made_with() {
    let policy = Policy::builder().logged_in(lifetime(20 * MINUTE, 8 * HOUR)).build().unwrap();
    let browser = Site::with_policy(policy).logged_in(USER).await;
    assert_eq!(browser.start().await.1.idle_timeout(), Some(20 * MINUTE));
}

#[tokio::test]
async fn after_a_touch_a_session_expires_later_and_never_past_its_end() {
    for (absolute, left) in [(4 * HOUR, HOUR), (90 * MINUTE, 40 * MINUTE)] {
        let site = Site::with_policy(Policy::builder().before_login(lifetime(HOUR, absolute)).build().unwrap());
        let browser = site.visitor().await;
        site.lab.advance(50 * MINUTE);
        let (exchange, session) = browser.start().await;
        assert!(is_about(session.expires_in(), 10 * MINUTE), "{:?}", session.expires_in());
        exchange.commit().await.unwrap();
        assert_eq!(site.lab.calls(), [Call::Load, Call::Touch]);
        assert!(is_about(session.expires_in(), left), "{:?}, not {left:?}", session.expires_in());
        let ends_in = session.ends_in();
        assert!(session.expires_in() <= ends_in);
        assert!(is_about(session.ends_in(), absolute - 50 * MINUTE), "{:?}", session.ends_in());
    }
}

/// The size that the error tells for a session that gets a value which is too large.
fn size(session: &session_core::Session) -> usize {
    match session.insert("large", &"x".repeat(2 << 20)).unwrap_err() {
        Error::TooLarge { size, .. } => size,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_size_is_that_of_all_values_whichever_inserts_and_removals_they_come_of() {
    let site = Site::new();
    let mut browser = site.browser();
    let mut seen = Vec::new();
    browser
        .visit(async |session| {
            let empty = size(session);
            session.insert("a", &"x".repeat(300)).unwrap();
            let one = size(session);
            session.insert("b", &"x".repeat(500)).unwrap();
            session.insert("a", &"x".repeat(100)).unwrap();
            session.remove("b");
            assert_eq!(size(session), one - 200);
            session.insert("b", &"x".repeat(50)).unwrap();
            session.update("b", |b: &mut String| b.push_str("xx")).unwrap();
            seen.push(size(session));
            assert!(empty < one);
        })
        .await;
    browser
        .visit(async |session| {
            assert_eq!(size(session), seen[0], "the same values, stored");
            session.insert("c", &1).unwrap();
            session.remove("a");
            seen.push(size(session));
        })
        .await;
    browser
        .visit(async |session| {
            assert_eq!(size(session), seen[1]);
            session.clear();
            session.insert("c", &1).unwrap();
            seen.push(size(session));
        })
        .await;
    browser.visit(async |session| assert_eq!(size(session), seen[2])).await;
}

#[tokio::test]
async fn devices_are_listed_the_youngest_login_first() {
    let site = Site::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.insert(0, site.logged_in(USER).await.start().await.1.id().unwrap());
        site.lab.advance(MINUTE);
    }
    let listed: Vec<_> = site.manager.devices(&user()).await.unwrap().iter().map(|device| device.id).collect();
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn a_device_was_never_last_seen_before_its_login() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let id = browser.start().await.1.id().unwrap();
    let revision = site.lab.memory.load(&id).await.unwrap().unwrap().revision;
    // This is as if it had been left alone for fifty minutes.
    assert!(site.lab.memory.touch(&id, revision, 10 * MINUTE).await.unwrap());
    let devices = site.manager.devices(&user()).await.unwrap();
    assert!(devices[0].idle_for <= devices[0].age, "{devices:?}");
    site.lab.advance(5 * MINUTE);
    let devices = site.manager.devices(&user()).await.unwrap();
    assert_eq!(devices[0].idle_for, devices[0].age);
}

#[tokio::test]
async fn to_end_an_unknown_session_ends_nothing_and_tells_nothing() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let unknown = SessionId::from_bytes([9; 16]);
    let (_, session) = browser.start().await;
    assert!(!session.end(&unknown).await.unwrap());
    assert!(!site.manager.end(&user(), &unknown).await.unwrap());
    let own = session.id().unwrap();
    let (_, visitor) = site.visitor().await.start().await;
    assert!(!visitor.end(&own).await.unwrap(), "nobody is logged in there");
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Ended(_))), 0);
}

/// RFC 9113, section 8.2.3: HTTP/2 may send each cookie in a line of its own.
#[tokio::test]
async fn our_cookie_is_found_where_it_is_the_first_of_a_later_line() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let ours = format!("__Host-session={}; last=1", browser.cookie.clone().unwrap());
    let exchange = site.manager.open(Incoming::new([b"theme=dark".as_slice(), ours.as_bytes()]));
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
    let request = http::Request::builder().header("cookie", "theme=dark").header("cookie", &ours).body(()).unwrap();
    let exchange = site.manager.open(&request);
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
}

#[test]
fn a_policy_describes_each_of_its_settings() {
    let odd = Duration::from_millis(86_400_000 + 3_600_000 + 60_000 + 1000 + 1);
    let policy = Policy::builder()
        .before_login(lifetime(10 * MINUTE, HOUR))
        .logged_in(lifetime(90 * MINUTE, odd))
        .rotation(10 * MINUTE)
        .grace(90 * SECOND)
        .sessions_per_owner(5)
        .size_limit(2048)
        .build()
        .unwrap();
    let browser = "until the browser is closed";
    let lines = [
        ("before login: ends without use after", "10 min"),
        ("before login: ends in any case after", "1 h"),
        ("before login: the browser keeps it", browser),
        ("logged in: ends without use after", "1 h 30 min"),
        ("logged in: ends in any case after", "1 d 1 h 1 min 1 s 1 ms"),
        ("logged in: the browser keeps it", browser),
        ("remembered: ends without use after", "14 d"),
        ("remembered: ends in any case after", "30 d"),
        ("remembered: the browser keeps it", "until the session's end"),
        ("a login's token rotates every", "10 min"),
        ("a replaced token is accepted for", "1 min 30 s"),
        ("a request is safe while shorter than", "45 s"),
        ("a key that signs no more is needed for", "14 d 1 min 30 s"),
        ("sessions per user", "5, a further login ends the oldest"),
        ("largest session", "2048 bytes"),
        ("if a stored session cannot be read", "its pages fail"),
    ];
    let sheet: String = lines.iter().map(|(what, value)| format!("{what:<38} {value}\n")).collect();
    assert_eq!(policy.describe(), sheet);
    assert!(Policy::default().describe().contains("sessions per user                      no limit\n"));
}
