//! The route of a request, in events.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, routing::get};
use http::{Request, header};
use session_core::{CookieConfig, CookieScope, Observer, SessionEvent, SessionManager};
use session_memory::MemoryStore;
use session_tower::{AccessLogLayer, Session, SessionError, SessionLayer};
use tower::{Layer, ServiceExt};

#[derive(Clone, Debug, Default)]
struct Routes(Arc<Mutex<Vec<Told>>>);

/// The name of an event, its route and its path.
type Told = (&'static str, Option<String>, Option<String>);

impl Observer for Routes {
    fn on(&self, event: &SessionEvent) {
        self.0.lock().unwrap().push((event.kind.name(), event.route.clone(), event.path.clone()));
    }
}

impl Routes {
    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn page(session: Session) -> Result<(), SessionError> {
    Ok(session.insert("n", &1)?)
}

fn site() -> (Routes, SessionLayer, Router) {
    let routes = Routes::default();
    let manager = SessionManager::development(MemoryStore::new()).with_observer(routes.clone());
    let router =
        Router::new().route("/reset/{token}", get(page)).nest("/shop", Router::new().route("/{id}", get(page)));
    (routes, SessionLayer::new(manager), router)
}

/// A request with a cookie that is no token.
fn request(path: &str) -> Request<Body> {
    let cookie = format!("{}=x", SessionManager::development(MemoryStore::new()).cookie().name());
    Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn events_have_the_route_that_axum_has_matched_and_no_path() {
    let (routes, layer, router) = site();
    let router = router.layer(layer);
    for (path, route) in [("/reset/d41d8cd98f", "/reset/{token}"), ("/shop/7?q=1", "/shop/{id}")] {
        router.clone().oneshot(request(path)).await.unwrap();
        let route = Some(route.to_owned());
        assert_eq!(routes.take(), [("session.bad_cookie", route.clone(), None), ("session.created", route, None)]);
    }
}

#[tokio::test]
async fn around_a_router_the_route_is_known_when_a_handler_takes_its_session() {
    let (routes, layer, router) = site();
    layer.layer(router).oneshot(request("/reset/d41d8cd98f")).await.unwrap();
    let route = Some("/reset/{token}".to_owned());
    assert_eq!(routes.take(), [("session.bad_cookie", None, None), ("session.created", route, None)]);
}

/// A layer inside of a nested router, where axum has cut the prefix off the address.
fn nested(manager: SessionManager) -> Router {
    Router::new().nest("/shop", Router::new().route("/{*rest}", get(page)).layer(SessionLayer::new(manager)))
}

#[tokio::test]
async fn within_a_nested_router_events_have_the_whole_path() {
    let routes = Routes::default();
    let manager = SessionManager::development(MemoryStore::new()).with_observer(routes.clone()).with_paths_in_events();
    nested(manager).oneshot(request("/shop/cart/7?q=1")).await.unwrap();
    let paths: Vec<_> = routes.take().into_iter().map(|(_, _, path)| path).collect();
    assert_eq!(paths, [Some("/shop/cart/7".to_owned()), Some("/shop/cart/7".to_owned())]);
}

#[tokio::test]
async fn within_a_nested_router_the_access_log_has_the_whole_path() {
    let logged = Arc::new(Mutex::new(Vec::new()));
    let lines = logged.clone();
    let log = AccessLogLayer::new().with_paths().with_writer(move |line| lines.lock().unwrap().push(line.path.clone()));
    let shop = Router::new().route("/{*rest}", get(async || "")).layer(log);
    Router::new().nest("/shop", shop).oneshot(request("/shop/cart/7?q=1")).await.unwrap();
    assert_eq!(*logged.lock().unwrap(), [Some("/shop/cart/7".to_owned())]);
}

#[tokio::test]
async fn within_a_nested_router_the_whole_path_says_which_former_cookies_a_request_could_show() {
    let former = ["/account", "/shop/cart"].map(|path| CookieScope::host().path(path));
    let cookie =
        former.into_iter().fold(CookieConfig::builder("s").secure(false), |cookie, scope| cookie.former_scope(scope));
    let manager = SessionManager::development(MemoryStore::new()).with_cookie(cookie.build().unwrap());
    for (path, removed) in [("/shop/account/7", ""), ("/shop/cart/7", "s=; Path=/shop/cart;")] {
        let request = Request::get(path).header(header::COOKIE, "s=x").body(Body::empty()).unwrap();
        let response = nested(manager.clone()).oneshot(request).await.unwrap();
        let set: Vec<_> =
            response.headers().get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap()).collect();
        let (token, removals) = set.split_last().unwrap();
        assert!(token.contains("Path=/;"), "{token}");
        assert!(
            removals.concat().starts_with(removed) && removals.len() == usize::from(!removed.is_empty()),
            "{path}: {removals:?}"
        );
    }
}
