//! The route of a request, in events.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, routing::get};
use http::{Request, header};
use session_core::{Observer, SessionEvent, SessionManager};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};
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
