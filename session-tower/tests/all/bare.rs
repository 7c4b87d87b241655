//! The layer around a service of no framework.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use session_conformance::FaultyStore;
use session_core::SessionManager;
use session_tower::{Exchange, Session, SessionLayer};
use tower::{Layer, ServiceExt, service_fn};

type Page = Full<Bytes>;

#[tokio::test]
async fn a_service_that_fails_commits_nothing() {
    let store = FaultyStore::default();
    let failing = service_fn(async |request: Request<()>| {
        let session = Session::of(request.extensions()).await.unwrap();
        session.insert("key", "value").unwrap();
        Err::<Response<Page>, _>("the service failed")
    });
    let layer = SessionLayer::new(SessionManager::development(store.clone()));
    assert_eq!(layer.layer(failing).oneshot(Request::new(())).await.unwrap_err(), "the service failed");
    assert_eq!(store.calls(), 0);
}

#[tokio::test]
async fn without_the_layer_the_session_is_an_error() {
    let error = Session::of(&http::Extensions::new()).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(error.cause().is_none());
    let told = error.to_string();
    assert!(
        told.starts_with("a handler asked for its Session, but SessionLayer::new(manager) is not around it"),
        "{told}"
    );
    assert!(told.ends_with("routes that are added after .layer(...) are outside of the layer"), "{told}");
}

#[tokio::test]
async fn without_the_named_layer_the_error_names_its_marker() {
    struct Admin;
    let error = Session::<Admin>::named(&http::Extensions::new()).await.unwrap_err().to_string();
    assert!(
        error.contains("Session<all::bare::without_the_named_layer_the_error_names_its_marker::{{closure}}::Admin>"),
        "{error}"
    );
    assert!(error.contains("SessionLayer::new(manager).named::<"), "{error}");
}

#[tokio::test]
async fn the_exchange_is_committed_when_the_response_is_ready() {
    let store = FaultyStore::default();
    let handler = service_fn(async |request: Request<()>| {
        let session = Session::of(request.extensions()).await.unwrap();
        session.insert("key", "value").unwrap();
        Ok::<_, Infallible>(Response::new(Page::default()))
    });
    let layer = SessionLayer::new(SessionManager::development(store.clone()));
    let response = layer.layer(handler).oneshot(Request::new(())).await.unwrap();
    assert_eq!(store.calls(), 1);
    let session = response.extensions().get::<Exchange>().unwrap().loaded().unwrap();
    assert!(session.is_new() && session.id().is_some());
    assert_eq!(session.get::<String>("key").unwrap().as_deref(), Some("value"));
}
