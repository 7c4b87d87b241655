//! Requests to which the application gives no new session, such as crawlers and health checks.

use session_core::{Error, EventKind, Exchange, Incoming, Outcome, WithheldReason};

use crate::support::*;

const REFUSED: WithheldReason = WithheldReason::Refused;

/// A request of this browser, to which the application gives no session if it has none.
fn refused(browser: &Browser) -> Exchange {
    let header = browser.cookie.as_ref().map(|cookie| format!("__Host-session={cookie}"));
    browser.manager.open(Incoming::new(header.as_deref().map(str::as_bytes)).without_anonymous_session())
}

#[tokio::test]
async fn a_refused_visitor_gets_no_session_and_costs_the_store_nothing() {
    let site = Site::new();
    let exchange = refused(&site.browser());
    let session = exchange.session().await.unwrap();
    session.update("n", |n: &mut u64| *n += 1).unwrap();
    assert_eq!(session.get("n").unwrap(), Some(1), "the page itself goes on as ever");
    assert!(matches!(session.save().await, Err(Error::Withheld(REFUSED))));
    assert!(matches!(session.begin_login().await, Err(Error::Withheld(REFUSED))));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(REFUSED));
    assert!(!sets_cookie(&exchange));
    assert_eq!(site.lab.calls(), []);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Withheld(REFUSED))), 1);
    assert_eq!(site.events.all().len(), 1);
}

#[tokio::test]
async fn an_error_says_why_there_is_no_session() {
    let reasons = [
        (WithheldReason::CrossSite, "another site"),
        (REFUSED, "the application gives"),
        (WithheldReason::SeveralUsers, "several users"),
        (WithheldReason::TooManyCookies, "too many"),
    ];
    for (reason, words) in reasons {
        let text = Error::Withheld(reason).to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_visitor_with_a_header_of_his_own_is_refused_as_well() {
    let site = Site::new();
    let exchange = site.manager.open(Incoming::default().with_token("").without_anonymous_session());
    exchange.session().await.unwrap().insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(REFUSED));
    assert!(exchange.token().is_none());
}

#[tokio::test]
async fn a_refused_visitor_may_log_in() {
    let site = Site::new();
    let mut browser = site.browser();
    let exchange = refused(&browser);
    let session = exchange.session().await.unwrap();
    session.insert("n", &1).unwrap();
    session.login(USER).await.unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    browser.receive(&exchange.headers());
    assert_eq!((browser.owner().await, browser.get("n").await), (Some(user()), Some(1)));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Withheld(_) | EventKind::CrossSiteLogin)), 0);
}

#[tokio::test]
async fn a_session_that_is_there_goes_on_where_new_ones_are_refused() {
    let site = Site::new();
    for mut browser in [site.visitor().await, site.logged_in(USER).await] {
        let exchange = refused(&browser);
        let session = exchange.session().await.unwrap();
        session.insert("n", &1).unwrap();
        session.begin_login().await.unwrap();
        session.insert("n", &2).unwrap();
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
        browser.receive(&exchange.headers());
        assert_eq!(browser.get("n").await, Some(2));
    }
}

#[tokio::test]
async fn a_session_that_has_ended_is_not_followed_by_a_new_one_where_those_are_refused() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let stale = browser.clone();
    let exchange = refused(&browser);
    let session = exchange.session().await.unwrap();
    session.logout().await.unwrap();
    session.insert("flash", "you are logged out").unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(REFUSED));
    browser.receive(&exchange.headers());
    assert_eq!(browser.cookie, None, "the logout's removal leaves all the same");

    let exchange = refused(&stale);
    exchange.session().await.unwrap().insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(REFUSED));
    assert!(!sets_cookie(&exchange));
}

#[tokio::test]
async fn a_middleware_may_refuse_a_visitor_while_the_request_goes_on() {
    let site = Site::new();
    let exchange = site.browser().open();
    let session = exchange.session().await.unwrap();
    session.insert("n", &1).unwrap();
    exchange.refuse_anonymous();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(REFUSED));
    assert!(!sets_cookie(&exchange));
}
