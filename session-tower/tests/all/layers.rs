//! Two layers around one site: two of one manager, and two with two cookies.

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use session_conformance::FaultyStore;
use session_core::{CookieConfig, SessionManager};
use session_tower::{Exchange, Session, SessionError, SessionLayer};

use crate::site::*;

#[tokio::test]
async fn a_layer_inside_another_of_its_manager_does_nothing() {
    async fn between(request: Request, next: Next) -> Result<Response, SessionError> {
        Session::of(request.extensions()).await?;
        Ok(next.run(request).await)
    }
    let store = FaultyStore::default();
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
fn two_sites(routes: Router) -> (Router, FaultyStore) {
    let store = FaultyStore::default();
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = SessionManager::development(FaultyStore::default()).with_cookie(cookie);
    let site = SessionManager::development(store.clone());
    (routes.layer(SessionLayer::new(admin).named::<Admin>()).layer(SessionLayer::new(site)), store)
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
