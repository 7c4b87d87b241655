//! Errors that are not responses yet, and what becomes of them.

use ::poem::{Endpoint, EndpointExt, Error, Route, error::NotFoundError, get, handler, http::StatusCode};
use session_conformance::FaultyStore;
use session_poem::{Exchange, Outcome, Session, SessionError, SessionLayer, SessionManager};

use crate::site::*;

/// A middleware that counts each request and then refuses it.
#[handler]
async fn counting(session: Session) -> ::poem::Result<()> {
    session.update("count", |n: &mut u64| *n += 1).map_err(SessionError::from)?;
    Err(Error::from_string("no coffee", StatusCode::IM_A_TEAPOT))
}

#[tokio::test]
async fn the_error_of_a_handler_is_committed_with_its_cookie() {
    let (app, ..) = site(pages().at("/counting", get(counting)));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/counting").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::IM_A_TEAPOT, "no coffee"));
    assert_eq!(answer.set_cookies().len(), 1);
    assert!(answer.exchange.is_some());
    assert_eq!(browser.get(&app, "/read").await.text, "1");
}

#[tokio::test]
async fn a_save_that_fails_takes_the_place_of_a_handlers_error() {
    let (app, store, _) = site(pages().at("/counting", get(counting)));
    store.fail_writes(true);
    let answer = Browser::default().get(&app, "/counting").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::SERVICE_UNAVAILABLE, ""));
    assert!(matches!(answer.cause, Some(session_core::Error::Store(_))));
}

#[handler]
async fn revoking(session: Session, manager: ::poem::web::Data<&SessionManager>) -> ::poem::Result<()> {
    session.insert("count", &7).map_err(SessionError::from)?;
    manager.revoke_all(&42.into()).await.map_err(SessionError::from)?;
    Err(Error::from_string("no coffee", StatusCode::IM_A_TEAPOT))
}

#[tokio::test]
async fn the_outcome_lies_in_what_an_error_becomes() {
    let (app, _, manager) = site(pages().at("/revoking", get(revoking)));
    let app = app.data(manager);
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let answer = browser.get(&app, "/revoking").await;
    assert_eq!((answer.status, answer.outcome), (StatusCode::IM_A_TEAPOT, Some(Outcome::Gone)));
}

#[tokio::test]
async fn an_error_passes_untouched_where_the_session_has_nothing_to_say() {
    let (app, ..) = site(pages().at("/counting", get(counting)));
    let error = app.call(request("/nowhere")).await.err().unwrap();
    assert!(error.is::<NotFoundError>() && error.data::<Exchange>().is_some());
    let error = app.call(request("/counting")).await.err().unwrap();
    assert!(error.is_from_response());
    assert_eq!(error.status(), StatusCode::IM_A_TEAPOT);
}

#[tokio::test]
async fn the_error_of_an_extractor_passes_with_its_cause() {
    let manager = SessionManager::development(FaultyStore::default());
    let app = Route::new().nest("/", pages()).with(SessionLayer::new(manager));
    let answer = Browser::default().get(&app, "/owner").await;
    assert_eq!((answer.status, answer.headers.get("set-cookie")), (StatusCode::UNAUTHORIZED, None));
    assert_eq!(answer.headers["vary"], "Cookie");
}
