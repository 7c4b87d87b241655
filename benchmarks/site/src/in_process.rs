//! Calls a site without a network, on one thread: what a session costs, and nothing else. The sites of tower-sessions use
//! this file, too.

use std::{fs, time::Duration};

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use tokio::runtime::Builder;
use tower::ServiceExt;

/// What is measured: a name, the method and path of the request, and how the session was filled.
const OPERATIONS: [(&str, Method, &str, &str); 5] = [
    ("read", Method::GET, "/read", "/fill/200/1"),
    ("write", Method::POST, "/inc", "/fill/200/1"),
    ("login", Method::POST, "/login/", "/fill/200/1"),
    ("read-100", Method::GET, "/read", "/fill/20/100"),
    ("read-1000", Method::GET, "/read", "/fill/20/1000"),
];

/// How long each is called, in CPU time.
const WINDOW: Duration = Duration::from_millis(200);

/// Prints a line for each operation: the CPU time of a request, in nanoseconds.
pub(crate) fn run(site: impl Future<Output = Router>) {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        // As `axum::serve` does. Otherwise each request would put the layers around its handler.
        let site = site.await.with_state(());
        for (name, method, path, fill) in OPERATIONS {
            let (_, cookie) = call(&site, Method::POST, fill, None).await;
            let mut user = 0;
            // The first window only warms up.
            for is_measured in [false, true] {
                let (start, mut calls) = (cpu(), 0);
                while cpu() - start < WINDOW {
                    for _ in 0..50 {
                        user += 1;
                        let status = if name == "login" {
                            call(&site, method.clone(), &format!("{path}{user}"), None).await.0
                        } else {
                            call(&site, method.clone(), path, cookie.as_deref()).await.0
                        };
                        assert_eq!(status, StatusCode::OK, "{name}");
                        calls += 1;
                    }
                }
                if is_measured {
                    println!("{name} {}", (cpu() - start).as_nanos() / calls);
                }
            }
        }
    });
}

/// The answer's status and its cookie.
async fn call(site: &Router, method: Method, path: &str, cookie: Option<&str>) -> (StatusCode, Option<String>) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let response = site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let cookie = response.headers().get(header::SET_COOKIE).map(|cookie| cookie.to_str().unwrap());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, cookie)
}

/// The CPU time of this thread.
pub(crate) fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
