//! Two layers around one site: two of one manager, and two with two cookies.

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use session_core::{CookieConfig, SessionManager};
use session_tower::{Exchange, Session, SessionError, SessionLayer};

use crate::faulty::Faulty;
use crate::site::*;

#[tokio::test]
async fn a_layer_inside_another_of_its_manager_does_nothing() {
    async fn between(request: Request, next: Next) -> Result<Response, SessionError> {
        Session::of(request.extensions()).await?;
        Ok(next.run(request).await)
    }
    let store = Faulty::default();
    let manager = SessionManager::development(store.clone());
    let inside = routes().layer(SessionLayer::new(manager.clone()));
    let app = inside.layer(from_fn(between)).layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    let first = browser.get(&app, "/count").await;
    assert_eq!(first.set_cookies().len(), 1);
    assert!(first.head.extensions.get::<Exchange>().unwrap().loaded().unwrap().id().is_some());
    assert_eq!(store.calls(), 1);
    assert_eq!(browser.get(&app, "/count").await.text(), "2");
    assert_eq!(store.calls(), 2, "one load and one write");
}

struct Admin;

/// The site's cookie outside, the administrators' inside.
fn two_sites(routes: Router) -> (Router, Faulty) {
    let store = Faulty::default();
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = SessionManager::development(Faulty::default()).with_cookie(cookie);
    let site = SessionManager::development(store.clone());
    (routes.layer(SessionLayer::new(admin).named::<Admin>()).layer(SessionLayer::new(site)), store)
}

#[tokio::test]
async fn two_cookies_go_side_by_side() {
    async fn admin_login(admin: Session<Admin>) -> Result<(), SessionError> {
        Ok(admin.login(1).await?)
    }
    async fn both(site: Session, admin: Session<Admin>) -> Result<String, SessionError> {
        site.update("count", |n: &mut u64| *n += 1)?;
        Ok(format!("{:?} {:?}", site.owner(), admin.owner()))
    }
    let (app, _) = two_sites(routes().route("/admin", get(admin_login)).route("/both", get(both)));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    browser.get(&app, "/admin").await;
    assert_eq!(browser.get(&app, "/both").await.text(), "Some(Owner(42)) Some(Owner(1))");
    browser.get(&app, "/logout").await;
    assert_eq!(browser.get(&app, "/both").await.text(), "None Some(Owner(1))");
    assert_eq!(browser.cookies.len(), 2);
}

#[tokio::test]
async fn the_login_of_one_cookie_outlives_the_failed_save_of_the_other() {
    async fn page(site: Session, admin: Session<Admin>) -> Result<(), SessionError> {
        site.insert("count", &7)?;
        Ok(admin.login(1).await?)
    }
    let (app, site_store) = two_sites(Router::new().route("/page", get(page)));
    site_store.fail_writes(true);
    let answer = Browser::default().get(&app, "/page").await;
    assert_eq!(answer.head.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(matches!(answer.set_cookies()[..], [cookie] if cookie.starts_with("admin=")));
    assert!(answer.head.extensions.get::<Exchange<Admin>>().is_some());
}
