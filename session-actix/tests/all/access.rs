//! The access log around a site under actix.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    pin::pin,
    sync::mpsc,
    task::Poll,
};

use actix_web::{
    App, Error, Handler, HttpResponse,
    body::{BodyStream, MessageBody, SizedStream},
    dev::{Service, ServiceRequest, ServiceResponse},
    error::ErrorPayloadTooLarge,
    http::{StatusCode, Version},
    middleware::{Next, from_fn},
    test::{TestRequest, init_service},
    web::{self, Bytes},
};
use futures_util::{StreamExt, stream};
use session_actix::{
    AccessEnd, AccessLogLayer, AccessRecord, Owner, Session, SessionError, SessionLayer, SessionManager, TrustedProxies,
};
use session_conformance::FaultyStore;

type Records = mpsc::Receiver<AccessRecord>;

/// A site inside of the layers, and the records of its access log.
async fn site(
    add: impl FnOnce(&mut web::ServiceConfig),
    log: AccessLogLayer,
) -> (impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error>, Records) {
    let (log, records) = recorded(log);
    let manager = SessionManager::development(FaultyStore::default())
        .with_trusted_proxies(TrustedProxies::at(["127.0.0.1"]).unwrap());
    let app = App::new().configure(pages).configure(add).wrap(SessionLayer::new(manager)).wrap(log);
    (init_service(app).await, records)
}

fn recorded(log: AccessLogLayer) -> (AccessLogLayer, Records) {
    let (sender, records) = mpsc::channel();
    (log.with_writer(move |record| sender.send(record.clone()).unwrap()), records)
}

fn pages(config: &mut web::ServiceConfig) {
    async fn login(session: Session) -> Result<&'static str, SessionError> {
        session.login(Owner::try_from("user\n42".to_owned())?).await?;
        Ok("welcome")
    }
    async fn logout(session: Session) -> Result<HttpResponse, SessionError> {
        session.logout().await?;
        Ok(HttpResponse::Ok().finish())
    }
    config
        .route("/login", web::post().to(login))
        .route("/logout", web::post().to(logout))
        .route("/account", web::get().to(async |_: Session| "hello"))
        .route("/reset/{token}", web::get().to(async || "a new password"));
}

/// A page more.
fn at<H, R>(path: &str, page: H) -> impl FnOnce(&mut web::ServiceConfig)
where
    H: Handler<R, Output = HttpResponse>,
    R: actix_web::FromRequest + 'static,
{
    move |config| {
        config.route(path, web::get().to(page));
    }
}

fn from_here(request: TestRequest) -> TestRequest {
    request.peer_addr(([127, 0, 0, 1], 4000).into())
}

/// Sends a request, reads the whole body as the server does, and returns the cookie of the answer and the record.
async fn send<B: MessageBody + 'static>(
    app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    records: &Records,
    request: TestRequest,
) -> (String, AccessRecord) {
    let response = match app.call(from_here(request).to_request()).await {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => HttpResponse::from_error(error),
    };
    let cookie = response.headers().get("set-cookie").map(|line| line.to_str().unwrap().to_owned());
    let cookie = cookie.unwrap_or_default().split(';').next().unwrap().to_owned();
    read(response.into_body()).await;
    (cookie, records.try_recv().unwrap())
}

async fn read(body: impl MessageBody) {
    let mut body = pin!(body);
    if !body.size().is_eof() {
        while poll_fn(|context| body.as_mut().poll_next(context)).await.is_some_and(|part| part.is_ok()) {}
    }
}

#[actix_web::test]
async fn a_line_says_who_did_what_and_how_it_ended() {
    let (app, records) = site(|_| {}, AccessLogLayer::new().with_paths()).await;
    let login = TestRequest::post().uri("/login?next=/account").insert_header(("X-Forwarded-For", "203.0.113.5:4711"));
    let (cookie, record) = send(&app, &records, login).await;
    assert_eq!((record.method.as_str(), record.path.as_deref()), ("POST", Some("/login")));
    assert_eq!(record.client, Some([203, 0, 113, 5].into()));
    let of_login = (record.owner.as_deref(), record.session.is_some());
    assert_eq!(of_login, (Some("user\\n42"), true), "of the login itself, too");
    assert_eq!((record.referrer, record.agent), (None, None));
    let session = record.session;
    let ask = |request: TestRequest| {
        let request =
            request.insert_header(("Cookie", cookie.as_str())).insert_header(("User-Agent", "Mozilla/5.0 (X11)"));
        request.insert_header(("Referer", "https://shop.example/login?next=/account#top"))
    };
    let (_, record) = send(&app, &records, ask(TestRequest::get().uri("/account"))).await;
    assert_eq!((record.version, record.status, record.size), ("1.1", Some(200), 5));
    assert_eq!((record.route.as_deref(), record.end), (Some("/account"), AccessEnd::Complete));
    assert_eq!(record.client, Some([127, 0, 0, 1].into()));
    assert_eq!((record.owner.as_deref(), record.session), (Some("user\\n42"), session));
    assert_eq!(record.referrer.as_deref(), Some("https://shop.example/login"));
    assert_eq!(record.agent.as_deref(), Some("Mozilla/5.0 (X11)"));
    let (_, record) = send(&app, &records, ask(TestRequest::post().uri("/logout"))).await;
    assert_eq!((record.owner.as_deref(), record.session), (Some("user\\n42"), session), "who has logged out");
    let (_, record) = send(&app, &records, ask(TestRequest::get().uri("/reset/secret"))).await;
    assert_eq!((record.owner, record.session), (None, session), "nobody has asked whose cookie it is");
}

#[actix_web::test]
async fn what_tells_of_a_person_can_be_left_out() {
    type Change = fn(AccessLogLayer) -> AccessLogLayer;
    let changes: [(&str, Change); 4] = [
        ("client", AccessLogLayer::without_client),
        ("agent", AccessLogLayer::without_agent),
        ("owner", AccessLogLayer::without_owner),
        ("session", AccessLogLayer::without_session),
    ];
    for (name, change) in changes {
        let (app, records) = site(|_| {}, change(AccessLogLayer::new())).await;
        let login = TestRequest::post().uri("/login").insert_header(("User-Agent", "curl"));
        let (_, record) = send(&app, &records, login).await;
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

#[actix_web::test]
async fn a_path_may_hold_a_secret_so_the_route_stands_for_it() {
    let (app, records) = site(|_| {}, AccessLogLayer::new()).await;
    let reset = TestRequest::get().uri("/reset/secret?a=secret").insert_header(("Referer", "/reset/secret"));
    let (_, record) = send(&app, &records, reset).await;
    assert_eq!((record.route.as_deref(), record.path.as_deref()), (Some("/reset/{token}"), None));
    assert!(!format!("{record} {record:?}").contains("secret"), "{record:?}");
    let (_, record) = send(&app, &records, TestRequest::get().uri("/reset/secret/")).await;
    assert_eq!((record.status, record.route, record.path), (Some(404), None, None));
    let (app, records) = site(|_| {}, AccessLogLayer::new().with_paths()).await;
    let (_, record) = send(&app, &records, TestRequest::get().uri("/nowhere?a=secret")).await;
    assert_eq!((record.route, record.path.as_deref()), (None, Some("/nowhere")));
}

#[actix_web::test]
async fn a_line_has_the_version_of_http() {
    let (app, records) = site(|_| {}, AccessLogLayer::new()).await;
    for (version, expected) in [
        (Version::HTTP_09, "0.9"),
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ] {
        let (_, record) = send(&app, &records, TestRequest::get().uri("/account").version(version)).await;
        assert_eq!(record.version, expected);
    }
}

/// A page whose body has these parts. After them it waits, or fails.
fn parts(fails: bool) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let page = move || async move {
            let parts = stream::iter(["first", "second"]).map(|part| Ok::<_, Error>(Bytes::from(part)));
            let end = stream::once(async move {
                if !fails {
                    pending::<()>().await;
                }
                Err(ErrorPayloadTooLarge("the disk is gone"))
            });
            HttpResponse::Ok().body(BodyStream::new(Box::pin(parts.chain(end))))
        };
        config.route("/stream", web::get().to(page));
    }
}

/// Takes this many parts of the body of the page, and drops it.
async fn take(fails: bool, count: usize) -> AccessRecord {
    let (app, records) = site(parts(fails), AccessLogLayer::new()).await;
    let response = app.call(TestRequest::get().uri("/stream").to_request()).await;
    let Ok(response) = response else { panic!("the page fails") };
    let mut body = Box::pin(response.into_body());
    for _ in 0..count {
        assert!(records.try_recv().is_err(), "the body goes on");
        let part = poll_fn(|context| body.as_mut().poll_next(context)).await;
        assert!(part.is_some());
    }
    drop(body);
    records.try_recv().unwrap()
}

#[actix_web::test]
async fn a_body_that_is_dropped_midway_is_cut_off() {
    let record = take(false, 1).await;
    assert_eq!((record.status, record.size, record.end), (Some(200), 5, AccessEnd::CutOff));
}

#[actix_web::test]
async fn a_body_that_fails_has_failed() {
    let record = take(true, 3).await;
    assert_eq!((record.size, record.end), (11, AccessEnd::Failed));
}

#[actix_web::test]
async fn a_body_of_a_known_length_is_complete_though_nobody_asks_for_its_end() {
    let page = async || {
        let part = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"whole"))]);
        HttpResponse::Ok().body(SizedStream::new(5, part))
    };
    let (app, records) = site(at("/sized", page), AccessLogLayer::new()).await;
    let response = app.call(TestRequest::get().uri("/sized").to_request()).await;
    let Ok(response) = response else { panic!("the page fails") };
    let mut body = Box::pin(response.into_body());
    assert!(poll_fn(|context| body.as_mut().poll_next(context)).await.is_some());
    drop(body);
    let record = records.try_recv().unwrap();
    assert_eq!((record.size, record.end), (5, AccessEnd::Complete));
}

#[actix_web::test]
async fn a_client_that_hangs_up_before_the_answer_is_in_the_log() {
    async fn page(session: Session) -> HttpResponse {
        session.login(42).await.unwrap();
        pending().await
    }
    let (app, records) = site(at("/slow", page), AccessLogLayer::new()).await;
    {
        let mut call = pin!(app.call(from_here(TestRequest::get().uri("/slow")).to_request()));
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

#[actix_web::test]
async fn an_answer_without_a_body_is_complete() {
    let add = |config: &mut web::ServiceConfig| {
        config
            .route("/none", web::get().to(async || HttpResponse::NoContent().finish()))
            .route("/unchanged", web::get().to(async || HttpResponse::NotModified().finish()))
            .route("/empty", web::get().to(async || HttpResponse::Ok().finish()))
            .route("/empty", web::head().to(async || "hello"));
    };
    let (app, records) = site(add, AccessLogLayer::new()).await;
    for (path, status) in [("/none", 204), ("/unchanged", 304), ("/empty", 200)] {
        let (_, record) = send(&app, &records, TestRequest::get().uri(path)).await;
        assert_eq!((record.status, record.size, record.end), (Some(status), 0, AccessEnd::Complete), "{path}");
    }
    let head = TestRequest::default().method(actix_web::http::Method::HEAD).uri("/empty").to_request();
    drop(app.call(head).await);
    let record = records.try_recv().unwrap();
    assert_eq!((record.size, record.end), (0, AccessEnd::Complete));
}

async fn refusing(
    _: ServiceRequest,
    _: Next<impl MessageBody>,
) -> Result<ServiceResponse<actix_web::body::BoxBody>, Error> {
    Err(ErrorPayloadTooLarge("too much"))
}

#[actix_web::test]
async fn what_the_session_layer_does_not_see_is_in_the_log_without_an_owner() {
    let (log, records) = recorded(AccessLogLayer::new());
    let sessions = SessionLayer::new(SessionManager::development(FaultyStore::default()));
    let app = App::new().configure(pages).wrap(sessions).wrap(from_fn(refusing)).wrap(log);
    let (_, record) = send(&init_service(app).await, &records, TestRequest::get().uri("/account")).await;
    assert_eq!((record.status, record.size, record.end), (Some(413), 8, AccessEnd::Complete), "the error is answered");
    assert_eq!((record.client, record.owner, record.session), (None, None, None));
}

#[actix_web::test]
async fn the_error_of_a_middleware_is_answered_once_and_has_the_owner() {
    async fn late(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let session = Session::of(request.request()).await?;
        session.login(42).await.map_err(SessionError::from)?;
        let answered = next.call(request).await?;
        if answered.status() == StatusCode::OK { Err(ErrorPayloadTooLarge("too much")) } else { Ok(answered) }
    }
    let (log, records) = recorded(AccessLogLayer::new());
    let sessions = SessionLayer::new(SessionManager::development(FaultyStore::default()));
    let app = init_service(App::new().configure(pages).wrap(from_fn(late)).wrap(sessions).wrap(log)).await;
    let (cookie, record) = send(&app, &records, TestRequest::get().uri("/account")).await;
    assert_eq!((record.status, record.end), (Some(413), AccessEnd::Complete));
    assert_eq!((record.owner.as_deref(), cookie.is_empty()), (Some("42"), false));
    assert!(records.try_recv().is_err(), "one line for each request");
}
