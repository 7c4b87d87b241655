//! The headers by which a response tells caches how private it is.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use hyper::body::Frame;
use session_conformance::FaultyStore;
use session_core::{CookieConfig, SessionManager, SiteData};
use session_tower::{Exchange, Session, SessionError, SessionLayer};

use crate::log::Log;
use crate::site::*;

fn cache_control(answer: &Answer) -> Vec<&str> {
    answer.head.headers.get_all(header::CACHE_CONTROL).iter().map(|value| value.to_str().unwrap()).collect()
}

const PRIVATE: [&str; 1] = ["private, no-cache"];
const NO_STORE: [&str; 1] = ["no-store"];

async fn public(session: Session) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=60")], format!("{:?}", session.owner()))
}

#[tokio::test]
async fn the_handler_s_word_stands_and_a_public_one_is_an_event_in_the_log() {
    let private = async |_: Session| [(header::CACHE_CONTROL, "private, max-age=60")];
    let (app, ..) = site(routes().route("/private", get(private)).route("/public", get(public)));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let log = Log::start();
    assert_eq!(cache_control(&browser.get(&app, "/private").await), ["private, max-age=60"]);
    assert!(!log.lines().iter().any(|line| line.contains("WARN")));
    assert_eq!(cache_control(&browser.get(&app, "/public").await), ["public, max-age=60"]);
    let lines = log.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("WARN session")).collect();
    assert!(
        matches!(told[..], [line] if line.contains("session.shared_cache_allowed") && line.contains("cache-control"))
    );
}

#[tokio::test]
async fn an_error_is_kept_by_no_cache() {
    let save = async |session: Session| -> Result<Response, SessionError> {
        session.insert("count", &7)?;
        Ok(([(HeaderName::from_static("surrogate-control"), "max-age=60")], "saved").into_response())
    };
    let (app, store, _) = site(routes().route("/save", get(save)));
    let mut browser = Browser::default();
    browser.get(&app, "/count").await;
    store.fail_writes(true);
    let answer = browser.get(&app, "/save").await;
    assert_eq!((answer.head.status, cache_control(&answer)), (StatusCode::SERVICE_UNAVAILABLE, NO_STORE.to_vec()));
    assert!(!answer.head.headers.contains_key("surrogate-control"));
    store.fail_reads(true);
    let answer = browser.get(&app, "/read").await;
    assert_eq!((answer.head.status, cache_control(&answer)), (StatusCode::SERVICE_UNAVAILABLE, NO_STORE.to_vec()));
    store.fail_reads(false);
    let answer = browser.get(&app, "/owner").await;
    assert_eq!((answer.head.status, cache_control(&answer)), (StatusCode::UNAUTHORIZED, NO_STORE.to_vec()));
}

#[tokio::test]
async fn a_stream_counts_by_what_was_asked_before_its_head_left() {
    let before = async |session: Session| {
        let owner = std::future::ready(format!("{:?}", session.owner()));
        Body::new(StreamOf(Some(Box::pin(owner))))
    };
    let after = async |request: axum::extract::Request| {
        let exchange = request.extensions().get::<Exchange>().unwrap().clone();
        let owner = async move { format!("{:?}", exchange.session().await.unwrap().owner()) };
        Body::new(StreamOf(Some(Box::pin(owner))))
    };
    let (app, ..) = site(routes().route("/before", get(before)).route("/after", get(after)));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    for (path, expected) in [("/before", &NO_STORE[..]), ("/after", &[])] {
        let answer = browser.get(&app, path).await;
        assert_eq!((cache_control(&answer), answer.text()), (expected.to_vec(), "Some(Owner(42))"), "{path}");
    }
}

/// A body that is made when it is read.
struct StreamOf(Option<Pin<Box<dyn Future<Output = String> + Send>>>);

impl hyper::body::Body for StreamOf {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(text) = &mut self.0 else { return Poll::Ready(None) };
        let text = ready!(text.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

struct Admin;

/// The administrators' cookie inside or outside of the site's, with a middleware in between.
fn two_sites(is_admin_inside: bool, between: Option<&'static str>) -> Router {
    async fn admin_login(admin: Session<Admin>) -> Result<(), SessionError> {
        Ok(admin.login(1).await?)
    }
    async fn admin_count(admin: Session<Admin>) -> Result<(), SessionError> {
        admin.insert("n", &1)?;
        Ok(())
    }
    async fn both(_: Session, _: Session<Admin>) {}
    async fn own(_: Session, _: Session<Admin>) -> impl IntoResponse {
        [(header::CACHE_CONTROL, "private, no-cache")]
    }
    let put = move |mut response: Response| async move {
        if let Some(between) = between {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(between));
        }
        response
    };
    let cookie = CookieConfig::builder("admin").secure(false).build().unwrap();
    let admin = SessionManager::development(FaultyStore::default()).with_cookie(cookie);
    let admin = SessionLayer::new(admin).named::<Admin>();
    let site = SessionLayer::new(SessionManager::development(FaultyStore::default()));
    let routes = routes()
        .route("/admin/login", get(admin_login))
        .route("/admin/count", get(admin_count))
        .route("/both", get(both))
        .route("/own", get(own));
    match is_admin_inside {
        true => routes.layer(admin).layer(map_response(put)).layer(site),
        false => routes.layer(site).layer(map_response(put)).layer(admin),
    }
}

#[tokio::test]
async fn of_two_cookies_the_more_private_one_says_what_caches_may_do() {
    for is_admin_inside in [true, false] {
        let app = two_sites(is_admin_inside, None);
        for (paths, expected) in [
            (&[][..], &[][..]),
            (&["/count"], &PRIVATE),
            (&["/admin/count"], &PRIVATE),
            (&["/count", "/admin/count"], &PRIVATE),
            (&["/login", "/admin/count"], &NO_STORE),
            (&["/count", "/admin/login"], &NO_STORE),
            (&["/login"], &NO_STORE),
        ] {
            let mut browser = Browser::default();
            for path in paths {
                browser.get(&app, path).await;
            }
            let answer = browser.get(&app, "/both").await;
            assert_eq!(cache_control(&answer), expected, "{paths:?}, admin inside: {is_admin_inside}");
            assert_eq!(answer.head.headers.get_all(header::VARY).iter().count(), 1);
            let own = browser.get(&app, "/own").await;
            assert_eq!(cache_control(&own), PRIVATE, "the handler's stands");
        }
    }
}

#[tokio::test]
async fn what_a_middleware_between_two_layers_says_is_the_handler_s() {
    let app = two_sites(true, Some("private, max-age=60"));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    browser.get(&app, "/admin/count").await;
    assert_eq!(cache_control(&browser.get(&app, "/both").await), ["private, max-age=60"]);
}

#[tokio::test]
async fn a_logout_clears_the_site_s_data_where_the_site_says_so() {
    let manager = SessionManager::development(FaultyStore::default()).with_clear_site_data([SiteData::Storage]);
    let app = routes().layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    let login = browser.get(&app, "/login").await;
    assert!(!login.head.headers.contains_key("clear-site-data"));
    assert_eq!(browser.get(&app, "/logout").await.head.headers["clear-site-data"], "\"storage\"");
}

#[tokio::test]
async fn a_layer_inside_another_of_its_manager_says_it_once() {
    let manager = SessionManager::development(FaultyStore::default());
    let app = routes().layer(SessionLayer::new(manager.clone())).layer(SessionLayer::new(manager));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    assert_eq!(cache_control(&browser.get(&app, "/read").await), NO_STORE);
}
