//! Two layers around one site: two of one manager, and two with two cookies.

use std::time::Duration;

use actix_web::{App, HttpResponse, http::StatusCode, test::init_service, web};
use session_actix::{CookieConfig, Lifetime, Policy, Session, SessionError, SessionLayer, SessionManager};

use crate::site::*;
use session_conformance::FaultyStore;

struct Admin;

fn admin_cookie(manager: SessionManager) -> SessionManager {
    manager.with_cookie(CookieConfig::builder("admin").secure(false).build().unwrap())
}

#[actix_web::test]
async fn a_part_of_the_site_has_a_policy_of_its_own() {
    async fn idle(session: Session) -> String {
        session.idle_timeout().unwrap().as_secs().to_string()
    }
    async fn login(session: Session) -> Result<String, SessionError> {
        session.login(42).await?;
        Ok(session.idle_timeout().unwrap().as_secs().to_string())
    }
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let short = Policy::builder().logged_in(Lifetime::new(minutes(5), minutes(60))).build().unwrap();
    let bank = web::scope("/bank")
        .route("/login", web::get().to(login))
        .wrap(SessionLayer::new(manager.clone().with_policy(short)));
    let app = App::new().service(bank).route("/idle", web::get().to(idle)).wrap(SessionLayer::new(manager));
    let app = init_service(app).await;
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/bank/login").await;
    assert_eq!((answer.text(), answer.set_cookies().len()), ("300", 1));
    assert!(answer.exchange.unwrap().loaded().unwrap().owner().is_some());
    assert_eq!(browser.get(&app, "/idle").await.text(), "300");
}

#[actix_web::test]
async fn of_two_cookies_the_more_private_one_tells_caches() {
    async fn both(site: Session, admin: Session<Admin>) -> String {
        format!("{:?} {:?}", site.owner(), admin.owner())
    }
    async fn admin_login(admin: Session<Admin>) -> Result<&'static str, SessionError> {
        admin.login(1).await?;
        Ok("welcome")
    }
    // The anonymous session inside, the login outside.
    let admin = admin_cookie(SessionManager::development(FaultyStore::default()));
    let (app, ..) = site(|app| {
        app.route("/admin", web::get().to(admin_login)).route("/both", web::get().to(both));
    });
    let app = init_service(app.wrap(SessionLayer::new(admin).named::<Admin>())).await;
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    let answer = browser.get(&app, "/both").await;
    assert_eq!(answer.headers.get_all("cache-control").count(), 1);
    assert_eq!(answer.headers.get("cache-control").unwrap(), "private, no-cache");
    browser.get(&app, "/admin").await;
    let answer = browser.get(&app, "/both").await;
    assert_eq!(answer.headers.get_all("cache-control").count(), 1);
    assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
}

#[actix_web::test]
async fn two_layers_of_one_cookie_that_cannot_be_one_are_a_500() {
    let (app, ..) = site(|_| {});
    let other = SessionManager::development(FaultyStore::default());
    let app = init_service(app.wrap(SessionLayer::new(other).named::<Admin>())).await;
    let answer = Browser::default().get(&app, "/silent").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
}

/// actix-cors, outside of the layer, keeps the first line of `Vary` and drops the others.
#[actix_web::test]
async fn vary_leaves_as_one_line() {
    async fn varies(_: Session, _: Session<Admin>) -> HttpResponse {
        let vary = |value| ("vary", value);
        HttpResponse::Ok().append_header(vary("accept-language")).append_header(vary("origin,accept")).finish()
    }
    let admin = admin_cookie(SessionManager::development(FaultyStore::default()));
    let (app, ..) = site(|app| {
        app.route("/varies", web::get().to(varies));
    });
    let app = init_service(app.wrap(SessionLayer::new(admin).named::<Admin>())).await;
    let answer = Browser::default().get(&app, "/varies").await;
    let lines: Vec<_> = answer.headers.get_all("vary").collect();
    assert_eq!(lines, ["accept-language, origin, accept, Cookie"]);
}
