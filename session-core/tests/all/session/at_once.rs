//! Changes that are saved at once: by a websocket, and outside of any request.

use session_core::{Error, EventKind, Field, Owner, Policy, Session, SessionId, StoredSession};

use crate::support::{unreadable::in_later_data, *};

const N: Field<i64> = Field::new("n");

/// The handle of a websocket: its response has left.
async fn websocket(browser: &Browser) -> Session {
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    session
}

// Websockets.

#[tokio::test]
async fn a_websocket_gets_the_value_that_is_stored_whoever_has_saved_before() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let socket = websocket(&browser).await;
    for round in 0..3 {
        browser.visit(async |session| _ = add_one(session)).await;
        let value = socket.update_now("n", |n: &mut i64| *n += 1).await.unwrap();
        assert_eq!(value, 2 * round + 2);
        assert_eq!((socket.get("n").unwrap(), browser.get("n").await), (Some(value), Some(value)));
    }
    assert_eq!(N.update_now(&socket, |n| *n += 1).await.unwrap(), 7);
}

#[tokio::test]
async fn after_the_response_an_update_that_would_answer_a_stale_value_is_refused_and_changes_nothing() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let socket = websocket(&browser).await;
    let refused = socket.update("n", |n: &mut i64| *n += 1).unwrap_err();
    assert!(matches!(refused, Error::UpdateAfterResponse), "{refused:?}");
    assert!(refused.to_string().contains("update_now"));
    socket.save().await.unwrap();
    assert_eq!(browser.get("n").await, Some(0));
}

#[tokio::test]
async fn a_websocket_that_reloads_sees_what_others_have_saved() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let socket = websocket(&browser).await;
    browser.visit(async |session| _ = add_one(session)).await;
    socket.reload().await.unwrap();
    assert_eq!(socket.get("n").unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn of_parallel_updates_each_gets_a_number_of_its_own_also_when_answers_are_lost() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    for fault in [Fault::LosesReply, Fault::Fails, Fault::LosesReply, Fault::ArrivesLate] {
        site.lab.next(Call::Replace, fault);
    }
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let socket = websocket(&browser).await;
        tasks.push(tokio::spawn(async move { socket.update_now("n", |n: &mut i64| *n += 1).await.unwrap() }));
    }
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    assert_eq!(site.lab.deliver_late().await, [false]);
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
    assert_eq!(browser.get("n").await, Some(16));
    site.lab.assert_all_met();
}

#[tokio::test]
async fn an_update_at_once_carries_what_waited_and_makes_a_session_where_there_is_none() {
    let site = Site::new();
    let mut browser = site.browser();
    let mut value = 0;
    browser
        .visit(async |session| {
            session.insert("name", "Zoë").unwrap();
            value = session.update_now("n", |n: &mut i64| *n += 1).await.unwrap();
        })
        .await;
    assert_eq!((value, browser.get("n").await), (1, Some(1)));
    assert_eq!(browser.get::<String>("name").await.as_deref(), Some("Zoë"));
    let stranger = websocket(&site.browser()).await;
    assert!(matches!(stranger.update_now("n", |n: &mut i64| *n += 1).await, Err(Error::ResponseSent)));
    browser.clone().visit(async |session| session.logout().await.unwrap()).await;
    let gone = browser.start().await.1;
    assert!(gone.update_now("n", |n: &mut i64| *n += 1).await.is_ok(), "a new session");
}

#[tokio::test]
async fn after_a_logout_a_websocket_revives_nothing() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let socket = websocket(&browser).await;
    browser.clone().visit(async |session| session.logout().await.unwrap()).await;
    assert!(matches!(socket.update_now("n", |n: &mut i64| *n += 1).await, Err(Error::Gone)));
    assert!(!is_stored(&site, &browser).await);
}

// Outside of a request.

async fn stored(site: &Site, browser: &Browser) -> StoredSession {
    let id = browser.open().presented_id().unwrap();
    site.manager.session_of(&user(), &id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_webhook_reads_and_changes_a_session_and_a_request_merges_with_it() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let session = stored(&site, &browser).await;
    assert_eq!((session.id(), session.owner()), (browser.open().presented_id().unwrap(), &user()));
    let (exchange, open) = browser.start().await;
    open.insert("mine", &1).unwrap();
    assert_eq!(session.update("n", |n: &mut i64| *n += 5).await.unwrap(), 5);
    session.insert("paid", &true).await.unwrap();
    exchange.commit().await.unwrap();
    assert_eq!(session.get::<i64>("mine").await.unwrap(), Some(1));
    browser
        .visit(async |open| {
            assert_eq!((open.get("paid").unwrap(), open.get("n").unwrap()), (Some(true), Some(5)));
            add_one(open);
        })
        .await;
    assert_eq!(session.get::<i64>("n").await.unwrap(), Some(6));
    assert_eq!(
        (session.take::<bool>("paid").await.unwrap(), session.take::<bool>("paid").await.unwrap()),
        (Some(true), None)
    );
    assert!(session.remove("mine").await.unwrap() && !session.remove("mine").await.unwrap());
}

#[tokio::test]
async fn which_values_a_session_has_is_told_outside_of_its_request() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let session = stored(&site, &browser).await;
    assert_eq!(session.keys().await.unwrap(), ["n"]);
    browser
        .visit(async |open| {
            open.insert("theme", "dark").unwrap();
            open.insert("cart", &[7]).unwrap();
        })
        .await;
    session.insert("paid", &true).await.unwrap();
    assert_eq!(session.keys().await.unwrap(), ["cart", "n", "paid", "theme"]);
    assert_eq!(site.manager.devices(&user()).await.unwrap()[0].keys().unwrap(), ["cart", "n", "paid", "theme"]);
    session.remove("paid").await.unwrap();
    assert_eq!(session.keys().await.unwrap(), ["cart", "n", "theme"]);
    site.manager.revoke_all(&user()).await.unwrap();
    assert!(matches!(session.keys().await, Err(Error::Gone)));
}

#[tokio::test]
async fn a_job_is_no_use_of_the_session_and_neither_rotates_nor_logs_in() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.advance(50 * MINUTE);
    let session = stored(&site, &browser).await;
    site.lab.calls();
    session.update("n", |n: &mut i64| *n += 1).await.unwrap();
    session.get::<i64>("n").await.unwrap();
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace, Call::Load], "no touch");
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::SuccessorIssued | EventKind::Rotated)), 0);
    site.lab.advance(11 * MINUTE);
    assert!(
        matches!(session.update("n", |n: &mut i64| *n += 1).await, Err(Error::Gone)),
        "it has expired as it would have"
    );
    assert_eq!(browser.owner().await, None);
    browser.visit(async |_| ()).await;
}

#[tokio::test]
async fn a_session_of_another_user_or_of_nobody_is_not_handed_out() {
    let site = Site::new();
    let browsers = [site.logged_in(7).await, site.visitor().await];
    for browser in &browsers {
        let id = browser.open().presented_id().unwrap();
        assert!(site.manager.session_of(&user(), &id).await.unwrap().is_none());
    }
    assert!(site.manager.session_of(&user(), &SessionId::from_bytes([1; 16])).await.unwrap().is_none());
    let unreadable = site.logged_in(USER).await.open().presented_id().unwrap();
    make_unreadable(&site, &unreadable).await;
    assert!(site.manager.session_of(&user(), &unreadable).await.unwrap().is_none());
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Unreadable(_))), 1);
    site.lab.next(Call::Load, Fault::Fails);
    assert!(site.manager.session_of(&user(), &unreadable).await.is_err(), "an outage is an error");
}

/// The session changes between the load and the write.
#[tokio::test(start_paused = true)]
async fn a_job_that_loses_a_race_against_a_logout_or_another_user_s_login_changes_nothing() {
    for other in [None, Some(7), Some(USER)] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let session = stored(&site, &browser).await;
        let racing = browser.clone();
        site.lab.before_next(Call::Replace, move || {
            let mut racing = racing.clone();
            async move {
                racing
                    .visit(async |open| match other {
                        None => open.logout().await.unwrap(),
                        Some(owner) => open.login(owner).await.unwrap(),
                    })
                    .await;
            }
        });
        let updated = session.update("n", |n: &mut i64| *n += 1).await;
        let now = site.manager.session_of(&Owner::from(other.unwrap_or(USER)), &session.id()).await.unwrap();
        match other {
            None => assert!(matches!(updated, Err(Error::Gone)) && now.is_none(), "{updated:?}"),
            Some(7) => {
                assert!(matches!(updated, Err(Error::Superseded)), "{updated:?}");
                assert_eq!(now.unwrap().get::<i64>("n").await.unwrap(), None);
                assert!(matches!(session.get::<i64>("n").await, Err(Error::Superseded)), "nor is it read");
            }
            Some(_) => {
                assert_eq!(updated.unwrap(), 1);
                assert_eq!(now.unwrap().get::<i64>("n").await.unwrap(), Some(1));
            }
        }
        site.lab.assert_all_met();
    }
}

#[tokio::test(start_paused = true)]
async fn parallel_jobs_and_requests_are_exact_also_when_answers_are_lost() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    // Of one process, so they come one after another. None meets three, which would be an error.
    for fault in [Fault::LosesReply, Fault::Fails, Fault::LosesReply, Fault::ArrivesLate] {
        site.lab.next(Call::Replace, fault);
    }
    let mut tasks = Vec::new();
    for turn in 0..20 {
        let (session, mut browser) = (stored(&site, &browser).await, browser.clone());
        tasks.push(tokio::spawn(async move {
            if turn % 2 == 0 {
                session.update("n", |n: &mut i64| *n += 1).await.unwrap();
            } else {
                browser.visit(async |open| _ = add_one(open)).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(site.lab.deliver_late().await, [false]);
    assert_eq!(browser.get("n").await, Some(20));
}

#[tokio::test]
async fn a_job_s_value_that_is_too_large_is_refused() {
    let site = Site::with_policy(Policy::builder().size_limit(2048).build().unwrap());
    let browser = site.logged_in(USER).await;
    let session = stored(&site, &browser).await;
    assert!(matches!(session.insert("large", &"x".repeat(4000)).await, Err(Error::TooLarge { .. })));
    assert_eq!(session.get::<String>("large").await.unwrap(), None);
}

#[tokio::test]
async fn a_job_makes_a_session_smaller_that_is_too_large_by_now() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.insert("long", "a".repeat(5000).as_str()).unwrap()).await;
    let id = browser.open().presented_id().unwrap();
    let smaller = site.manager.clone().with_policy(Policy::builder().size_limit(1024).build().unwrap());
    let session = smaller.session_of(&user(), &id).await.unwrap().unwrap();
    assert!(matches!(session.insert("more", &1).await, Err(Error::TooLarge { .. })));
    session.insert("long", "a".repeat(3000).as_str()).await.unwrap();
    assert_eq!(session.get::<String>("long").await.unwrap().unwrap().len(), 3000);
}

#[tokio::test]
async fn a_job_that_changes_nothing_writes_nothing() {
    let site = Site::new();
    let session = stored(&site, &site.logged_in(USER).await).await;
    session.insert("n", &1).await.unwrap();
    site.lab.calls();
    session.insert("n", &1).await.unwrap();
    assert!(!session.remove("nothing").await.unwrap());
    let calls = site.lab.calls();
    assert!(!calls.contains(&Call::Replace), "{calls:?}");
}

#[tokio::test]
async fn an_application_s_test_gets_the_cookie_of_a_login() {
    let site = Site::new();
    let cookie = site.manager.login_for_tests("Zoë").await.unwrap();
    let request = http::Request::builder().header("cookie", cookie).body(()).unwrap();
    let session = site.manager.open(&request).session().await.unwrap();
    assert_eq!(session.owner(), Some(Owner::try_from("Zoë").unwrap()));
    assert!(site.manager.login_for_tests("").await.is_err());
}

#[tokio::test]
async fn the_live_sessions_of_a_user_are_counted() {
    let site = Site::new();
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 0);
    let mut browser = site.logged_in(USER).await;
    let unreadable = site.logged_in(USER).await.open().presented_id().unwrap();
    site.logged_in(7).await;
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 2);
    in_later_data(&site, &unreadable).await;
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 2, "it counts as before");
    site.manager.end(&user(), &unreadable).await.unwrap();
    browser.visit(async |session| session.logout().await.unwrap()).await;
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 0);
    site.logged_in(USER).await;
    site.lab.advance(61 * MINUTE);
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 0, "an expired one is none");
}
