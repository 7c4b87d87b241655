//! A layer inside another whose cookie has the same name: one session, or none.

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use session_conformance::FaultyStore;
use session_core::{CookieConfig, Key, Keyring, Lifetime, Outcome, Policy, SessionManager, WithheldReason};
use session_tower::{Exchange, Session, SessionError, SessionLayer};

use crate::log::Log;
use crate::site::*;

const MINUTE: Duration = Duration::from_secs(60);

struct Admin;
struct Other;

fn short() -> Policy {
    let lifetime = Lifetime::new(MINUTE, MINUTE * 5);
    Policy::builder().before_login(lifetime).logged_in(lifetime).build().unwrap()
}

async fn idle(session: Session) -> String {
    session.idle_timeout().map(|idle| idle.as_secs().to_string()).unwrap_or_default()
}

/// A middleware between the two layers. It changes the session before and after the inner layer.
async fn around(request: Request, next: Next) -> Result<Response, SessionError> {
    let session = Session::of(request.extensions()).await?;
    session.insert("before", &1)?;
    let response = next.run(request).await;
    session.insert("after", &1)?;
    Ok(response)
}

/// How many of the response's cookies have this name.
fn cookies_of(answer: &Answer, name: &str) -> usize {
    let is_named = |cookie: &&&str| cookie.split_once('=').is_some_and(|(of, _)| of == name);
    answer.set_cookies().iter().filter(is_named).count()
}

#[tokio::test]
async fn a_layer_with_another_policy_inside_the_site_s_own_is_one_exchange_under_the_policy_inside() {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    let strict = routes().route("/idle", get(idle)).layer(SessionLayer::new(manager.clone().with_policy(short())));
    let app = Router::new()
        .nest("/strict", strict)
        .merge(routes().route("/idle", get(idle)))
        .layer(from_fn(around))
        .layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/strict/login").await;
    assert_eq!(
        (answer.set_cookies().len(), store.calls()),
        (1, 2),
        "a create that looks at the revocations, and a save"
    );
    assert_eq!(answer.head.extensions.get::<Exchange>().unwrap().loaded().unwrap().owner(), Some(42.into()));
    for path in ["/owner", "/strict/owner"] {
        assert_eq!(browser.get(&app, path).await.text(), "42");
    }
    for path in ["/idle", "/strict/idle"] {
        assert_eq!(browser.get(&app, path).await.text(), "60", "the lifetime of a login inside");
    }
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/strict/idle").await.text(), "3600", "the lifetime of a login outside");
    assert_eq!(browser.cookies.len(), 1);
}

#[tokio::test]
async fn a_visitor_s_values_inside_and_outside_are_one_session() {
    async fn all(session: Session) -> String {
        format!("{:?} {:?}", session.keys(), session.idle_timeout())
    }
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    let inside = routes().route("/all", get(all)).layer(SessionLayer::new(manager.clone().with_policy(short())));
    let app = inside.layer(from_fn(around)).layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/count").await;
    assert_eq!((answer.set_cookies().len(), store.calls()), (1, 1), "one create");
    assert_eq!(browser.get(&app, "/all").await.text(), r#"["after", "before", "count"] Some(60s)"#);
}

#[tokio::test]
async fn two_layers_of_one_cookie_under_one_marker_are_one_exchange() {
    async fn login(admin: Session<Admin>) -> Result<(), SessionError> {
        Ok(admin.login(1).await?)
    }
    async fn owner(admin: Session<Admin>) -> String {
        format!("{:?} {:?}", admin.owner(), admin.idle_timeout())
    }
    let manager = SessionManager::development(FaultyStore::default());
    let layer = |manager: &SessionManager| SessionLayer::new(manager.clone()).named::<Admin>();
    let app = Router::new()
        .route("/login", get(login))
        .route("/owner", get(owner))
        .layer(layer(&manager.clone().with_policy(short())))
        .layer(layer(&manager));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/login").await.set_cookies().len(), 1);
    assert_eq!(browser.get(&app, "/owner").await.text(), "Some(Owner(1)) Some(60s)");
}

#[tokio::test]
async fn an_exchange_is_found_again_behind_one_of_another_cookie() {
    let manager = SessionManager::development(FaultyStore::default());
    let cookie = CookieConfig::builder("other").secure(false).build().unwrap();
    let other = SessionManager::development(FaultyStore::default()).with_cookie(cookie);
    let app = routes()
        .layer(SessionLayer::new(manager.clone().with_policy(short())))
        .layer(from_fn(around))
        .layer(SessionLayer::new(other))
        .layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/login").await;
    assert_eq!((cookies_of(&answer, CookieConfig::development().name()), cookies_of(&answer, "other")), (1, 1));
    assert_eq!(browser.get(&app, "/owner").await.text(), "42");
}

#[tokio::test]
async fn a_layer_inside_may_refuse_visitors_what_the_one_outside_grants() {
    let manager = SessionManager::development(FaultyStore::default());
    let inside = SessionLayer::new(manager.clone()).without_anonymous_sessions(|_| true);
    let app = routes().layer(inside).layer(SessionLayer::new(manager));
    let answer = Browser::default().get(&app, "/count").await;
    assert_eq!(answer.head.extensions.get(), Some(&Outcome::Withheld(WithheldReason::Refused)));
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn layers_of_one_cookie_name_that_cannot_be_one_cookie_are_a_500_whose_log_names_both() {
    let keys = |byte| Keyring::new(Key::from_bytes(&[byte; 32]).unwrap());
    let over = |store: &FaultyStore, byte| {
        SessionManager::new(store.clone(), keys(byte)).with_cookie(CookieConfig::development())
    };
    let store = FaultyStore::default();
    let manager = over(&store, 7);
    let scope = CookieConfig::builder(CookieConfig::development().name()).secure(false).path("/count").build().unwrap();
    let site = || SessionLayer::new(manager.clone());
    for (inside, outside, why) in [
        (site(), SessionLayer::new(over(&FaultyStore::default(), 7)), "their stores are two"),
        (site(), SessionLayer::new(over(&store, 8)), "their keys are not the same"),
        (site(), SessionLayer::new(manager.clone().with_cookie(scope)), "Domain, Path or Partitioned"),
    ] {
        refuses(routes().layer(inside).layer(outside.clone()), why, ["SessionLayer<()>", "SessionLayer<()>"]).await;
    }
    let (admin, unit) = ("SessionLayer<all::nested::Admin>", "SessionLayer<()>");
    refuses(routes().layer(site().named::<Admin>()).layer(site()), "their markers differ", [unit, admin]).await;
    refuses(routes().layer(site()).layer(site().named::<Admin>()), "their markers differ", [admin, unit]).await;
    let clone = SessionLayer::new(manager.clone().with_policy(short())).named::<Other>();
    let other = "SessionLayer<all::nested::Other>";
    refuses(routes().layer(clone).layer(site().named::<Admin>()), "their markers differ", [admin, other]).await;
    assert_eq!(store.calls(), 0, "no handler was asked");
}

async fn refuses(app: Router, why: &str, [outer, inner]: [&str; 2]) {
    let log = Log::start();
    // A middleware outside has something to save and to send.
    let answer = Browser::default().get(&app, "/login").await;
    assert_eq!((answer.head.status, answer.body.len()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
    assert_eq!(cookies_of(&answer, CookieConfig::development().name()), 0);
    let lines = log.lines();
    let line = lines.iter().find(|line| line.contains("ERROR session")).unwrap();
    assert!(line.contains(&format!("`{}`", CookieConfig::development().name())) && line.contains(why), "{line}");
    let place = "session-tower/tests/all/nested.rs:";
    assert!(line.contains(&format!("outside {outer} made at {place}")), "{line}");
    assert!(line.contains(&format!("inside {inner} made at {place}")), "{line}");
}

#[tokio::test]
async fn where_layers_exclude_each_other_the_session_outside_is_saved_with_one_cookie() {
    let (outside, inside) =
        (SessionManager::development(FaultyStore::default()), SessionManager::development(FaultyStore::default()));
    let app = routes().layer(SessionLayer::new(inside)).layer(from_fn(around)).layer(SessionLayer::new(outside));
    let answer = Browser::default().get(&app, "/login").await;
    assert_eq!(answer.head.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(cookies_of(&answer, CookieConfig::development().name()), 1);
}
