//! The layer and the extractors under poem.

use std::{future::Future, pin::pin, task::Context};

use ::poem::{Endpoint, EndpointExt, Request, Response, Route, get, handler, http::StatusCode, web::Data};
use futures_util::task::noop_waker;
use session_poem::{CurrentOwner, Error, Exchange, Outcome, Owner, Session, SessionError, SessionManager};

use crate::site::*;

#[tokio::test]
async fn the_store_down_is_a_503_with_an_empty_body() {
    let (app, store, _) = site(pages());
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_reads(true);
    for path in ["/count", "/owner"] {
        let answer = browser.get(&app, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(answer.text.is_empty());
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(answer.cause, Some(Error::Store(_))));
    }
    store.fail_reads(false);
    assert_eq!(browser.get(&app, "/read").await.text, "1");
}

#[handler]
async fn greet(owner: Option<CurrentOwner>) -> String {
    owner.map_or("nobody".to_owned(), |CurrentOwner(owner)| owner.to_string())
}

#[handler]
async fn is_there(session: Option<Session>) -> String {
    session.is_some().to_string()
}

#[handler]
async fn judged(session: ::poem::Result<Session>) -> String {
    session.is_ok().to_string()
}

#[tokio::test]
async fn an_outage_is_never_a_visitor_without_a_session() {
    let pages = pages().at("/greet", get(greet)).at("/there", get(is_there)).at("/judged", get(judged));
    let (app, store, _) = site(pages);
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/greet").await.text, "nobody");
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/greet").await.text, "42");
    assert_eq!(browser.get(&app, "/there").await.text, "true");
    store.fail_reads(true);
    for path in ["/greet", "/there", "/judged"] {
        let answer = browser.get(&app, path).await;
        assert_eq!((answer.status, &*answer.text), (StatusCode::SERVICE_UNAVAILABLE, ""), "{path}");
        assert!(matches!(answer.cause, Some(Error::Store(_))));
    }
}

#[handler]
async fn going_on(request: &Request) -> String {
    match Session::of(request).await {
        Ok(_) => "with a session".to_owned(),
        Err(error) => format!("without one: {error}"),
    }
}

/// An error page of its own.
#[handler]
async fn sorry(session: ::poem::Result<Session>) -> (StatusCode, &'static str) {
    assert!(session.is_err());
    (StatusCode::SERVICE_UNAVAILABLE, "sorry")
}

#[tokio::test]
async fn a_handler_may_go_on_while_the_store_is_down() {
    let (app, store, _) = site(pages().at("/page", get(going_on)).at("/sorry", get(sorry)));
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    assert_eq!(browser.get(&app, "/page").await.text, "with a session");
    store.fail_reads(true);
    let answer = browser.get(&app, "/page").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::OK, "without one: the session store failed"));
    let answer = browser.get(&app, "/sorry").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::SERVICE_UNAVAILABLE, "sorry"));
}

#[handler]
async fn put(session: Session) -> Result<Response, SessionError> {
    session.insert("count", &7)?;
    Ok(Response::builder().header("location", "/saved").body("it is saved"))
}

#[tokio::test]
async fn a_failed_save_is_never_a_200() {
    let (app, store, _) = site(pages().at("/page", get(put)));
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_writes(true);
    for mut browser in [browser, Browser::default()] {
        let answer = browser.get(&app, "/page").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.text.is_empty());
        assert!(!answer.headers.contains_key("location"));
        assert!(answer.set_cookies().is_empty());
        assert!(matches!(answer.cause, Some(Error::Store(_))));
        assert!(answer.exchange.is_some());
    }
}

#[handler]
async fn revoking(session: Session, manager: Data<&SessionManager>) -> Result<&'static str, SessionError> {
    session.insert("count", &7)?;
    manager.revoke_all(&Owner::from(42)).await?;
    Ok("done")
}

#[tokio::test]
async fn a_session_that_has_ended_leaves_the_response_as_it_is() {
    let (app, _, manager) = site(pages().at("/page", get(revoking)));
    let app = app.data(manager);
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let answer = browser.get(&app, "/page").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::OK, "done"));
    assert_eq!(answer.outcome, Some(Outcome::Gone));
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test]
async fn without_a_login_the_owner_is_a_401() {
    let (app, ..) = site(pages());
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/owner").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::UNAUTHORIZED, ""));
    browser.get(&app, "/login").await;
    assert_eq!(browser.get(&app, "/owner").await.text, "42");
    browser.get(&app, "/logout").await;
    assert_eq!(browser.get(&app, "/owner").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_handler_without_the_layer_is_a_500() {
    let answer = Browser::default().get(&pages(), "/owner").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    let error = Session::of(&Request::default()).await.unwrap_err();
    assert!(error.to_string().contains("SessionLayer::new(manager) is not around it; only the"), "{error}");
}

#[tokio::test]
async fn a_middleware_outside_finds_who_it_was() {
    let (app, ..) = site(pages());
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let who = |exchange: Option<Exchange>| exchange.and_then(|exchange| exchange.loaded()?.owner());
    assert_eq!(who(browser.get(&app, "/owner").await.exchange), Some(42.into()));
    assert_eq!(who(browser.get(&app, "/silent").await.exchange), None);
}

#[handler]
async fn waits(session: Session) -> Result<(), SessionError> {
    session.insert("count", &7)?;
    std::future::pending().await
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_end_saves_nothing() {
    let (app, store, _) = site(Route::new().at("/waits", get(waits)));
    {
        let mut answering = pin!(app.call(request("/waits")));
        assert!(answering.as_mut().poll(&mut Context::from_waker(&noop_waker())).is_pending());
    }
    assert_eq!(store.calls(), 0);
}
