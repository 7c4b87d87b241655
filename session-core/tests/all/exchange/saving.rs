//! The cost of a request, and what is saved.

use std::time::Duration;

use session_core::{Error, Outcome, Policy, Store};

use crate::support::*;

// The cost of a request.

#[tokio::test]
async fn a_request_that_never_asks_for_its_session_makes_no_call() {
    let site = Site::new();
    let browser = site.visitor().await;
    let exchange = browser.open();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert!(exchange.headers().is_empty());
    assert_eq!(site.lab.calls(), []);
}

#[tokio::test]
async fn reading_costs_one_load_and_no_write() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| assert_eq!(session.get::<i64>("n").unwrap(), Some(0))).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

/// A handler's future has room for them, and is allocated for each request. From about 1 KiB on, allocators take a block from
/// the part that threads share.
#[tokio::test]
async fn what_a_handler_waits_for_takes_little_room() {
    let site = Site::new();
    let exchange = site.visitor().await.open();
    let session = exchange.session().await.unwrap();
    let futures = [
        ("session", size_of_val(&exchange.session()), 512),
        ("commit", size_of_val(&exchange.commit()), 128),
        ("login", size_of_val(&session.login(42)), 704),
    ];
    for (name, size, most) in futures {
        assert!(size <= most, "{name}: {size} bytes, of at most {most}");
    }
}

#[tokio::test]
async fn an_equal_value_inserted_writes_nothing() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("n", &0).unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_value_changed_back_writes_nothing() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser
        .visit(async |session| {
            session.insert("n", &1).unwrap();
            session.insert("n", &0).unwrap();
            session.insert("other", &1).unwrap();
            assert!(session.remove("other"));
        })
        .await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_change_costs_a_load_and_a_replace_and_a_new_session_one_create() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.visit(async |session| session.insert("n", &0).unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Create]);
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
}

#[tokio::test]
async fn a_login_costs_three_calls_and_two_without_an_earlier_session() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace, Call::Load]);
    let mut fresh = site.browser();
    fresh.visit(async |session| session.login(42).await.unwrap()).await;
    assert_eq!(site.lab.calls(), [Call::Create, Call::Load]);
}

#[tokio::test]
async fn an_empty_new_session_is_never_created() {
    let site = Site::new();
    let mut browser = site.browser();
    browser
        .visit(async |session| {
            session.insert("n", &1).unwrap();
            assert!(session.remove("n"));
            assert!(session.is_new());
        })
        .await;
    assert_eq!((site.lab.calls(), browser.cookie), (vec![], None));
}

#[tokio::test]
async fn a_touch_is_sent_when_a_tenth_of_the_idle_timeout_but_at_most_a_minute_was_used() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(59 * SECOND);
    browser.visit(async |_| ()).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
    site.lab.advance(2 * SECOND);
    browser.visit(async |_| ()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Touch]);
    browser.visit(async |session| assert!(session.expires_in().unwrap() > HOUR - SECOND)).await;
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_websocket_that_saves_keeps_its_user_signed_in_and_one_that_reloads_does_not() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    site.lab.advance(2 * MINUTE);
    session.reload().await.unwrap();
    assert_eq!(site.lab.calls(), [Call::Load, Call::Load]);
    assert!(session.expires_in().unwrap() <= HOUR - 2 * MINUTE);
    for calls in [vec![Call::Touch], vec![]] {
        session.save().await.unwrap();
        assert_eq!(site.lab.calls(), calls, "once a minute at most");
        assert!(session.expires_in().unwrap() > HOUR - SECOND);
    }
}

#[tokio::test]
async fn a_short_idle_timeout_is_touched_when_a_tenth_of_it_was_used() {
    let site = Site::with_policy(Policy::builder().before_login(lifetime(5 * MINUTE, HOUR)).build().unwrap());
    let mut browser = site.visitor().await;
    for (seconds, calls) in [(29, vec![Call::Load]), (2, vec![Call::Load, Call::Touch])] {
        site.lab.advance(seconds * SECOND);
        browser.visit(async |_| ()).await;
        assert_eq!(site.lab.calls(), calls);
    }
}

#[tokio::test]
async fn a_poll_does_not_keep_the_user_signed_in() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    for _ in 0..3 {
        site.lab.advance(15 * MINUTE);
        browser.visit(async |session| session.skip_touch()).await;
        browser
            .visit(async |session| {
                session.skip_touch();
                add_one(session);
            })
            .await;
    }
    assert!(!site.lab.calls().contains(&Call::Touch));
    site.lab.advance(15 * MINUTE);
    assert_eq!(browser.get::<i64>("n").await, None);
}

#[tokio::test]
async fn a_poll_that_has_logged_out_is_still_a_poll() {
    let site = Site::new();
    let (_exchange, session) = site.visitor().await.start().await;
    session.skip_touch();
    session.logout().await.unwrap();
    let left_after = async |n: i64| {
        session.insert("n", &n).unwrap();
        session.save().await.unwrap();
        site.lab.memory.load(&session.id().unwrap()).await.unwrap().unwrap().expires_in
    };
    let before = left_after(1).await;
    site.lab.advance(MINUTE);
    assert!(left_after(2).await <= before - MINUTE, "the idle timeout has not begun again");
}

#[tokio::test]
async fn a_touch_that_fails_is_told_and_the_response_stands() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(2 * MINUTE);
    site.lab.next(Call::Touch, Fault::Fails);
    browser.visit(async |_| ()).await;
    assert_eq!(site.events.count(|kind| matches!(kind, session_core::EventKind::TouchFailed(_))), 1);
}

#[tokio::test]
async fn a_touch_that_lost_against_a_poll_still_extends_the_idle_timeout() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(30 * MINUTE);
    let poll = browser.clone();
    site.lab.before_next(Call::Touch, move || {
        let poll = poll.clone();
        async move {
            let (exchange, session) = poll.start().await;
            session.skip_touch();
            add_one(&session);
            exchange.commit().await.unwrap();
        }
    });
    browser.visit(async |_| ()).await;
    site.lab.assert_all_met();
    site.lab.advance(45 * MINUTE);
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

// The response, and the time after it.

#[tokio::test]
async fn after_the_response_a_session_is_saved_but_not_created_renewed_or_logged_in() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    session.insert("n", &1).unwrap();
    session.save().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(1));
    assert!(matches!(session.login(42).await, Err(Error::ResponseSent)));
    assert!(matches!(session.renew().await, Err(Error::ResponseSent)));

    let (exchange, session) = site.browser().start().await;
    exchange.commit().await.unwrap();
    session.insert("n", &1).unwrap();
    assert!(matches!(session.save().await, Err(Error::ResponseSent)));
    assert!(matches!(session.begin_login().await, Err(Error::ResponseSent)));
    assert!(matches!(session.login(42).await, Err(Error::ResponseSent)));
}

#[tokio::test]
async fn after_the_response_a_logout_lets_no_session_be_made_that_no_client_hears_of() {
    let site = Site::new();
    let (exchange, session) = site.logged_in(USER).await.start().await;
    exchange.commit().await.unwrap();
    session.logout().await.unwrap();
    session.insert("n", &1).unwrap();
    assert!(matches!(session.save().await, Err(Error::ResponseSent)));
    assert!(matches!(session.login(USER).await, Err(Error::ResponseSent)));
}

#[tokio::test]
async fn a_websocket_that_was_opened_anonymously_stays_anonymous() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    browser.visit(async |session| session.insert("n", &3).unwrap()).await;
    session.reload().await.unwrap();
    assert_eq!(session.get::<i64>("n").unwrap(), Some(3));
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    assert!(matches!(session.reload().await, Err(Error::Superseded)));
    assert_eq!(session.owner(), None);
    assert!(matches!(session.save().await, Err(Error::Superseded)));
}

// Sizes.

#[tokio::test]
async fn a_value_that_is_too_large_is_refused_at_insert_and_after_a_merge() {
    let policy = Policy::builder().size_limit(4096).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    assert!(matches!(session.insert("big", &"x".repeat(4096)), Err(Error::TooLarge { limit: 4096, .. })));
    assert!(!session.contains("big"));
    session.insert("mine", &"x".repeat(2000)).unwrap();
    browser.visit(async |session| session.insert("theirs", &"x".repeat(2000)).unwrap()).await;
    assert!(matches!(exchange.commit().await, Err(Error::TooLarge { .. })));
    assert_eq!(browser.start().await.1.keys(), ["n", "theirs"]);
}

#[tokio::test]
async fn a_session_may_be_as_large_as_the_limit() {
    let limited = |bytes| Site::with_policy(Policy::builder().size_limit(bytes).build().unwrap());
    let value = "x".repeat(4096);
    let (_, session) = limited(4095).browser().start().await;
    let Err(Error::TooLarge { size, .. }) = session.insert("big", &value) else { panic!("it is too large") };
    let (exchange, session) = limited(size).browser().start().await;
    session.insert("big", &value).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    let (_, session) = limited(size - 1).browser().start().await;
    assert!(matches!(session.insert("big", &value), Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn a_session_that_was_larger_before_the_limit_was_lowered_goes_on_but_does_not_grow() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    browser.visit(async |session| session.insert("big", &"x".repeat(8192)).unwrap()).await;
    let policy = Policy::builder().size_limit(4096).build().unwrap();
    browser.manager = browser.manager.with_policy(policy);
    site.due().await;
    let old = browser.cookie.clone();
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_ne!(browser.cookie, old, "it rotates");
    let (_, session) = browser.start().await;
    session.renew().await.unwrap();
    assert!(matches!(session.insert("more", &1), Err(Error::TooLarge { .. })));
    assert_eq!(session.take::<String>("big").await.unwrap().unwrap().len(), 8192);
    session.insert("more", &1).unwrap();
}

#[tokio::test]
async fn keys_and_values_are_binary_safe() {
    let site = Site::new();
    let mut browser = site.browser();
    let strange = ["", "\0", "ключ", "a\nb", "🦀"];
    browser
        .visit(async |session| {
            for key in strange {
                session.insert(key, key).unwrap();
            }
        })
        .await;
    for key in strange {
        assert_eq!(browser.get::<String>(key).await.as_deref(), Some(key));
    }
}

#[tokio::test]
async fn idle_and_absolute_timeouts_hold_together() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let mut lived = Duration::ZERO;
    while browser.get::<i64>("n").await.is_some() {
        site.lab.advance(30 * MINUTE);
        lived += 30 * MINUTE;
        browser.visit(async |_| ()).await;
    }
    assert_eq!(lived, 4 * HOUR, "used all the time, a session before login lasts four hours");
    let browser = site.visitor().await;
    site.lab.advance(HOUR);
    assert_eq!(browser.get::<i64>("n").await, None, "unused, one");
}
