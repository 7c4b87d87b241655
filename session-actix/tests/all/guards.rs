//! The application's users, and guards over routes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{Service, ServiceResponse},
    http::{StatusCode, header},
    test::{TestRequest, init_service},
    web::{self, Path},
};
use session_actix::{
    CurrentOwner, CurrentUser, Session, SessionError, SessionGuard, SessionLayer, login_required, require,
    require_fresh,
};
use session_core::{LoginPage, Owner, SessionManager};
use session_memory::MemoryStore;

use crate::site::Browser;

const FIVE_MINUTES: Duration = Duration::from_secs(300);

struct User {
    name: String,
    is_admin: bool,
}

/// A site with its users: 42 is an admin, 7 is deleted, and to ask for 13 fails.
struct Site<S> {
    app: S,
    store: MemoryStore,
    asked: Arc<AtomicUsize>,
}

async fn new()
-> Site<impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody + 'static>, Error = Error>> {
    let (store, asked) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    let users = move |owner: Owner| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match owner.as_str() {
                Some("7") => Ok(None),
                Some("13") => Err("the users are away"),
                _ => Ok(Some(User { name: format!("user {owner}"), is_admin: owner == Owner::from(42) })),
            }
        }
    };
    let sessions = SessionLayer::new(SessionManager::development(store.clone())).with_users(users);
    let admins = to_login(require(|user: &User| user.is_admin));
    let fresh_ones = require_fresh(FIVE_MINUTES).or_redirect_to(page("/prove"));
    let app = App::new()
        .route("/account", web::get().to(account))
        .route("/maybe", web::get().to(maybe))
        .route("/fresh", web::get().to(fresh))
        .service(web::resource("/admin").wrap(admins).route(web::get().to(account)))
        .service(web::resource("/payment").wrap(fresh_ones).route(web::get().to(account)))
        .route("/prove", web::get().to(prove))
        .route("/login/{user}", web::get().to(login))
        .service(web::scope("/inside").wrap(to_login(login_required())).route("/{page}", web::get().to(account)))
        .wrap(sessions);
    Site { app: init_service(app).await, store, asked }
}

impl<S, B> Site<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    /// A browser that has logged in as this user.
    async fn logged_in(&self, user: u64) -> Browser {
        let mut browser = Browser::default();
        browser.get(&self.app, &format!("/login/{user}")).await;
        self.asked.store(0, Ordering::SeqCst);
        browser
    }

    async fn status(&self, browser: &mut Browser, path: &str) -> StatusCode {
        browser.get(&self.app, path).await.status
    }
}

fn page(path: &str) -> LoginPage {
    LoginPage::new(path).unwrap()
}

fn to_login(guard: SessionGuard) -> SessionGuard {
    guard.or_redirect_to(page("/login"))
}

async fn account(one: CurrentUser<User>, other: CurrentUser<User>) -> String {
    assert!(std::ptr::eq(&**one, &**other), "one and the same");
    format!("{} of {}", one.name, other.owner())
}

async fn maybe(user: Option<CurrentUser<User>>, owner: Option<CurrentOwner>) -> String {
    format!("{:?} {:?}", user.map(|user| user.name.clone()), owner.map(|owner| owner.0))
}

async fn fresh(session: Session) -> Result<&'static str, SessionError> {
    session.require_fresh(FIVE_MINUTES)?;
    Ok("fresh")
}

async fn prove(session: Session) -> Result<&'static str, SessionError> {
    session.proved().await?;
    Ok("proven")
}

async fn login(session: Session, user: Path<u64>) -> Result<&'static str, SessionError> {
    session.login(*user).await?;
    Ok("welcome")
}

/// The status and the `Location` that a browser without cookies gets when it opens a page.
async fn open<B: MessageBody + 'static>(
    app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    path: &str,
) -> (u16, String) {
    let request = TestRequest::get().uri(path).insert_header(("sec-fetch-mode", "navigate"));
    let answer = Browser::default().send(app, request).await;
    let location = answer.headers.get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
    (answer.status.as_u16(), location.unwrap_or_default())
}

#[actix_web::test]
async fn the_user_is_loaded_once_a_request_by_guards_and_extractors() {
    let site = new().await;
    let mut browser = site.logged_in(42).await;
    for path in ["/account", "/admin", "/inside/page", "/maybe"] {
        assert!(browser.get(&site.app, path).await.text().contains("user 42"), "{path}");
        assert_eq!(site.asked.swap(0, Ordering::SeqCst), 1, "{path}");
    }
    assert_eq!(site.status(&mut browser, "/fresh").await, 200);
    assert_eq!(site.asked.load(Ordering::SeqCst), 0, "nobody asked");
}

#[actix_web::test]
async fn a_stranger_is_a_401_or_sent_to_the_login_with_the_whole_way_back() {
    let site = new().await;
    assert_eq!(open(&site.app, "/account").await, (401, String::new()), "an extractor knows no page");
    assert_eq!(open(&site.app, "/inside/page?n=2").await, (303, "/login?next=/inside/page%3Fn%3D2".to_owned()));
    assert_eq!(open(&site.app, "/admin").await, (303, "/login?next=/admin".to_owned()));
    assert_eq!(open(&site.app, "/payment").await, (303, "/prove?next=/payment".to_owned()));
    let mut script = Browser::default();
    for path in ["/inside/page", "/admin", "/payment", "/fresh"] {
        let answer = script.get(&site.app, path).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (401, 0), "{path}");
    }
    assert_eq!(script.get(&site.app, "/maybe").await.text(), "None None");
    assert_eq!(site.asked.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn a_user_whom_the_closure_does_not_admit_is_a_403() {
    let site = new().await;
    let mut browser = site.logged_in(43).await;
    assert_eq!(site.status(&mut browser, "/account").await, 200);
    assert_eq!(site.status(&mut browser, "/admin").await, 403);
}

#[actix_web::test]
async fn a_user_who_is_gone_is_not_logged_in_and_their_session_stays() {
    let site = new().await;
    let mut browser = site.logged_in(7).await;
    for path in ["/account", "/admin", "/inside/page"] {
        assert_eq!(site.status(&mut browser, path).await, 401, "{path}");
    }
    assert_eq!(browser.get(&site.app, "/maybe").await.text(), "None Some(Owner(7))");
}

#[actix_web::test]
async fn users_that_cannot_be_asked_are_a_500_also_for_an_option() {
    let site = new().await;
    let mut browser = site.logged_in(13).await;
    for path in ["/account", "/admin", "/inside/page", "/maybe"] {
        assert_eq!(site.status(&mut browser, path).await, 500, "{path}");
    }
}

#[actix_web::test]
async fn a_proof_that_is_too_old_is_asked_for_again_over_routes_and_in_a_handler() {
    let site = new().await;
    let mut browser = site.logged_in(42).await;
    for path in ["/fresh", "/payment"] {
        assert_eq!(site.status(&mut browser, path).await, 200, "{path}");
    }
    site.store.advance(FIVE_MINUTES + Duration::from_secs(1));
    for path in ["/fresh", "/payment"] {
        let answer = browser.get(&site.app, path).await;
        assert_eq!(answer.status, 401, "{path}");
        let challenge = "Bearer error=\"insufficient_user_authentication\", max_age=\"300\"";
        assert_eq!(answer.headers.get(header::WWW_AUTHENTICATE).unwrap(), challenge);
    }
    assert_eq!(site.status(&mut browser, "/prove").await, 200);
    for path in ["/fresh", "/payment"] {
        assert_eq!(site.status(&mut browser, path).await, 200, "{path}");
    }
}

#[actix_web::test]
async fn without_the_layer_or_its_users_a_guard_and_an_extractor_are_a_500() {
    let bare = App::new().route("/", web::get().to(async || "")).wrap(login_required());
    assert_eq!(open(&init_service(bare).await, "/").await.0, 500);
    let sessions = SessionLayer::new(SessionManager::development(MemoryStore::new()));
    let app = App::new().route("/", web::get().to(account)).route("/login/{user}", web::get().to(login));
    let app = init_service(app.wrap(sessions)).await;
    let mut browser = Browser::default();
    browser.get(&app, "/login/42").await;
    assert_eq!(browser.get(&app, "/").await.status, 500);
}
