//! How much memory each kind of request allocates, with a ceiling for each.
//!
//! It is a program of its own, because the counting allocator is that of a whole program. The counters are those of one
//! thread, so tests that run at the same time do not count for each other. What the same request allocates under bare
//! axum is taken off. So the table shows what the session adds. Print it by
//! `cargo test -p session-tower --test allocations -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "axum")]

use allocation_counter::measure;
use axum::{Router, body::Body, extract::Path, routing::get};
use http::{Request, Response, header};
use session_memory::MemoryStore;
use session_tower::{Key, Keyring, Session, SessionError, SessionLayer, SessionManager};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// What a session is filled with beside its counter: this many values of this many bytes.
const SIZES: [(&str, usize, usize); 3] = [("few bytes", 1, 100), ("100 keys", 100, 20), ("512 KiB", 1, 512 * 1024)];

/// A kind of request, and for each size of the session the most allocations and the most bytes that it may add.
const CEILINGS: [(&str, [(u64, u64); 3]); 6] = [
    ("/silent", [(15, 2_400), (15, 2_400), (15, 2_400)]),
    ("/read", [(20, 4_300), (22, 4_400), (20, 4_300)]),
    ("/unchanged", [(23, 4_600), (25, 4_700), (23, 4_600)]),
    // With little room to spare: a future of more than 1 KiB makes the allocator take its slow way.
    ("/increment", [(34, 6_850), (37, 10_770), (34, 531_040)]),
    ("/login", [(30, 6_600), (33, 10_500), (30, 530_800)]),
    ("/logout", [(22, 4_600), (24, 4_700), (22, 4_600)]),
];

/// What the feature `metrics` may add to that, for what counts each call of the store.
const OF_METRICS: (u64, u64) = if cfg!(feature = "metrics") { (12, 1_700) } else { (0, 0) };

#[test]
fn each_kind_of_request_allocates_no_more_than_it_needs() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (app, bare) = (app(), bare());
    let mut above = Vec::new();
    for (path, ceilings) in CEILINGS {
        for ((size, values, bytes), (most, most_bytes)) in SIZES.into_iter().zip(ceilings) {
            let (most, most_bytes) = (most + OF_METRICS.0, most_bytes + OF_METRICS.1);
            let [with, without] = [&app, &bare].map(|app| allocated(&runtime, app, path, values, bytes));
            let (count, bytes) = (with.0.saturating_sub(without.0), with.1.saturating_sub(without.1));
            println!(
                "{path:<11} {size:<9}  {count:>4} of {most:>4} allocations, {bytes:>9} of {most_bytes:>9} bytes; \
                 bare axum {:>3}, {:>5} bytes",
                without.0, without.1
            );
            if count > most || bytes > most_bytes {
                above.push((path, size, count, bytes));
            }
        }
    }
    assert_eq!(above, []);
}

/// The allocations and the bytes of one request, the third of its kind. By then whatever is made once is there.
fn allocated(runtime: &Runtime, app: &Router, path: &str, values: usize, bytes: usize) -> (u64, u64) {
    let mut last = (0, 0);
    for _ in 0..3 {
        let cookie = cookie(&runtime.block_on(send(app, &format!("/fill/{values}/{bytes}"), None)));
        let counted = measure(|| {
            runtime.block_on(send(app, path, cookie.as_deref()));
        });
        last = (counted.count_total, counted.bytes_total);
    }
    last
}

async fn send(app: &Router, path: &str, cookie: Option<&str>) -> Response<Body> {
    let request = Request::get(path).header(header::COOKIE, cookie.unwrap_or("theme=dark"));
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response
}

fn cookie(response: &Response<Body>) -> Option<String> {
    let line = response.headers().get(header::SET_COOKIE)?;
    Some(line.to_str().unwrap().split(';').next().unwrap().to_owned())
}

/// The handlers that the session's are compared with.
fn bare() -> Router {
    let routes =
        CEILINGS.iter().fold(Router::new(), |routes, (path, _)| routes.route(path, get(async || "1".to_owned())));
    routes.route("/fill/{values}/{bytes}", get(async || ()))
}

fn app() -> Router {
    let manager = SessionManager::new(MemoryStore::new(), Keyring::new(Key::from_bytes(&[7; 32]).unwrap()));
    Router::new()
        .route("/silent", get(async || "1".to_owned()))
        .route("/read", get(read))
        .route("/unchanged", get(unchanged))
        .route("/increment", get(increment))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .route("/fill/{values}/{bytes}", get(fill))
        .layer(SessionLayer::new(manager))
}

async fn fill(session: Session, Path((values, bytes)): Path<(usize, usize)>) -> Result<(), SessionError> {
    for value in 0..values {
        session.insert(&format!("value {value}"), &"x".repeat(bytes))?;
    }
    Ok(session.insert("count", &1)?)
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u64>("count")?.unwrap_or_default().to_string())
}

async fn unchanged(session: Session) -> Result<String, SessionError> {
    session.insert("count", &1)?;
    Ok("1".to_owned())
}

async fn increment(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |count: &mut u64| *count += 1)?.to_string())
}

async fn login(session: Session) -> Result<String, SessionError> {
    session.login(42).await?;
    Ok("1".to_owned())
}

async fn logout(session: Session) -> Result<String, SessionError> {
    session.logout().await?;
    Ok("1".to_owned())
}
