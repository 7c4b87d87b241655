//! Who is logged in, for what others will trust without asking the store.

use std::time::Duration;

use session_core::{Error, Session};

use crate::support::*;

/// The handle of a stream: its response has left.
async fn stream(browser: &Browser) -> Session {
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    session
}

#[tokio::test(start_paused = true)]
async fn who_is_logged_in_is_answered_without_a_call_while_the_request_is_young() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (_, session) = browser.start().await;
    site.lab.calls();
    tokio::time::advance(10 * SECOND).await;
    let login = session.current_login(HOUR).await.unwrap().unwrap();
    assert_eq!((Some(login.id()), login.owner()), (session.id(), &user()));
    assert!(login.asked_ago() >= 10 * SECOND, "{:?}", login.asked_ago());
    assert!(login.expires_in() <= HOUR - 10 * SECOND && login.ends_in() <= 24 * HOUR - 10 * SECOND);
    assert_eq!(site.lab.calls(), []);

    let login = session.current_login(5 * SECOND).await.unwrap().unwrap();
    assert_eq!((login.asked_ago(), site.lab.calls()), (Duration::ZERO, vec![Call::Load]));
}

#[tokio::test]
async fn after_the_response_the_store_is_asked_who_is_logged_in() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let [of_login, of_renewal] = [stream(&browser).await, stream(&browser).await];
    site.lab.calls();
    assert_eq!(of_login.current_login(HOUR).await.unwrap().unwrap().owner(), &user());
    assert_eq!(site.lab.calls(), [Call::Load]);

    browser.visit(async |session| session.renew().await.unwrap()).await;
    assert!(matches!(of_renewal.current_login(HOUR).await, Err(Error::Superseded)));
    let later = stream(&browser).await;
    browser.visit(async |session| session.logout().await.unwrap()).await;
    for session in [of_login, later] {
        assert!(matches!(session.current_login(HOUR).await, Err(Error::Gone)));
        assert!(matches!(session.current_login(HOUR).await, Err(Error::Gone)), "also when it is asked again");
    }
}

#[tokio::test]
async fn a_login_of_this_request_counts_once_it_is_saved_and_not_after_its_logout() {
    let site = Site::new();
    let (_exchange, session) = site.visitor().await.start().await;
    assert!(session.current_login(HOUR).await.unwrap().is_none(), "a visitor");
    site.lab.set_down(true);
    session.login(USER).await.unwrap_err();
    session.current_login(HOUR).await.unwrap_err();
    site.lab.set_down(false);
    assert!(session.current_login(HOUR).await.unwrap().is_none());
    session.login(USER).await.unwrap();
    assert_eq!(session.current_login(HOUR).await.unwrap().unwrap().owner(), &user());
    session.logout().await.unwrap();
    assert!(session.current_login(HOUR).await.unwrap().is_none());
}

#[tokio::test]
async fn a_login_that_was_given_up_on_its_way_is_settled_before_anybody_counts_as_logged_in() {
    for is_applied in [false, true] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let (_, session) = browser.start().await;
        let gate = if is_applied { site.lab.hold_reply(Call::Replace) } else { site.lab.hold(Call::Replace) };
        tokio::select! {
            _ = session.login(7) => panic!("the login was held"),
            () = gate.reached() => {}
        }
        match session.current_login(HOUR).await {
            Ok(login) => assert!(!is_applied && login.unwrap().owner() == &user()),
            Err(error) => assert!(is_applied && matches!(error, Error::Superseded), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn of_several_users_and_of_a_token_that_opens_nothing_nobody_counts_as_logged_in() {
    let site = Site::new();
    let [one, other] = [site.logged_in(USER).await, site.logged_in(7).await];
    let session = together(&site, &[&one, &other]).session().await.unwrap();
    assert!(session.current_login(Duration::ZERO).await.unwrap().is_none());
    let (_, session) = late(&site).await.start().await;
    assert!(session.current_login(Duration::ZERO).await.unwrap().is_none());
    let (_, thief) = stolen(&site).await;
    assert!(thief.start().await.1.current_login(Duration::ZERO).await.unwrap().is_none());
}

#[tokio::test]
async fn who_is_logged_in_is_not_answered_by_a_record_that_cannot_be_read_any_more() {
    let site = Site::new();
    let session = stream(&site.logged_in(USER).await).await;
    make_unreadable(&site, &session.id().unwrap()).await;
    assert!(matches!(session.current_login(HOUR).await, Err(Error::Store(_))));
}
