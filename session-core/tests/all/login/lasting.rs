//! A lifetime for one login.

use std::time::Duration;

use http::header;
use proptest::prelude::*;
use session_core::{Error, Exchange, Lifetime, Login};

use crate::support::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A browser that has logged in this way, and the response of the login.
async fn log_in(site: &Site, login: Login) -> (Browser, Exchange) {
    let mut browser = site.browser();
    let (exchange, session) = browser.start().await;
    session.login(login).await.unwrap();
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    (browser, exchange)
}

/// The `Max-Age` of the response's cookie, in seconds.
fn max_age(exchange: &Exchange) -> Option<u64> {
    let headers = exchange.headers();
    let line = headers.get(header::SET_COOKIE)?.to_str().unwrap();
    line.split("; ").find_map(|attribute| attribute.strip_prefix("Max-Age=")).map(|age| age.parse().unwrap())
}

/// Idle and absolute timeout, as the session tells them right after its login.
async fn timeouts(browser: &Browser) -> (Duration, Duration) {
    let (_, session) = browser.start().await;
    let ends_in = session.ends_in().unwrap() + session.age().unwrap();
    (session.idle_timeout().unwrap(), Duration::from_secs((ends_in + SECOND / 2).as_secs()))
}

#[tokio::test]
async fn a_login_lasts_as_it_says_shorter_or_longer_than_the_policy() {
    let minutes = |n: u32| n * MINUTE;
    let cases = [
        (Login::new(USER), (HOUR, DAY)),
        (Login::new(USER).lasting(lifetime(minutes(15), 8 * HOUR)), (minutes(15), 8 * HOUR)),
        (Login::new(USER).lasting(lifetime(90 * DAY, 400 * DAY)), (90 * DAY, 400 * DAY)),
        (Login::new(USER).idle(minutes(5)), (minutes(5), DAY)),
        (Login::new(USER).absolute(7 * DAY), (HOUR, 7 * DAY)),
        (Login::new(USER).absolute(minutes(10)), (minutes(10), minutes(10))),
        (Login::new(USER).remembered(true).absolute(DAY), (DAY, DAY)),
        (Login::new(USER).lasting(lifetime(HOUR, 2 * HOUR)).idle(minutes(3)), (minutes(3), 2 * HOUR)),
        (Login::new(USER).idle(minutes(3)).absolute(minutes(4)), (minutes(3), minutes(4))),
    ];
    for (login, lasts) in cases {
        let site = Site::new();
        let (browser, _) = log_in(&site, login.clone()).await;
        assert_eq!(timeouts(&browser).await, lasts, "{login:?}");
        site.lab.advance(lasts.0 - SECOND);
        assert!(browser.owner().await.is_some(), "{login:?}");
        site.lab.advance(2 * SECOND);
        assert!(browser.owner().await.is_none(), "{login:?}");
    }
}

#[tokio::test]
async fn the_store_itself_ends_a_login_at_its_own_absolute_timeout() {
    let site = Site::new();
    let (mut browser, _) = log_in(&site, Login::new(USER).lasting(lifetime(HOUR, 3 * HOUR))).await;
    for _ in 0..5 {
        site.lab.advance(30 * MINUTE);
        browser.visit(async |session| assert_eq!(session.owner(), Some(user()))).await;
    }
    site.lab.advance(31 * MINUTE);
    assert_eq!(browser.owner().await, None);
}

#[tokio::test]
async fn a_persistent_login_tells_the_browser_its_own_end_also_with_a_successor() {
    let long = lifetime(60 * DAY, 90 * DAY);
    let cases = [
        (Login::new(USER).lasting(long), None),
        (Login::new(USER).lasting(long.persistent()), Some(90)),
        (Login::new(USER).remembered(true).lasting(long), Some(90)),
        (Login::new(USER).remembered(true).absolute(40 * DAY), Some(40)),
    ];
    for (login, days) in cases {
        let site = Site::new();
        let (browser, exchange) = log_in(&site, login).await;
        let expected = days.map(|days| days * 86_400);
        // A moment has passed since the login.
        assert_eq!(max_age(&exchange).map(|age| age.next_multiple_of(60)), expected);
        site.lab.advance(DAY);
        let (exchange, _) = browser.start().await;
        exchange.commit().await.unwrap();
        assert!(sets_cookie(&exchange), "a successor");
        assert!(max_age(&exchange).is_none_or(|age| age.abs_diff(expected.unwrap() - 86_400) < 5));
        assert_eq!(max_age(&exchange).is_some(), days.is_some());
    }
}

#[tokio::test]
async fn a_lifetime_that_cannot_be_is_refused_before_anything_is_done() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_, session) = browser.start().await;
    site.lab.calls();
    let impossible = [
        Login::new(USER).lasting(lifetime(2 * HOUR, HOUR)),
        Login::new(USER).lasting(lifetime(Duration::ZERO, HOUR)),
        Login::new(USER).absolute(401 * DAY),
        Login::new(USER).idle(2 * DAY),
        Login::new(USER).absolute(Duration::ZERO),
    ];
    for login in impossible {
        let refused = session.login(login.clone()).await.unwrap_err();
        assert!(matches!(refused, Error::Lifetime(_)), "{login:?}: {refused:?}");
        assert_eq!(refused.status(), http::StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert!(site.lab.calls().is_empty());
}

#[tokio::test]
async fn the_next_login_is_the_policy_s_again() {
    let site = Site::new();
    let (mut browser, _) = log_in(&site, Login::new(USER).lasting(lifetime(MINUTE, HOUR))).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(timeouts(&browser).await, (HOUR, DAY));
}

/// The things that requests do to a session after its login.
#[derive(Clone, Copy, Debug)]
enum Act {
    Read,
    Save,
    /// Another request has saved first, so the change is merged.
    Merge,
    LoseReply,
    Renew,
    BeginLogin,
    Take,
    /// This many minutes pass.
    Pass(u32),
}

fn act() -> impl Strategy<Value = Act> {
    use Act::*;
    prop_oneof![
        Just(Read),
        Just(Save),
        Just(Merge),
        Just(LoseReply),
        Just(Renew),
        Just(BeginLogin),
        Just(Take),
        (1..20_u32).prop_map(Pass)
    ]
}

async fn perform(site: &Site, browser: &mut Browser, act: Act) {
    match act {
        Act::Read => browser.visit(async |_| ()).await,
        Act::Save => browser.visit(async |session| _ = add_one(session)).await,
        Act::Merge => {
            let other = browser.clone();
            browser
                .visit(async |session| {
                    add_one(session);
                    let (exchange, session) = other.start().await;
                    session.insert("other", &1).unwrap();
                    exchange.commit().await.unwrap();
                })
                .await;
        }
        Act::LoseReply => {
            browser
                .visit(async |session| {
                    add_one(session);
                    site.lab.next(Call::Replace, Fault::LosesReply);
                    session.save().await.unwrap();
                })
                .await;
        }
        Act::Renew => browser.visit(async |session| session.renew().await.unwrap()).await,
        Act::BeginLogin => browser.visit(async |session| session.begin_login().await.unwrap()).await,
        Act::Take => browser.visit(async |session| _ = session.take::<i64>("n").await.unwrap()).await,
        Act::Pass(minutes) => site.lab.advance(minutes * MINUTE),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_lifetime_of_its_own_survives_whatever_follows(
        idle in 30..90_u32,
        more in 0..300_u32,
        persistent: bool,
        acts in prop::collection::vec(act(), 0..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let site = Site::new();
            let own = Lifetime::new(idle * MINUTE, (idle + more) * MINUTE);
            let own = if persistent { own.persistent() } else { own };
            let (mut browser, _) = log_in(&site, Login::new(USER).lasting(own)).await;
            let (mut passed, mut unused) = (0, 0);
            for act in acts {
                let minutes = if let Act::Pass(minutes) = act { minutes } else { 0 };
                unused = if minutes == 0 { 0 } else { unused + minutes };
                if unused >= idle - 1 || passed + minutes >= idle + more - 1 {
                    break;
                }
                passed += minutes;
                perform(&site, &mut browser, act).await;
                let (exchange, session) = browser.start().await;
                assert_eq!(session.owner(), Some(user()), "after {act:?}");
                assert_eq!(session.idle_timeout(), Some(idle * MINUTE), "after {act:?}");
                let end = (idle + more - passed) * MINUTE;
                assert!(session.ends_in().unwrap().abs_diff(end) < 5 * SECOND, "after {act:?}");
                drop(exchange);
            }
            site.lab.advance((idle + more - passed) * MINUTE + SECOND);
            assert_eq!(browser.owner().await, None, "never past its end");
        });
    }
}
