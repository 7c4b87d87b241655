//! `Exchange::forget`: the session that a request has loaded is dropped, and no wrong cookie is sent.

use session_core::Owner;

use crate::support::*;

#[tokio::test]
async fn forget_does_not_bring_a_late_request_a_cookie() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let late = browser.clone();
    browser.visit(async |session| session.login(42).await.unwrap()).await;
    let (exchange, session) = late.start().await;
    exchange.forget();
    session.insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "it would overwrite the login's");
}

#[tokio::test]
async fn forget_makes_no_empty_session_of_an_outage() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    site.lab.next(Call::Load, Fault::Fails);
    let exchange = browser.open();
    exchange.session().await.unwrap_err();
    exchange.forget();
    if let Ok(session) = exchange.session().await {
        session.insert("n", &1).unwrap();
    }
    let _ = exchange.commit().await;
    browser.receive(&exchange.headers());
    assert_eq!(browser.owner().await, Some(Owner::from(42)));
}

#[tokio::test]
async fn forget_brings_nothing_after_gone() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (exchange, session) = browser.start().await;
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    add_one(&session);
    session.save().await.unwrap_err();
    exchange.forget();
    session.insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
}
