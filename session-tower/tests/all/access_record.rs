//! The access log over requests and bodies that a test makes by hand.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use session_tower::{AccessEnd, AccessLogLayer, AccessRecord, SessionId};
use tower::{Layer, ServiceExt, service_fn};

use crate::log::Log;

/// A body with one part. The fields set what it says of its size and its end.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    is_sent: bool,
    says_size: bool,
    says_end: bool,
}

impl Body for Part {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = (!self.is_sent).then(|| Ok(Frame::data(Bytes::from_static(b"whole"))));
        self.is_sent = true;
        Poll::Ready(part)
    }

    fn is_end_stream(&self) -> bool {
        self.says_end && self.is_sent
    }

    fn size_hint(&self) -> SizeHint {
        if self.says_size { SizeHint::with_exact(5) } else { SizeHint::default() }
    }
}

/// The record of a request with this answer, if the server takes this many parts of the body.
async fn record_of(layer: AccessLogLayer, request: Request<()>, answer: Response<Part>, parts: usize) -> AccessRecord {
    let records = Arc::new(Mutex::new(Vec::new()));
    let written = records.clone();
    let layer = layer.with_writer(move |record| written.lock().unwrap().push(record.clone()));
    let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(answer.clone())));
    let mut body = service.oneshot(request).await.unwrap().into_body();
    let inside = answer.body();
    assert_eq!(body.size_hint().exact(), inside.size_hint().exact(), "the server makes Content-Length of it");
    for _ in 0..parts {
        body.frame().await;
    }
    assert_eq!(body.is_end_stream(), inside.says_end && parts > 0);
    drop(body);
    let mut records = records.lock().unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

async fn end_of(status: StatusCode, body: Part, parts: usize) -> (u64, AccessEnd) {
    let answer = Response::builder().status(status).body(body).unwrap();
    let record = record_of(AccessLogLayer::new(), Request::new(()), answer, parts).await;
    (record.size, record.end)
}

#[tokio::test]
async fn a_server_that_asks_for_no_more_than_it_needs_has_the_whole_body() {
    let (ok, silent) = (StatusCode::OK, Part::default());
    assert_eq!(end_of(ok, Part { says_size: true, ..silent }, 1).await, (5, AccessEnd::Complete));
    assert_eq!(end_of(ok, Part { says_end: true, ..silent }, 1).await, (5, AccessEnd::Complete));
    assert_eq!(end_of(ok, silent, 1).await, (5, AccessEnd::CutOff), "nobody knows that this was the last part");
    assert_eq!(end_of(ok, silent, 2).await, (5, AccessEnd::Complete));
    for status in [StatusCode::SWITCHING_PROTOCOLS, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        assert_eq!(end_of(status, silent, 0).await, (0, AccessEnd::Complete), "{status}");
    }
}

#[tokio::test]
async fn a_line_has_the_version_of_http() {
    let versions = [
        (Version::HTTP_09, "0.9"),
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ];
    for (version, expected) in versions {
        let request = Request::builder().version(version).body(()).unwrap();
        let record = record_of(AccessLogLayer::new(), request, Response::default(), 2).await;
        assert_eq!(record.version, expected);
    }
}

#[tokio::test]
async fn the_time_is_that_of_the_request() {
    let (sender, records) = std::sync::mpsc::channel();
    let layer = AccessLogLayer::new().with_writer(move |record| sender.send(record.clone()).unwrap());
    let service = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Part::default()))));
    let before = SystemTime::now();
    let response = service.oneshot(Request::new(())).await.unwrap();
    let answered = SystemTime::now();
    // Waits until the clock shows a later time.
    while SystemTime::now() <= answered {
        tokio::task::yield_now().await;
    }
    drop(response);
    let time = records.recv().unwrap().time;
    assert!(before <= time && time <= answered, "{before:?} {time:?} {answered:?}");
}

#[tokio::test]
async fn a_referrer_has_neither_query_nor_fragment_nor_an_endless_host() {
    let referrer = async |referrer: &str, layer| {
        let request = Request::builder().header(header::REFERER, referrer).body(()).unwrap();
        record_of(layer, request, Response::default(), 2).await.referrer.unwrap()
    };
    let with_paths = || AccessLogLayer::new().with_paths();
    assert_eq!(referrer("https://shop.example/a#secret", with_paths()).await, "https://shop.example/a");
    assert_eq!(referrer("https://shop.example/a?secret#b", with_paths()).await, "https://shop.example/a");
    let long = format!("https://{}/", "a".repeat(5000));
    for layer in [AccessLogLayer::new(), with_paths()] {
        let referrer = referrer(&long, layer).await;
        assert!(referrer.len() <= 512 + '…'.len_utf8() && referrer.ends_with("a…"), "{}", referrer.len());
    }
}

#[tokio::test]
async fn a_written_line_has_every_field_by_its_name() {
    let mut record = record_of(AccessLogLayer::new(), Request::new(()), Response::default(), 2).await;
    let id = SessionId::from_bytes([7; 16]);
    record.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    record.client = Some([203, 0, 113, 5].into());
    record.method = "BREW".to_owned();
    record.route = Some("/{page}".to_owned());
    record.path = Some("/a".to_owned());
    record.status = Some(418);
    record.size = 1234;
    record.latency = Duration::from_millis(1500);
    record.referrer = Some("https://shop.example".to_owned());
    record.agent = Some("curl/8".to_owned());
    record.owner = Some("user 42".to_owned());
    record.session = Some(id);
    record.end = AccessEnd::CutOff;
    let line = format!(
        "time=2023-11-14T22:13:20.123Z client.address=203.0.113.5 http.request.method=\"_OTHER\" \
         http.request.method_original=\"BREW\" http.route=\"/{{page}}\" url.path=\"/a\" network.protocol.version=1.1 \
         http.response.status_code=418 http.response.body.size=1234 http.server.request.duration=1.5 \
         http.request.header.referer=\"https://shop.example\" user_agent.original=\"curl/8\" user.id=\"user 42\" \
         session.id={id} session.access.end=cut_off"
    );
    assert_eq!(record.to_string(), line);
}

#[tokio::test]
async fn tracing_gets_path_and_odd_method_and_a_duration_in_seconds() {
    let (log, began) = (Log::start(), Instant::now());
    let method = Method::from_bytes(b"BREW").unwrap();
    let request = Request::builder().method(method).uri("/a?b").body(()).unwrap();
    let service = AccessLogLayer::new().with_paths().layer(service_fn(async |_: Request<()>| {
        // The wait is long: a thousand times as much would be longer than the whole test, so a wrong unit shows.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {
            tokio::task::yield_now().await;
        }
        Ok::<_, Infallible>(Response::new(Part::default()))
    }));
    drop(service.oneshot(request).await.unwrap());
    let took = began.elapsed().as_secs_f64();
    let line = log.lines().pop().unwrap();
    for field in ["method=\"_OTHER\"", "method_original=\"BREW\"", "url.path=\"/a\""] {
        assert!(line.contains(field), "{field}: {line}");
    }
    let (_, duration) = line.split_once("http.server.request.duration=").unwrap();
    let duration: f64 = duration.split(' ').next().unwrap().parse().unwrap();
    assert!(duration >= 0.001 && duration <= took, "{duration} of {took}: {line}");
}
