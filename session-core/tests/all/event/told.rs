//! Events are told once, for the right session and owner, and not without cause.

use session_core::{CookieConfig, EndReason, Error, EventKind, Incoming, Login, SessionEvent, SessionId};

use crate::support::*;

/// The events of this kind.
fn told(site: &Site, is_meant: impl Fn(&EventKind) -> bool) -> Vec<SessionEvent> {
    site.events.all().into_iter().filter(|event| is_meant(&event.kind)).collect()
}

async fn id(browser: &Browser) -> SessionId {
    browser.start().await.1.id().unwrap()
}

#[tokio::test]
async fn a_session_that_its_owner_ends_from_a_list_is_told_as_that() {
    let site = Site::new();
    let (phone, laptop, tablet) = (site.logged_in(USER).await, site.logged_in(USER).await, site.logged_in(USER).await);
    let ended = [id(&phone).await, id(&tablet).await];
    assert!(laptop.start().await.1.end(&ended[0]).await.unwrap());
    assert!(site.manager.end(&user(), &ended[1]).await.unwrap());
    let events = told(&site, |kind| matches!(kind, EventKind::Ended(EndReason::EndedByOwner)));
    let of: Vec<_> = events.iter().map(|event| (event.id.unwrap(), event.owner.clone())).collect();
    assert_eq!(of, ended.map(|id| (id, Some(user()))));
    // The first event comes from a request, the second from outside of one.
    assert_eq!(events.iter().map(|event| event.method.as_deref()).collect::<Vec<_>>(), [Some("GET"), None]);
}

#[tokio::test]
async fn a_logout_whose_deletion_lost_its_answer_is_told() {
    let site = Site::new();
    let (_exchange, session) = site.logged_in(USER).await.start().await;
    site.lab.next(Call::Delete, Fault::LosesReply);
    session.logout().await.unwrap();
    site.lab.assert_all_met();
    assert_eq!(told(&site, |kind| matches!(kind, EventKind::Ended(EndReason::Logout))).len(), 1);
}

#[tokio::test]
async fn a_login_that_a_revocation_beats_is_told_once_and_without_a_cause() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    site.manager.revoke_all(&user()).await.unwrap();
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    let events = told(&site, |kind| matches!(kind, EventKind::LoginRevoked { .. }));
    assert_eq!(events.len(), 1);
    assert!(matches!(events[0].kind, EventKind::LoginRevoked { cause: None }), "{events:?}");
    assert_eq!(events[0].owner, Some(user()));
    assert!(told(&site, |kind| matches!(kind, EventKind::LoggedIn)).is_empty());
}

#[tokio::test]
async fn a_login_whose_epoch_cannot_be_read_is_told_with_the_cause() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    site.lab.next(Call::Load, Fault::Fails);
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    let events = told(&site, |kind| matches!(kind, EventKind::LoginRevoked { .. }));
    assert_eq!(events.len(), 1);
    assert!(matches!(events[0].kind, EventKind::LoginRevoked { cause: Some(Error::Store(_)) }), "{events:?}");
}

#[tokio::test]
async fn a_login_that_ends_the_others_tells_how_many_there_were() {
    let site = Site::new();
    site.logged_in(USER).await;
    site.logged_in(USER).await;
    site.logged_in(7).await;
    let (_, session) = site.browser().start().await;
    session.login(Login::new(USER).ending_others()).await.unwrap();
    let events = told(&site, |kind| matches!(kind, EventKind::Revoked { .. }));
    assert_eq!(events.len(), 1);
    assert!(matches!(events[0].kind, EventKind::Revoked { count: 2 }), "{events:?}");
    assert_eq!(events[0].owner, Some(user()));
}

#[tokio::test]
async fn a_successor_is_told_when_it_is_stored_and_only_then() {
    let is_issued = |kind: &EventKind| matches!(kind, EventKind::SuccessorIssued);
    for changes in [false, true] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        let id = id(&browser).await;
        browser.visit(async |session| session.insert("n", &1).unwrap()).await;
        assert_eq!(site.events.count(is_issued), 0, "none was due");
        site.due().await;
        let old = browser.clone();
        let handler = async |session: &session_core::Session| {
            if changes {
                add_one(session);
            }
        };
        browser.visit(handler).await;
        let events = told(&site, is_issued);
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].id, events[0].owner.clone()), (Some(id), Some(user())));
        // The response to another request with the old token carries the same successor.
        old.clone().visit(handler).await;
        assert_eq!(site.events.count(is_issued), 1);
    }
}

/// Browsers keep a cookie without `Secure` over plain http, too.
#[tokio::test]
async fn plain_http_is_not_told_of_a_cookie_without_secure() {
    let site = Site::new();
    let plain = CookieConfig::builder("plain").secure(false).build().unwrap();
    let manager = site.manager.clone().with_cookie(plain);
    let exchange = manager.open(Incoming::new(None).with_https(false));
    exchange.session().await.unwrap().login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::InsecureTransport(_))), 0);
}

#[tokio::test]
async fn two_logouts_of_one_session_are_one_event() {
    let site = Site::new();
    let browser = site.logged_in(42).await;
    let (_, one) = browser.start().await;
    let (_, two) = browser.start().await;
    one.logout().await.unwrap();
    two.logout().await.unwrap();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Ended(_))), 1);
}

#[tokio::test(start_paused = true)]
async fn a_promotion_whose_answer_was_lost_is_told() {
    let site = Site::new();
    let mut browser = site.logged_in(42).await;
    site.due().await;
    browser.visit(async |_| ()).await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    assert!(browser.owner().await.is_some());
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 1);
}
