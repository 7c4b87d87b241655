//! Errors that are not responses yet, and what becomes of them.

use actix_web::{
    App, Error, HttpMessage,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse},
    error::{ErrorImATeapot, InternalError},
    http::StatusCode,
    middleware::{Next, from_fn},
    test::init_service,
};
use session_actix::{Session, SessionError, SessionLayer, SessionManager};

use crate::site::*;
use session_conformance::FaultyStore;

/// A middleware that counts each request and then refuses it.
async fn counting(request: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
    let session = Session::of(request.request()).await?;
    session.update("count", |n: &mut u64| *n += 1).map_err(SessionError::from)?;
    Err(ErrorImATeapot("no coffee"))
}

#[actix_web::test]
async fn the_error_of_a_middleware_inside_is_committed_with_its_cookie() {
    let manager = SessionManager::development(FaultyStore::default());
    let refusing = App::new().configure(pages).wrap(from_fn(counting)).wrap(SessionLayer::new(manager.clone()));
    let refusing = init_service(refusing).await;
    let mut browser = Browser::default();
    let answer = browser.get(&refusing, "/silent").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::IM_A_TEAPOT, "no coffee"));
    assert_eq!(answer.set_cookies().len(), 1);
    let site = init_service(App::new().configure(pages).wrap(SessionLayer::new(manager))).await;
    assert_eq!(browser.get(&site, "/read").await.text(), "1");
}

#[actix_web::test]
async fn a_save_that_fails_takes_the_place_of_a_middlewares_error() {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    let app = init_service(App::new().wrap(from_fn(counting)).wrap(SessionLayer::new(manager))).await;
    store.fail_writes(true);
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::SERVICE_UNAVAILABLE, ""));
    assert!(matches!(answer.cause, Some(session_core::Error::Store(_))));
}

#[actix_web::test]
async fn an_error_passes_untouched_where_the_session_has_nothing_to_say() {
    async fn refusing(_: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
        Err(ErrorImATeapot("no coffee"))
    }
    let manager = SessionManager::development(FaultyStore::default());
    let app = init_service(App::new().wrap(from_fn(refusing)).wrap(SessionLayer::new(manager.clone()))).await;
    let error = app.call(actix_web::test::TestRequest::default().to_request()).await.err().unwrap();
    assert!(error.as_error::<InternalError<&'static str>>().is_some());
    assert_eq!(error.to_string(), "no coffee");
    let app = init_service(App::new().wrap(from_fn(counting)).wrap(SessionLayer::new(manager))).await;
    let error = app.call(actix_web::test::TestRequest::default().to_request()).await.err().unwrap();
    assert_eq!((error.to_string(), error.error_response().status()), ("no coffee".to_owned(), StatusCode::IM_A_TEAPOT));
}

#[actix_web::test]
async fn a_middleware_reads_the_owner_before_the_handlers() {
    async fn guard(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let session = Session::of(request.request()).await?;
        let owner = session.owner().ok_or_else(|| ErrorImATeapot("nobody"))?;
        request.extensions_mut().insert(owner);
        next.call(request).await
    }
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    let guarded = App::new().configure(pages).wrap(from_fn(guard)).wrap(SessionLayer::new(manager.clone()));
    let guarded = init_service(guarded).await;
    let mut browser = Browser::default();
    assert_eq!(browser.get(&guarded, "/owner").await.status, StatusCode::IM_A_TEAPOT);
    let site = init_service(App::new().configure(pages).wrap(SessionLayer::new(manager))).await;
    browser.get(&site, "/login").await;
    store.calls();
    assert_eq!(browser.get(&guarded, "/owner").await.text(), "42");
    assert_eq!(store.calls(), 1, "the handler has the middleware's load");
}
