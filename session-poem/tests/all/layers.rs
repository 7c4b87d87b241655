//! Two layers around one site: two of one manager, and two with two cookies.

use std::time::Duration;

use ::poem::{EndpointExt, Route, get, handler, http::StatusCode};
use session_conformance::FaultyStore;
use session_poem::{CookieConfig, Lifetime, Policy, Session, SessionError, SessionLayer, SessionManager};

use crate::site::*;

struct Admin;

fn admin() -> SessionLayer<Admin> {
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    SessionLayer::new(SessionManager::development(FaultyStore::default()).with_cookie(cookie)).named::<Admin>()
}

#[handler]
async fn idle(session: Session) -> String {
    session.idle_timeout().unwrap().as_secs().to_string()
}

#[handler]
async fn login(session: Session) -> Result<String, SessionError> {
    session.login(42).await?;
    Ok(session.idle_timeout().unwrap().as_secs().to_string())
}

#[tokio::test]
async fn a_part_of_the_site_has_a_policy_of_its_own() {
    let manager = SessionManager::development(FaultyStore::default());
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let short = Policy::builder().logged_in(Lifetime::new(minutes(5), minutes(60))).build().unwrap();
    let bank = Route::new().at("/login", get(login)).with(SessionLayer::new(manager.clone().with_policy(short)));
    let app = Route::new().nest("/bank", bank).at("/idle", get(idle)).with(SessionLayer::new(manager));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/bank/login").await;
    assert_eq!((&*answer.text, answer.set_cookies().len()), ("300", 1));
    assert!(answer.exchange.unwrap().loaded().unwrap().owner().is_some());
    assert_eq!(browser.get(&app, "/idle").await.text, "300");
}

#[handler]
async fn admin_login(admin: Session<Admin>) -> Result<(), SessionError> {
    Ok(admin.login(1).await?)
}

#[handler]
async fn both(site: Session, admin: Session<Admin>) -> String {
    format!("{:?} {:?}", site.owner(), admin.owner())
}

#[tokio::test]
async fn of_two_cookies_the_more_private_one_tells_caches() {
    let (app, ..) = site(pages().at("/admin", get(admin_login)).at("/both", get(both)));
    let app = app.with(admin());
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    for expected in ["private, no-cache", "no-store"] {
        let answer = browser.get(&app, "/both").await;
        assert_eq!(answer.headers.get_all("cache-control").iter().collect::<Vec<_>>(), [expected]);
        browser.get(&app, "/admin").await;
    }
}

#[tokio::test]
async fn two_layers_of_one_cookie_that_cannot_be_one_are_a_500() {
    let (app, ..) = site(pages());
    let other = SessionManager::development(FaultyStore::default());
    let app = app.with(SessionLayer::new(other).named::<Admin>());
    let answer = Browser::default().get(&app, "/silent").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::INTERNAL_SERVER_ERROR, ""));
}
