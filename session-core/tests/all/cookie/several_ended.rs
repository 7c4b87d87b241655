//! A login and a logout end every other session that their request opens. Otherwise such a session would log in the
//! next request.

use session_core::{EndReason, Error, EventKind, Login, Owner};

use crate::support::*;

#[tokio::test]
async fn a_logout_ends_each_session_that_its_request_opens() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let visitor = site.visitor().await;
    let exchange = together(&site, &[&one, &visitor, &two]);
    exchange.session().await.unwrap().logout().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange));
    for browser in [&one, &two, &visitor] {
        assert!(!is_stored(&site, browser).await);
    }
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Ended(_))), 3);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_fails_on_one_session_sends_no_cookie_and_can_be_repeated() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let exchange = together(&site, &[&one, &two]);
    let session = exchange.session().await.unwrap();
    site.lab.before_next(Call::Delete, || async {});
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    session.logout().await.unwrap_err();
    site.lab.assert_all_met();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    let again = together(&site, &[&one, &two]);
    again.session().await.unwrap().logout().await.unwrap();
    again.commit().await.unwrap();
    assert!(sets_cookie(&again));
    assert!(site.manager.devices(&user()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_login_ends_the_other_sessions_after_it_has_succeeded_and_not_before() {
    let site = Site::new();
    let (taken, other) = (site.logged_in(USER).await, site.visitor().await);
    let exchange = together(&site, &[&taken, &other]);
    let session = exchange.session().await.unwrap();
    site.lab.advance(MINUTE);
    site.manager.revoke_all(&Owner::from(9)).await.unwrap();
    assert!(matches!(session.login(9).await, Err(Error::LoginRevoked)));
    assert!(is_stored(&site, &other).await, "a login that was refused ends nothing else");

    let taken = site.logged_in(USER).await;
    let exchange = together(&site, &[&taken, &other]);
    exchange.session().await.unwrap().login(Login::new(USER)).await.unwrap();
    assert!(!is_stored(&site, &other).await);
    let event = site.events.all().pop().unwrap();
    assert!(matches!(event.kind, EventKind::Ended(EndReason::Replaced)), "{event:?}");
}

#[tokio::test]
async fn a_login_spares_a_session_that_a_later_login_has_taken_over() {
    let site = Site::new();
    let (taken, other) = (site.logged_in(USER).await, site.visitor().await);
    let exchange = together(&site, &[&taken, &other]);
    let session = exchange.session().await.unwrap();
    other.clone().visit(async |session| session.login(7).await.unwrap()).await;
    session.login(USER).await.unwrap();
    assert!(is_stored(&site, &other).await);
    assert_eq!(site.manager.devices(&Owner::from(7)).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_stands_and_tells_if_another_session_cannot_be_ended() {
    let site = Site::new();
    let (taken, other) = (site.logged_in(USER).await, site.visitor().await);
    let exchange = together(&site, &[&taken, &other]);
    let session = exchange.session().await.unwrap();
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::EndFailed(_))), 1);
    assert_eq!(site.events.all().iter().filter(|e| e.id == other.open().presented_id()).count(), 2);
}

#[tokio::test]
async fn late_and_strange_tokens_end_nothing() {
    let site = Site::new();
    let late = late(&site).await;
    let mut stranger = site.visitor().await;
    let strange = stranger.clone();
    stranger.visit(async |session| session.login(7).await.unwrap()).await;
    site.lab.advance(2 * MINUTE);
    let late_now = self::late(&site).await;
    let own = site.logged_in(9).await;
    let exchange = together(&site, &[&late, &strange, &late_now, &own]);
    exchange.session().await.unwrap().logout().await.unwrap();
    assert!(!is_stored(&site, &own).await);
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 2);
    assert_eq!(site.manager.devices(&Owner::from(7)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_retired_and_a_pending_token_open_a_session_that_a_logout_ends() {
    let site = Site::new();
    let retired = site.logged_in(USER).await;
    site.due().await;
    let mut browser = retired.clone();
    browser.visit(async |_| ()).await;
    let pending = browser.clone();
    let other = site.logged_in(USER).await;
    let exchange = together(&site, &[&other, &pending]);
    exchange.session().await.unwrap();
    let exchange = together(&site, &[&other, &retired]);
    exchange.session().await.unwrap().logout().await.unwrap();
    assert!(site.manager.devices(&user()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_login_and_a_logout_end_all_of_too_many_sessions() {
    for logs_in in [false, true] {
        let site = Site::new();
        let mut browsers = Vec::new();
        for _ in 0..6 {
            browsers.push(site.logged_in(USER).await);
        }
        let exchange = together(&site, &browsers.iter().collect::<Vec<_>>());
        let session = exchange.session().await.unwrap();
        match logs_in {
            true => session.login(USER).await.unwrap(),
            false => session.logout().await.unwrap(),
        }
        exchange.commit().await.unwrap();
        assert!(sets_cookie(&exchange));
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), usize::from(logs_in));
    }
}
