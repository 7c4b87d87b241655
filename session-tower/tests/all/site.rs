//! A small site under axum, and a browser.

use axum::{Router, body::Body, extract::Request, http::header, response::Response, routing::get};
use bytes::Bytes;
use http_body_util::BodyExt;
use session_conformance::FaultyStore;
use session_core::{Error, SessionManager};
use session_tower::{CurrentOwner, Session, SessionError, SessionLayer};
use tower::ServiceExt;

/// A browser: it keeps the cookies it is given.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.head.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    pub(crate) fn cause(&self) -> Option<&Error> {
        self.head.extensions.get()
    }
}

impl Browser {
    pub(crate) async fn get(&mut self, app: &Router, path: &str) -> Answer {
        let (head, body) = self.send(app, path).await.into_parts();
        Answer { head, body: body.collect().await.unwrap().to_bytes() }
    }

    pub(crate) async fn send(&mut self, app: &Router, path: &str) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::get(path).header(header::COOKIE, cookies.join("; ")).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }
}

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: &mut u64| *n += 1)?.to_string())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u64>("count")?.unwrap_or_default().to_string())
}

async fn login(session: Session) -> Result<(), SessionError> {
    Ok(session.login(42).await?)
}

async fn logout(session: Session) -> Result<(), SessionError> {
    Ok(session.logout().await?)
}

pub(crate) async fn owner(CurrentOwner(owner): CurrentOwner) -> String {
    owner.to_string()
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/count", get(count))
        .route("/read", get(read))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .route("/owner", get(owner))
        .route("/silent", get(|| async { "nothing asked" }))
}

pub(crate) fn site(routes: Router) -> (Router, FaultyStore, SessionManager) {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    (routes.layer(SessionLayer::new(manager.clone())), store, manager)
}
