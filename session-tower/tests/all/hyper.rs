//! The layer under bare hyper: no axum, and a connection on which the bytes can be counted.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, client, server};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use session_core::SessionManager;
use session_tower::{Exchange, Session, SessionError, SessionLayer};
use tower::{Layer, ServiceExt, service_fn};

use crate::faulty::Faulty;

type Page = Full<Bytes>;

async fn visit(request: Request<Incoming>) -> Result<Response<Page>, Infallible> {
    let visits = async {
        let session = Session::of(request.extensions()).await?;
        Ok::<_, SessionError>(session.update("visits", |n: &mut u64| *n += 1)?)
    };
    Ok(match visits.await {
        Ok(visits) => Response::new(Full::from(format!("visit {visits}"))),
        Err(error) => error.answer(),
    })
}

/// Sends one request over a connection of its own.
async fn send(manager: &SessionManager, cookie: Option<&str>) -> (http::response::Parts, Bytes) {
    let service = SessionLayer::new(manager.clone()).layer(service_fn(visit));
    let (here, there) = tokio::io::duplex(1 << 16);
    let served = server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(there), TowerToHyperService::new(service));
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(here)).await.unwrap();
    let mut request = Request::get("/");
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let talked = async {
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        (head, body.collect().await.unwrap().to_bytes())
    };
    let (answer, _, _) = tokio::join!(talked, served, connection);
    answer
}

fn cookie(head: &http::response::Parts) -> String {
    let cookie = head.headers[header::SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_goes_over_a_connection() {
    let manager = SessionManager::development(Faulty::default());
    let (head, body) = send(&manager, None).await;
    assert_eq!((head.status, &body[..]), (StatusCode::OK, &b"visit 1"[..]));
    let (_, body) = send(&manager, Some(&cookie(&head))).await;
    assert_eq!(body, "visit 2");
    let (_, body) = send(&manager, Some(&format!("{}=forged", manager.cookie().name()))).await;
    assert_eq!(body, "visit 1");
}

#[tokio::test]
async fn an_outage_is_a_503_over_a_connection() {
    let store = Faulty::default();
    let manager = SessionManager::development(store.clone());
    let (head, _) = send(&manager, None).await;
    let cookie = cookie(&head);
    for fail in [Faulty::fail_reads, Faulty::fail_writes] {
        fail(&store, true);
        let (head, body) = send(&manager, Some(&cookie)).await;
        assert_eq!((head.status, body.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
        assert!(!head.headers.contains_key(header::SET_COOKIE));
        fail(&store, false);
    }
    assert_eq!(send(&manager, Some(&cookie)).await.1, "visit 2");
}

#[tokio::test]
async fn a_service_that_fails_commits_nothing() {
    let store = Faulty::default();
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
        error.contains("Session<all::hyper::without_the_named_layer_the_error_names_its_marker::{{closure}}::Admin>"),
        "{error}"
    );
    assert!(error.contains("SessionLayer::new(manager).named::<"), "{error}");
}

#[tokio::test]
async fn the_exchange_is_committed_when_the_response_is_ready() {
    let store = Faulty::default();
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
