//! The line of the access log, whatever a stranger sends.

use std::{convert::Infallible, future::poll_fn, task::Poll};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
    response::Response,
};
use session_tower::AccessLogLayer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    access::{PATIENCE, Server, routes, serve},
    log::Log,
};

#[tokio::test]
async fn no_header_forges_a_line_or_fills_the_disk() {
    let mut server = Server::start(routes(), AccessLogLayer::new().with_paths()).await;
    let long = "a".repeat(5000);
    let agent = "a\" status=200 \u{9b}31m\u{202e}\u{2028}\t";
    let headers = format!("User-Agent: {agent}\r\nReferer: https://shop.example/{long}\r\n");
    let (_, record) = server.send(&"M".repeat(1000), &format!("/{long}"), &headers).await;
    let line = record.to_string();
    assert!(line.len() < 3000, "{}", line.len());
    assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{2028}'), "{line}");
    assert!(line.contains(" http.request.method=\"_OTHER\" http.request.method_original=\"MMM"), "{line}");
    assert!(line.contains(" user_agent.original=\"a\\\" status=200 "), "{line}");
    assert!(record.method.ends_with("M…") && record.path.unwrap().ends_with("a…"));
    let headers = HeaderMap::from_iter([(header::USER_AGENT, header::HeaderValue::from_bytes(b"\xff\x9b").unwrap())]);
    let (sender, mut records) = mpsc::unbounded_channel();
    let log = AccessLogLayer::new().with_writer(move |record| sender.send(record.clone()).unwrap());
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    drop(
        log.layer(service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty()))))
            .oneshot(request)
            .await,
    );
    assert_eq!(records.recv().await.unwrap().agent.as_deref(), Some("\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn tracing_gets_the_line_with_the_names_of_opentelemetry() {
    let log = Log::start();
    let address = serve(routes(), AccessLogLayer::new()).await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = "POST /login HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nUser-Agent: a\x1b\"b\r\n\
                   Referer: https://bank.example/\r\n\r\n";
    connection.write_all(request.replace('\x1b', "\u{9b}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let line = poll_fn(|context| match log.lines().into_iter().find(|line| line.contains("session::access")) {
        Some(line) => Poll::Ready(line),
        None => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    });
    let line = timeout(PATIENCE, line).await.unwrap();
    for field in [
        "INFO session::access: ",
        "client.address=127.0.0.1 ",
        "http.request.method=\"POST\" ",
        "http.route=\"/login\" ",
        "network.protocol.version=\"1.1\" ",
        "http.response.status_code=200 ",
        "http.response.body.size=7 ",
        "http.server.request.duration=0.",
        "http.request.header.referer=\"https://bank.example\" ",
        "user_agent.original=\"a\\\\u{9b}\\\"b\" ",
        "user.id=\"user\\\\n42\" ",
        "session.id=",
        "session.access.end=\"complete\"",
    ] {
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(!line.contains("url.path"), "{line}");
}
