//! The access log around a site under poem.

use std::{
    future::{Future, pending, poll_fn},
    io,
    pin::pin,
    sync::mpsc,
    task::Poll,
};

use ::poem::{
    Body, Endpoint, EndpointExt, Request, Response, Route, get, handler,
    http::{self, StatusCode, Version, uri::Scheme},
    post,
    web::RemoteAddr,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, combinators::BoxBody};
use session_conformance::FaultyStore;
use session_poem::{
    AccessEnd, AccessLogLayer, AccessRecord, Owner, Session, SessionError, SessionLayer, SessionManager, TrustedProxies,
};

use crate::site::arriving;

type Records = mpsc::Receiver<AccessRecord>;

/// The pages inside of the layers, and the records of the access log.
fn site(pages: Route, log: AccessLogLayer) -> (impl Endpoint<Output = Response>, Records) {
    let (log, records) = recorded(log);
    let manager = SessionManager::development(FaultyStore::default())
        .with_trusted_proxies(TrustedProxies::at(["127.0.0.1"]).unwrap());
    (pages.with(SessionLayer::new(manager)).with(log), records)
}

fn recorded(log: AccessLogLayer) -> (AccessLogLayer, Records) {
    let (sender, records) = mpsc::channel();
    (log.with_writer(move |record| sender.send(record.clone()).unwrap()), records)
}

#[handler]
async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.login(Owner::try_from("user\n42".to_owned())?).await?;
    Ok("welcome")
}

#[handler]
async fn logout(session: Session) -> Result<(), SessionError> {
    Ok(session.logout().await?)
}

#[handler]
async fn account(_: Session) -> &'static str {
    "hello"
}

#[handler]
fn reset() -> &'static str {
    "a new password"
}

fn pages() -> Route {
    Route::new()
        .at("/login", post(login))
        .at("/logout", post(logout))
        .at("/account", get(account))
        .nest("/reset", Route::new().at("/:token", get(reset)))
}

fn from_here(head: http::request::Builder) -> Request {
    let here = RemoteAddr(std::net::SocketAddr::from(([127, 0, 0, 1], 4000)).into());
    arriving(here, Scheme::HTTP, head)
}

/// Sends a request, reads the whole body as the server does, and returns the cookie of the answer and the record.
async fn send(app: &impl Endpoint, records: &Records, head: http::request::Builder) -> (String, AccessRecord) {
    let response = app.get_response(from_here(head)).await;
    let cookie = response.header("set-cookie").unwrap_or_default().split(';').next().unwrap().to_owned();
    drop(response.into_body().into_vec().await);
    (cookie, records.try_recv().unwrap())
}

#[tokio::test]
async fn a_line_says_who_did_what_and_how_it_ended() {
    let (app, records) = site(pages(), AccessLogLayer::new().with_paths());
    let first = http::Request::post("/login?next=/account").header("X-Forwarded-For", "203.0.113.5:4711");
    let (cookie, record) = send(&app, &records, first).await;
    assert_eq!((record.method.as_str(), record.path.as_deref()), ("POST", Some("/login")));
    assert_eq!(record.client, Some([203, 0, 113, 5].into()));
    let of_login = (record.owner.as_deref(), record.session.is_some());
    assert_eq!(of_login, (Some("user\\n42"), true), "of the login itself, too");
    assert_eq!((record.referrer, record.agent), (None, None));
    let session = record.session;
    let ask = |request: http::request::Builder| {
        let request = request.header("Cookie", cookie.as_str()).header("User-Agent", "Mozilla/5.0 (X11)");
        request.header("Referer", "https://shop.example/login?next=/account#top")
    };
    let (_, record) = send(&app, &records, ask(http::Request::get("/account"))).await;
    assert_eq!((record.version, record.status, record.size), ("1.1", Some(200), 5));
    assert_eq!((record.route.as_deref(), record.end), (Some("/account"), AccessEnd::Complete));
    assert_eq!(record.client, Some([127, 0, 0, 1].into()));
    assert_eq!((record.owner.as_deref(), record.session), (Some("user\\n42"), session));
    assert_eq!(record.referrer.as_deref(), Some("https://shop.example/login"));
    assert_eq!(record.agent.as_deref(), Some("Mozilla/5.0 (X11)"));
    let (_, record) = send(&app, &records, ask(http::Request::post("/logout"))).await;
    assert_eq!((record.owner.as_deref(), record.session), (Some("user\\n42"), session), "who has logged out");
    let (_, record) = send(&app, &records, ask(http::Request::get("/reset/secret"))).await;
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
        let (app, records) = site(pages(), change(AccessLogLayer::new()));
        let first = http::Request::post("/login").header("User-Agent", "curl");
        let (_, record) = send(&app, &records, first).await;
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
    let (app, records) = site(pages(), AccessLogLayer::new());
    let secret = http::Request::get("/reset/secret?a=secret").header("Referer", "/reset/secret");
    let (_, record) = send(&app, &records, secret).await;
    assert_eq!((record.route.as_deref(), record.path.as_deref()), (Some("/reset/:token"), None));
    assert!(!format!("{record} {record:?}").contains("secret"), "{record:?}");
    let (_, record) = send(&app, &records, http::Request::get("/nowhere")).await;
    assert_eq!((record.status, record.route, record.path), (Some(404), None, None));
    let (app, records) = site(pages(), AccessLogLayer::new().with_paths());
    let (_, record) = send(&app, &records, http::Request::get("/reset/1?a=secret")).await;
    assert_eq!(record.path.as_deref(), Some("/reset/1"), "the whole path, from before `nest` has cut it");
}

#[tokio::test]
async fn a_line_has_the_version_of_http() {
    let (app, records) = site(pages(), AccessLogLayer::new());
    for (version, expected) in [(Version::HTTP_10, "1.0"), (Version::HTTP_11, "1.1"), (Version::HTTP_2, "2")] {
        let (_, record) = send(&app, &records, http::Request::get("/account").version(version)).await;
        assert_eq!(record.version, expected);
    }
}

fn parts(end: impl Future<Output = io::Result<&'static str>> + Send + 'static) -> Body {
    Body::from_bytes_stream(stream::iter(["first", "second"]).map(Ok).chain(stream::once(end)))
}

#[handler]
fn endless() -> Body {
    parts(pending())
}

#[handler]
fn failing() -> Body {
    parts(async { Err(io::Error::other("the disk is gone")) })
}

/// Takes this many parts of the body of the page, and drops it.
async fn take(page: impl Endpoint + 'static, count: usize) -> AccessRecord {
    let (app, records) = site(Route::new().at("/stream", page), AccessLogLayer::new());
    let response = app.get_response(from_here(http::Request::get("/stream"))).await;
    let mut body = BoxBody::<Bytes, io::Error>::from(response.into_body());
    for _ in 0..count {
        assert!(records.try_recv().is_err(), "the body goes on");
        assert!(body.frame().await.is_some());
    }
    drop(body);
    records.try_recv().unwrap()
}

#[tokio::test]
async fn a_body_that_is_dropped_midway_is_cut_off() {
    let record = take(get(endless), 1).await;
    assert_eq!((record.status, record.size, record.end), (Some(200), 5, AccessEnd::CutOff));
}

#[tokio::test]
async fn a_body_that_fails_has_failed() {
    let record = take(get(failing), 3).await;
    assert_eq!((record.size, record.end), (11, AccessEnd::Failed));
}

#[tokio::test]
async fn a_body_of_a_known_length_is_complete_though_nobody_asks_for_its_end() {
    let record = take(get(account), 1).await;
    assert_eq!((record.size, record.end), (5, AccessEnd::Complete));
}

#[handler]
async fn slow(session: Session) {
    session.login(42).await.unwrap();
    pending().await
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_answer_is_in_the_log() {
    let (app, records) = site(Route::new().at("/slow", get(slow)), AccessLogLayer::new());
    {
        let mut call = pin!(app.get_response(from_here(http::Request::get("/slow"))));
        // The store answers at once, so the first turn comes to where the handler waits.
        poll_fn(|context| {
            assert!(call.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    let record = records.try_recv().unwrap();
    assert_eq!((record.status, record.size, record.end), (None, 0, AccessEnd::Unanswered));
    assert_eq!((record.client, record.owner.as_deref()), (Some([127, 0, 0, 1].into()), Some("42")));
}

#[handler]
fn with_status(::poem::web::Path(status): ::poem::web::Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

#[tokio::test]
async fn an_answer_without_a_body_is_complete() {
    let (app, records) = site(pages().at("/status/:status", get(with_status)), AccessLogLayer::new());
    for status in [200, 204, 304] {
        let (_, record) = send(&app, &records, http::Request::get(format!("/status/{status}"))).await;
        assert_eq!((record.status, record.size, record.end), (Some(status), 0, AccessEnd::Complete), "{status}");
    }
    drop(app.get_response(from_here(http::Request::head("/account"))).await);
    let record = records.try_recv().unwrap();
    assert_eq!((record.size, record.end), (0, AccessEnd::Complete));
}

async fn refusing<E: Endpoint>(_: std::sync::Arc<E>, _: Request) -> ::poem::Result<Response> {
    Err(::poem::Error::from_string("too much", StatusCode::PAYLOAD_TOO_LARGE))
}

#[tokio::test]
async fn what_the_session_layer_does_not_see_is_in_the_log_without_an_owner() {
    let (log, records) = recorded(AccessLogLayer::new());
    let sessions = SessionLayer::new(SessionManager::development(FaultyStore::default()));
    let app = pages().with(sessions).around(refusing).with(log);
    let (_, record) = send(&app, &records, http::Request::get("/account")).await;
    assert_eq!((record.status, record.size, record.end), (Some(413), 8, AccessEnd::Complete), "the error is answered");
    assert_eq!((record.client, record.owner, record.session), (None, None, None));
}

#[handler]
async fn refused(session: Session) -> ::poem::Result<()> {
    session.login(42).await.map_err(SessionError::from)?;
    Err(::poem::Error::from_string("too much", StatusCode::PAYLOAD_TOO_LARGE))
}

#[tokio::test]
async fn the_error_of_a_handler_is_answered_once_and_has_the_owner() {
    let (app, records) = site(Route::new().at("/refused", get(refused)), AccessLogLayer::new());
    let (cookie, record) = send(&app, &records, http::Request::get("/refused")).await;
    assert_eq!((record.status, record.end), (Some(413), AccessEnd::Complete));
    assert_eq!((record.owner.as_deref(), cookie.is_empty()), (Some("42"), false));
    assert_eq!(record.route.as_deref(), Some("/refused"));
    assert!(records.try_recv().is_err(), "one line for each request");
}
