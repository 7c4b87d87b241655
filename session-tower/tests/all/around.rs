//! The layers of tower-http, inside the session's and outside of it, on bare tower and under axum.

use std::{convert::Infallible, error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use session_conformance::FaultyStore;
use session_core::SessionManager;
use session_tower::{ResponseBody, Session, SessionError, SessionLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer, timeout::TimeoutLayer,
    trace::TraceLayer,
};

use crate::site::{Browser, routes};

const NO_HURRY: Duration = Duration::from_secs(60);

fn timeout(after: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, after)
}

fn sessions() -> (SessionLayer, FaultyStore) {
    let store = FaultyStore::default();
    (SessionLayer::new(SessionManager::development(store.clone())), store)
}

/// A page that is long enough to be compressed.
fn page(visits: u64) -> String {
    format!("visit {visits}, {}", "and so on ".repeat(100))
}

async fn handle(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let visits = async {
        let session = Session::of(request.extensions()).await?;
        Ok::<_, SessionError>(session.update("visits", |n: &mut u64| *n += 1)?)
    };
    Ok(match (request.uri().path(), visits.await) {
        ("/slow", _) => std::future::pending().await,
        ("/panic", _) => panic!("told to"),
        (_, Ok(visits)) => Response::new(Full::from(page(visits))),
        (_, Err(error)) => error.answer(),
    })
}

/// Sends a request as a browser does that takes gzip and comes from a page of another origin.
async fn ask<S, B>(service: &S, path: &str, cookie: Option<&HeaderValue>) -> (Parts, Bytes)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: Body<Data: Into<Bytes>, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let mut request = Request::get(path)
        .header(header::ORIGIN, "https://example.com")
        .header(header::ACCEPT_ENCODING, "gzip")
        .body(Full::default())
        .unwrap();
    if let Some(cookie) = cookie {
        request.headers_mut().insert(header::COOKIE, cookie.clone());
    }
    let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    let body = BodyExt::collect(body).await.map_err(Into::into).unwrap().to_bytes();
    (head, body)
}

/// Checks that a session goes from request to request, that an outage is a 503 whose body is empty and not encoded, and
/// that the head has the headers of the layer.
async fn holds<S, B>(service: S, store: FaultyStore, says: impl Fn(&HeaderMap) -> bool)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: Body<Data: Into<Bytes>, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let (head, body) = ask(&service, "/", None).await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(says(&head.headers), "{:?}", head.headers);
    let first = body;
    let cookie = head.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().parse().unwrap();
    let (head, body) = ask(&service, "/", Some(&cookie)).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_ne!(body, first, "the second visit is counted");
    store.fail_writes(true);
    let (head, body) = ask(&service, "/", Some(&cookie)).await;
    assert_eq!((head.status, body.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert!(!head.headers.contains_key(header::CONTENT_ENCODING), "{:?}", head.headers);
}

fn anything(_: &HeaderMap) -> bool {
    true
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip")
}

fn is_shared(headers: &HeaderMap) -> bool {
    headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|origin| origin == "*")
}

#[tokio::test]
async fn each_layer_of_tower_http_stands_inside() {
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer);
    holds(inside.clone().layer(TraceLayer::new_for_http()).service_fn(handle), store, anything).await;
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer);
    // A failed save sends nothing of the handler's response, not even its encoding.
    holds(inside.layer(CompressionLayer::new()).service_fn(handle), store, is_compressed).await;
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer);
    holds(inside.layer(timeout(NO_HURRY)).service_fn(handle), store, anything).await;
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer);
    holds(inside.layer(CatchPanicLayer::new()).service_fn(handle), store, anything).await;
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer);
    holds(inside.layer(CorsLayer::permissive()).service_fn(handle), store, is_shared).await;
}

#[tokio::test]
async fn each_layer_of_tower_http_stands_outside() {
    let (layer, store) = sessions();
    holds(ServiceBuilder::new().layer(TraceLayer::new_for_http()).layer(layer).service_fn(handle), store, anything)
        .await;
    let (layer, store) = sessions();
    holds(ServiceBuilder::new().layer(CompressionLayer::new()).layer(layer).service_fn(handle), store, is_compressed)
        .await;
    let (layer, store) = sessions();
    holds(ServiceBuilder::new().layer(timeout(NO_HURRY)).layer(layer).service_fn(handle), store, anything).await;
    let (layer, store) = sessions();
    holds(ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(layer).service_fn(handle), store, anything).await;
    let (layer, store) = sessions();
    holds(ServiceBuilder::new().layer(CorsLayer::permissive()).layer(layer).service_fn(handle), store, is_shared).await;
}

#[tokio::test]
async fn all_layers_of_tower_http_stand_around_at_once() {
    let (layer, store) = sessions();
    let service = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(CorsLayer::permissive())
        .layer(timeout(NO_HURRY))
        .layer(layer)
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
        .service_fn(handle);
    holds(service, store, |headers| is_compressed(headers) && is_shared(headers)).await;
}

#[tokio::test]
async fn a_timeout_inside_is_committed_and_one_outside_is_not() {
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer).layer(timeout(Duration::ZERO)).service_fn(handle);
    assert_eq!(ask(&inside, "/slow", None).await.0.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(store.calls(), 1, "the change that the handler made before is saved");
    let (layer, store) = sessions();
    let outside = ServiceBuilder::new().layer(timeout(Duration::ZERO)).layer(layer).service_fn(handle);
    let (head, body) = ask(&outside, "/slow", None).await;
    assert_eq!((head.status, body.len()), (StatusCode::REQUEST_TIMEOUT, 0));
    assert_eq!(store.calls(), 0);
}

#[tokio::test]
async fn a_panic_inside_is_committed_and_one_outside_is_not() {
    let (layer, store) = sessions();
    let inside = ServiceBuilder::new().layer(layer).layer(CatchPanicLayer::new()).service_fn(handle);
    assert_eq!(ask(&inside, "/panic", None).await.0.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(store.calls(), 1);
    let (layer, store) = sessions();
    let outside = ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(layer).service_fn(handle);
    assert_eq!(ask(&outside, "/panic", None).await.0.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(store.calls(), 0);
}

#[tokio::test]
async fn a_service_builder_of_them_goes_around_a_router() {
    let store = FaultyStore::default();
    let around = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(timeout(NO_HURRY))
        .layer(SessionLayer::new(SessionManager::development(store.clone())))
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new());
    let app = routes().layer(around);
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/count").await.text(), "1");
    assert_eq!(browser.get(&app, "/count").await.text(), "2");
    store.fail_writes(true);
    let answer = browser.get(&app, "/count").await;
    assert_eq!((answer.head.status, answer.body.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
}

#[tokio::test]
async fn a_refused_request_has_an_empty_body_too() {
    struct Other;
    let (layer, _) = sessions();
    let service = ServiceBuilder::new().layer(layer.clone()).layer(layer.named::<Other>()).service_fn(handle);
    let (head, body) = ask(&service, "/", None).await;
    assert_eq!((head.status, body.len()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
}

/// A body of a chunk and a trailer.
struct Chunks(Vec<Frame<Bytes>>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.pop().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(77)
    }
}

#[tokio::test]
async fn the_body_that_leaves_is_the_one_of_the_service() {
    let (layer, _) = sessions();
    let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"7\""))]);
    let frames = trailers.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let frames = vec![Frame::trailers(frames.clone()), Frame::data(Bytes::from("chunk"))];
        async { Ok::<_, Infallible>(Response::new(Chunks(frames))) }
    }));
    let mut body: ResponseBody<Chunks> = service.oneshot(Request::new(())).await.unwrap().into_body();
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(77), false));
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "chunk");
    assert!(!body.is_end_stream());
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
    assert!(body.into_inner().is_some());
}

#[tokio::test]
async fn the_body_of_an_error_is_empty_and_known_to_be() {
    let (layer, store) = sessions();
    store.fail_writes(true);
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let session = Session::of(request.extensions()).await.unwrap();
        session.insert("key", "value").unwrap();
        Ok::<_, Infallible>(Response::new(Chunks(vec![Frame::data(Bytes::from("chunk"))])))
    }));
    let mut body: ResponseBody<Chunks> = service.oneshot(Request::new(())).await.unwrap().into_body();
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
    assert!(body.frame().await.is_none());
    assert!(body.into_inner().is_none());
}
