//! The limit of sessions if it refuses a further login.

use session_core::{AtLimit, EndReason, Error, EventKind, Login, Policy, Store};

use crate::support::*;

fn refusing(limit: u32) -> Site {
    let policy = Policy::builder().sessions_per_owner(limit).at_limit(AtLimit::RefuseLogin).build().unwrap();
    Site::with_policy(policy)
}

async fn count(site: &Site) -> usize {
    site.lab.memory.list(&user()).await.unwrap().len()
}

fn login(browser: Browser) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move { browser.start().await.1.login(USER).await })
}

#[tokio::test]
async fn a_login_over_the_limit_is_refused_and_changes_nothing() {
    let site = refusing(2);
    let (first, second) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let mut visitor = site.visitor().await;
    let before = site.lab.payload(&visitor.open().presented_id().unwrap()).await;
    let (_, session) = visitor.start().await;
    let refused = session.login(USER).await.unwrap_err();
    assert!(matches!(refused, Error::TooManySessions { limit: 2 }), "{refused:?}");
    assert_eq!(refused.status(), http::StatusCode::CONFLICT);
    assert_eq!(site.lab.payload(&visitor.open().presented_id().unwrap()).await, before);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::LoginRefused { limit: 2 })), 1);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Ended(EndReason::TooManySessions))), 0);
    assert!(first.owner().await.is_some() && second.owner().await.is_some());
    // The user ends a device, and logs in with the same session that was refused.
    let id = first.open().presented_id().unwrap();
    assert!(site.manager.end(&user(), &id).await.unwrap());
    visitor.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(visitor.get::<i64>("n").await, Some(0));
    assert_eq!(count(&site).await, 2);
}

#[tokio::test]
async fn another_user_has_places_of_his_own() {
    let site = refusing(1);
    site.logged_in(7).await;
    assert!(site.logged_in(USER).await.owner().await.is_some());
}

#[tokio::test]
async fn who_logs_in_again_in_his_own_session_needs_no_further_place() {
    let site = refusing(1);
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!((browser.owner().await, count(&site).await), (Some(user()), 1));
}

#[tokio::test]
async fn a_login_that_ends_the_others_is_never_refused() {
    let site = refusing(1);
    let old = site.logged_in(USER).await;
    let mut browser = site.browser();
    browser.visit(async |session| session.login(Login::new(USER).ending_others()).await.unwrap()).await;
    assert_eq!((old.owner().await, browser.owner().await), (None, Some(user())));
}

#[tokio::test]
async fn a_session_that_the_login_will_end_takes_no_place() {
    let site = refusing(1);
    let (one, two) = (site.logged_in(USER).await, site.logged_in(7).await);
    // With logins of two users nobody is logged in. A login ends both.
    let exchange = together(&site, &[&one, &two]);
    exchange.session().await.unwrap().login(USER).await.unwrap();
    assert_eq!(count(&site).await, 1);
    assert!(!is_stored(&site, &one).await && !is_stored(&site, &two).await);
}

#[tokio::test]
async fn where_the_places_cannot_be_counted_nobody_logs_in() {
    let site = refusing(1);
    let browser = site.visitor().await;
    site.lab.next(Call::List, Fault::Fails);
    assert!(matches!(browser.start().await.1.login(USER).await, Err(Error::Store(_))));
    assert_eq!((count(&site).await, browser.get("n").await), (0, Some(0)), "the visitor's session goes on");
}

#[tokio::test(start_paused = true)]
async fn of_many_logins_at_once_the_limit_is_never_exceeded_and_one_gets_each_place() {
    for limit in [1, 3] {
        let site = refusing(limit);
        let logins: Vec<_> = (0..12).map(|_| login(site.browser())).collect();
        let mut admitted = 0;
        for login in logins {
            match login.await.unwrap() {
                Ok(()) => admitted += 1,
                Err(Error::TooManySessions { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(admitted <= limit as usize);
        }
        assert!(admitted >= 1, "somebody got in");
        assert_eq!(count(&site).await, admitted);
    }
}

/// Both logins have found a free place, and both have written before either looks again. The older one stands, in any
/// order.
#[tokio::test(start_paused = true)]
async fn of_two_logins_for_the_last_place_the_older_stands_in_any_order_of_looking() {
    for older_first in [true, false] {
        let site = refusing(1);
        let (mut gates, mut logins) = (Vec::new(), Vec::new());
        let mut looks = Vec::new();
        for _ in 0..2 {
            let look = site.lab.hold_reply(Call::List);
            logins.push(login(site.browser()));
            look.reached().await;
            looks.push(look);
        }
        for look in looks {
            let written = site.lab.hold(Call::List);
            look.open();
            written.reached().await;
            site.lab.advance(SECOND);
            gates.push(written);
        }
        let order = if older_first { [0, 1] } else { [1, 0] };
        for index in order {
            gates[index].open();
        }
        let mut outcomes = Vec::new();
        for login in logins {
            outcomes.push(login.await.unwrap().is_ok());
        }
        assert_eq!(outcomes, [true, false]);
        assert_eq!(count(&site).await, 1);
    }
}

/// Nobody has the token of the first try. It must not take the only place.
#[tokio::test]
async fn a_login_whose_first_answer_was_lost_does_not_fill_the_places_itself() {
    let site = refusing(1);
    let (_exchange, session) = site.browser().start().await;
    site.lab.next(Call::Create, Fault::LosesReply);
    session.login(USER).await.unwrap();
    assert_eq!(count(&site).await, 1);
}
