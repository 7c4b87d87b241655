//! The access log around a real axum server.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderMap, StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http_body::Frame;
use session_conformance::FaultyStore;
use session_core::{Owner, SessionManager, TrustedProxies};
use session_tower::{AccessEnd, AccessLogLayer, AccessRecord, Session, SessionError, SessionLayer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    time::timeout,
};
use tower::{Layer, ServiceExt, service_fn};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server, and the records of its access log.
pub(crate) struct Server {
    address: SocketAddr,
    records: mpsc::UnboundedReceiver<AccessRecord>,
}

impl Server {
    pub(crate) async fn start(routes: Router, log: AccessLogLayer) -> Self {
        let (sender, records) = mpsc::unbounded_channel();
        let log = log.with_writer(move |record| sender.send(record.clone()).unwrap());
        Self { address: serve(routes, log).await, records }
    }

    /// Waits for the next line.
    async fn record(&mut self) -> AccessRecord {
        timeout(PATIENCE, self.records.recv()).await.unwrap().unwrap()
    }

    async fn connect(&self, request: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }

    /// Sends a request, and returns the whole answer and the line.
    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &str) -> (String, AccessRecord) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n");
        let mut answer = Vec::new();
        self.connect(&request).await.read_to_end(&mut answer).await.unwrap();
        (String::from_utf8(answer).unwrap(), self.record().await)
    }
}

pub(crate) async fn serve(routes: Router, log: AccessLogLayer) -> SocketAddr {
    let manager = SessionManager::development(FaultyStore::default());
    let sessions = SessionLayer::new(manager.with_trusted_proxies(TrustedProxies::at(["127.0.0.1"]).unwrap()))
        .with_peer(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
    let app = routes.layer(sessions).layer(log).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.login(Owner::try_from("user\n42".to_owned())?).await?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<(), SessionError> {
    Ok(session.logout().await?)
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/account", get(|_: Session| async { "hello" }))
        .route("/reset/{token}", get(|| async { "a new password" }))
}

/// The header of the cookie that an answer sets.
fn cookie(answer: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    format!("Cookie: {}\r\n", line.split(';').next().unwrap())
}

/// A body that a test feeds.
struct Fed(mpsc::UnboundedReceiver<io::Result<Bytes>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}

/// A page with these headers, whose body a test feeds.
fn fed(headers: HeaderMap) -> (Router, mpsc::UnboundedSender<io::Result<Bytes>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let page = move || async move { (headers, Body::new(Fed(receiver.lock().unwrap().take().unwrap()))) };
    (Router::new().route("/stream", get(page)), sender)
}

const STREAM: &str = "GET /stream HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// Reads until the answer ends like this.
async fn read_until(connection: &mut TcpStream, end: &str) {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let byte = timeout(PATIENCE, connection.read_u8()).await.unwrap().unwrap();
        answer.push(byte);
    }
}

// The user and the request.

#[tokio::test]
async fn a_line_says_who_did_what_and_how_it_ended() {
    let mut server = Server::start(routes(), AccessLogLayer::new().with_paths()).await;
    let (answer, record) = server.send("POST", "/login?next=/account", "X-Forwarded-For: 203.0.113.5:4711\r\n").await;
    let headers = format!(
        "{}Referer: https://shop.example/login?next=/account#top\r\nUser-Agent: Mozilla/5.0 (X11)\r\n",
        cookie(&answer)
    );
    assert_eq!((record.method.as_str(), record.path.as_deref()), ("POST", Some("/login")));
    assert_eq!(record.client, Some([203, 0, 113, 5].into()));
    assert_eq!(
        (record.owner.as_deref(), record.session.is_some()),
        (Some("user\\n42"), true),
        "of the login itself, too"
    );
    assert_eq!((record.referrer, record.agent), (None, None));
    let session = record.session;
    let (_, record) = server.send("GET", "/account", &headers).await;
    assert_eq!((record.version, record.status, record.size), ("1.1", Some(200), 5));
    assert_eq!((record.route.as_deref(), record.end), (Some("/account"), AccessEnd::Complete));
    assert_eq!(record.client, Some([127, 0, 0, 1].into()));
    assert_eq!((record.owner.as_deref(), record.session), (Some("user\\n42"), session));
    assert_eq!(record.referrer.as_deref(), Some("https://shop.example/login"));
    assert_eq!(record.agent.as_deref(), Some("Mozilla/5.0 (X11)"));
    assert!(record.time.elapsed().unwrap() >= record.latency && record.latency > Duration::ZERO);
    let (_, record) = server.send("POST", "/logout", &headers).await;
    assert_eq!((record.owner.as_deref(), record.session), (Some("user\\n42"), session), "who has logged out");
    let (_, record) = server.send("GET", "/reset/secret", &headers).await;
    assert_eq!((record.owner, record.session), (None, session), "nobody has asked whose cookie it is");
}

#[tokio::test]
async fn what_tells_of_a_person_can_be_left_out() {
    type Change = fn(AccessLogLayer) -> AccessLogLayer;
    let changes: [(&str, Change); 4] = [
        ("client", AccessLogLayer::without_client),
        ("agent", AccessLogLayer::without_agent),
        ("owner", AccessLogLayer::without_owner),
        ("session", AccessLogLayer::without_session),
    ];
    for (name, change) in changes {
        let mut server = Server::start(routes(), change(AccessLogLayer::new())).await;
        let (_, record) = server.send("POST", "/login", "User-Agent: curl\r\n").await;
        let left_out = [
            ("client", record.client.is_none()),
            ("agent", record.agent.is_none()),
            ("owner", record.owner.is_none()),
            ("session", record.session.is_none()),
        ];
        for (field, is_left_out) in left_out {
            assert_eq!(is_left_out, field == name, "{field} without {name}");
        }
    }
}

#[tokio::test]
async fn a_path_may_hold_a_secret_so_the_route_stands_for_it() {
    let mut server = Server::start(routes(), AccessLogLayer::new()).await;
    for (referrer, expected) in [
        ("https://shop.example/reset/secret?a=secret", Some("https://shop.example")),
        ("https://shop.example?secret", Some("https://shop.example")),
        ("/reset/secret", None),
    ] {
        let (_, record) = server.send("GET", "/reset/secret?a=secret", &format!("Referer: {referrer}\r\n")).await;
        assert_eq!((record.route.as_deref(), record.path.as_deref()), (Some("/reset/{token}"), None));
        assert_eq!(record.referrer.as_deref(), expected);
        assert!(!format!("{record} {record:?}").contains("secret"), "{record:?}");
    }
    let (_, record) = server.send("GET", "/reset/secret/", "").await;
    assert_eq!((record.status, record.route, record.path), (Some(404), None, None));
    let mut server = Server::start(routes(), AccessLogLayer::new().with_paths()).await;
    let (_, record) = server.send("GET", "/nowhere?a=secret", "").await;
    assert_eq!((record.route, record.path.as_deref()), (None, Some("/nowhere")));
}

#[tokio::test]
async fn a_layer_around_the_router_knows_the_route_from_the_session_layer() {
    let (sender, mut records) = mpsc::unbounded_channel();
    let log = AccessLogLayer::new().with_writer(move |record| sender.send(record.clone()).unwrap());
    let routes = routes().layer(SessionLayer::new(SessionManager::development(FaultyStore::default())));
    let response = log.layer(routes).oneshot(Request::get("/reset/secret").body(Body::empty()).unwrap()).await.unwrap();
    drop(response);
    let record = records.recv().await.unwrap();
    assert_eq!((record.route.as_deref(), record.end), (Some("/reset/{token}"), AccessEnd::CutOff));
}

// The end of the response.

#[tokio::test]
async fn the_line_is_written_when_the_body_has_ended() {
    let (routes, body) = fed(HeaderMap::new());
    let mut server = Server::start(routes, AccessLogLayer::new()).await;
    let mut connection = server.connect(STREAM).await;
    body.send(Ok("first".into())).unwrap();
    read_until(&mut connection, "first\r\n").await;
    assert!(server.records.try_recv().is_err(), "the body goes on");
    let began = std::time::Instant::now();
    body.send(Ok("second".into())).unwrap();
    read_until(&mut connection, "second\r\n").await;
    let waited = began.elapsed();
    drop(body);
    let record = server.record().await;
    assert_eq!((record.size, record.end), (11, AccessEnd::Complete));
    assert!(record.latency > waited, "it is that of the whole body");
}

#[tokio::test]
async fn a_body_of_a_known_length_is_complete_though_nobody_asks_for_its_end() {
    let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, "5".parse().unwrap())]);
    let (routes, body) = fed(headers);
    let mut server = Server::start(routes, AccessLogLayer::new()).await;
    let mut connection = server.connect(STREAM).await;
    body.send(Ok("whole".into())).unwrap();
    read_until(&mut connection, "whole").await;
    let record = server.record().await;
    assert_eq!((record.size, record.end), (5, AccessEnd::Complete));
}

#[tokio::test]
async fn a_body_that_is_dropped_midway_is_cut_off() {
    let (routes, body) = fed(HeaderMap::new());
    let mut server = Server::start(routes, AccessLogLayer::new()).await;
    let mut connection = server.connect(STREAM).await;
    body.send(Ok("first".into())).unwrap();
    read_until(&mut connection, "first\r\n").await;
    drop(connection);
    timeout(PATIENCE, body.closed()).await.unwrap();
    let record = server.record().await;
    assert_eq!((record.status, record.size, record.end), (Some(200), 5, AccessEnd::CutOff));
}

#[tokio::test]
async fn a_body_that_fails_has_failed() {
    let (routes, body) = fed(HeaderMap::new());
    let mut server = Server::start(routes, AccessLogLayer::new()).await;
    let mut connection = server.connect(STREAM).await;
    body.send(Ok("first".into())).unwrap();
    read_until(&mut connection, "first\r\n").await;
    body.send(Err(io::Error::other("the disk is gone"))).unwrap();
    let record = server.record().await;
    assert_eq!((record.size, record.end), (5, AccessEnd::Failed));
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_answer_is_in_the_log() {
    let begun = Arc::new(Notify::new());
    let page = {
        let begun = begun.clone();
        move |session: Session| async move {
            session.login(42).await.unwrap();
            begun.notify_one();
            pending::<()>().await;
        }
    };
    let mut server = Server::start(Router::new().route("/slow", get(page)), AccessLogLayer::new()).await;
    let connection = server.connect("GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
    timeout(PATIENCE, begun.notified()).await.unwrap();
    drop(connection);
    let record = server.record().await;
    assert_eq!((record.status, record.size, record.end), (None, 0, AccessEnd::Unanswered));
    assert_eq!((record.client, record.owner.as_deref()), (Some([127, 0, 0, 1].into()), Some("42")));
}

#[tokio::test]
async fn a_panic_and_an_error_of_the_service_are_in_the_log() {
    async fn panics() {
        panic!("by the test")
    }
    let mut server = Server::start(Router::new().route("/panics", get(panics)), AccessLogLayer::new()).await;
    let (answer, record) = server.send("GET", "/panics", "").await;
    assert_eq!((answer.as_str(), record.status, record.end), ("", None, AccessEnd::Unanswered));

    let (sender, mut records) = mpsc::unbounded_channel();
    let log = AccessLogLayer::new().with_writer(move |record| sender.send(record.clone()).unwrap());
    let failing = service_fn(async |_: Request| Err::<Response, _>(io::Error::other("the service has failed")));
    assert!(log.layer(failing).oneshot(Request::new(Body::empty())).await.is_err());
    assert_eq!(records.recv().await.unwrap().end, AccessEnd::Failed);
}

#[tokio::test]
async fn an_answer_without_a_body_is_complete() {
    let routes = routes()
        .route("/none", get(|| async { StatusCode::NO_CONTENT }))
        .route("/unchanged", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/empty", get(|| async {}));
    let mut server = Server::start(routes, AccessLogLayer::new()).await;
    for (method, path, status) in [
        ("HEAD", "/reset/1", 200),
        ("GET", "/none", 204),
        ("GET", "/unchanged", 304),
        ("GET", "/empty", 200),
        ("POST", "/reset/1", 405),
    ] {
        let (_, record) = server.send(method, path, "").await;
        assert_eq!((record.status, record.size, record.end), (Some(status), 0, AccessEnd::Complete), "{method} {path}");
    }
}

#[tokio::test]
async fn what_the_session_layer_does_not_see_is_in_the_log_without_an_owner() {
    let (sender, mut records) = mpsc::unbounded_channel();
    let log = AccessLogLayer::new().with_writer(move |record| sender.send(record.clone()).unwrap());
    let sessions = SessionLayer::new(SessionManager::development(FaultyStore::default()));
    let refusing = from_fn(async |_: Request, _: axum::middleware::Next| StatusCode::PAYLOAD_TOO_LARGE.into_response());
    let app = routes().layer(sessions).layer(refusing).layer(log);
    let response = app.oneshot(Request::get("/account").body(Body::empty()).unwrap()).await.unwrap();
    drop(response);
    let record = records.recv().await.unwrap();
    assert_eq!((record.status, record.route.as_deref()), (Some(413), Some("/account")));
    assert_eq!((record.client, record.owner, record.session), (None, None, None));
}
