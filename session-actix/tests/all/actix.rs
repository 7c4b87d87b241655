//! The layer and the extractors under actix.

use actix_web::{HttpRequest, HttpResponse, Responder, http::StatusCode, test::init_service, web};
use session_actix::{CurrentOwner, Error, Exchange, Outcome, Owner, Session, SessionError};

use crate::site::*;

#[actix_web::test]
async fn the_store_down_is_a_503_with_an_empty_body() {
    let (app, store, _) = site(|_| {});
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_reads(true);
    for path in ["/count", "/owner"] {
        let answer = browser.get(&app, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers.get("retry-after").unwrap(), "5");
        assert!(answer.body.is_empty());
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(answer.cause, Some(Error::Store(_))));
    }
    store.fail_reads(false);
    assert_eq!(browser.get(&app, "/read").await.text(), "1");
}

#[actix_web::test]
async fn an_outage_is_never_a_visitor_without_a_session() {
    async fn greet(owner: Option<CurrentOwner>) -> String {
        owner.map_or("nobody".to_owned(), |CurrentOwner(owner)| owner.to_string())
    }
    async fn is_there(session: Option<Session>) -> String {
        session.is_some().to_string()
    }
    async fn judged(session: Result<Session, SessionError>) -> String {
        session.is_ok().to_string()
    }
    let (app, store, _) = site(|app| {
        app.route("/greet", web::get().to(greet)).route("/there", web::get().to(is_there));
        app.route("/judged", web::get().to(judged));
    });
    let app = init_service(app).await;
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/greet").await.text(), "nobody");
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/greet").await.text(), "42");
    assert_eq!(browser.get(&app, "/there").await.text(), "true");
    store.fail_reads(true);
    for path in ["/greet", "/there", "/judged"] {
        let answer = browser.get(&app, path).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::SERVICE_UNAVAILABLE, ""), "{path}");
        assert!(matches!(answer.cause, Some(Error::Store(_))));
    }
}

#[actix_web::test]
async fn a_handler_may_go_on_while_the_store_is_down() {
    async fn page(request: HttpRequest) -> String {
        match Session::of(&request).await {
            Ok(_) => "with a session".to_owned(),
            Err(error) => format!("without one: {}", error.status()),
        }
    }
    /// An error page of its own.
    async fn sorry(session: Result<Session, SessionError>) -> (&'static str, StatusCode) {
        assert!(session.is_err());
        ("sorry", StatusCode::SERVICE_UNAVAILABLE)
    }
    let (app, store, _) = site(|app| {
        app.route("/page", web::get().to(page)).route("/sorry", web::get().to(sorry));
    });
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    assert_eq!(browser.get(&app, "/page").await.text(), "with a session");
    store.fail_reads(true);
    let answer = browser.get(&app, "/page").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "without one: 503 Service Unavailable"));
    let answer = browser.get(&app, "/sorry").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::SERVICE_UNAVAILABLE, "sorry"));
}

#[actix_web::test]
async fn a_failed_save_is_never_a_200() {
    async fn page(session: Session) -> Result<impl Responder, SessionError> {
        session.insert("count", &7)?;
        Ok(HttpResponse::Ok().insert_header(("location", "/saved")).body("it is saved"))
    }
    let (app, store, _) = site(|app| {
        app.route("/page", web::get().to(page));
    });
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_writes(true);
    for mut browser in [browser, Browser::default()] {
        let answer = browser.get(&app, "/page").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.is_empty());
        assert!(!answer.headers.contains_key("location"));
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(answer.cause, Some(Error::Store(_))));
        assert!(answer.exchange.is_some());
    }
}

#[actix_web::test]
async fn a_session_that_has_ended_leaves_the_response_as_it_is() {
    async fn page(
        session: Session,
        manager: web::Data<session_actix::SessionManager>,
    ) -> Result<&'static str, SessionError> {
        session.insert("count", &7)?;
        manager.revoke_all(&Owner::from(42)).await?;
        Ok("done")
    }
    let (app, _, manager) = site(|app| {
        app.route("/page", web::get().to(page));
    });
    let app = init_service(app.app_data(web::Data::new(manager))).await;
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let answer = browser.get(&app, "/page").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "done"));
    assert_eq!(answer.outcome, Some(Outcome::Gone));
    assert!(answer.set_cookies().is_empty());
}

#[actix_web::test]
async fn without_a_login_the_owner_is_a_401() {
    let (app, ..) = site(|_| {});
    let app = init_service(app).await;
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/owner").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::UNAUTHORIZED, ""));
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/owner").await.text(), "42");
    browser.get(&app, "/logout").await;
    assert_eq!(browser.get(&app, "/owner").await.status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_handler_without_the_layer_is_a_500() {
    let app = init_service(actix_web::App::new().configure(pages)).await;
    let answer = Browser::default().get(&app, "/owner").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    let request = actix_web::test::TestRequest::default().to_http_request();
    let error = Session::of(&request).await.unwrap_err();
    assert!(error.to_string().contains("SessionLayer::new(manager) is not around it; only what"), "{error}");
}

#[actix_web::test]
async fn a_middleware_outside_finds_who_it_was() {
    let (app, ..) = site(|_| {});
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let who = |exchange: Option<Exchange>| exchange.and_then(|exchange| exchange.loaded()?.owner());
    assert_eq!(who(browser.get(&app, "/owner").await.exchange), Some(42.into()));
    assert_eq!(who(browser.get(&app, "/silent").await.exchange), None);
}
