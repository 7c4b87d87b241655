//! A small site under poem, and a browser.

use ::poem::{
    Body, Endpoint, EndpointExt, Request, Response, Route, RouteMethod, get, handler,
    http::{HeaderMap, StatusCode, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use session_conformance::FaultyStore;
use session_poem::{CurrentOwner, Exchange, Outcome, Session, SessionError, SessionLayer, SessionManager};

/// A browser: it keeps the cookies it is given.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) cause: Option<session_core::Error>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) exchange: Option<Exchange>,
}

impl Answer {
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

impl Browser {
    pub(crate) async fn get(&mut self, app: &impl Endpoint, path: &str) -> Answer {
        self.send(app, request(path)).await
    }

    pub(crate) async fn send(&mut self, app: &impl Endpoint, mut request: Request) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        // This is what the server of poem does.
        let response = app.get_response(request).await;
        for line in response.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            cause: response.data().cloned(),
            outcome: response.data().copied(),
            exchange: response.data().cloned(),
            text: response.into_body().into_string().await.unwrap(),
        }
    }
}

pub(crate) fn request(path: &str) -> Request {
    Request::builder().uri_str(path).finish()
}

/// A request that comes over a connection to this peer.
pub(crate) fn arriving(peer: RemoteAddr, scheme: Scheme, head: http::request::Builder) -> Request {
    let (head, ()) = head.body(()).unwrap().into_parts();
    Request::from_parts((head, LocalAddr::default(), peer, scheme).into(), Body::empty())
}

#[handler]
async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: &mut u64| *n += 1)?.to_string())
}

#[handler]
async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u64>("count")?.unwrap_or_default().to_string())
}

#[handler]
async fn login(session: Session) -> Result<(), SessionError> {
    Ok(session.login(42).await?)
}

#[handler]
async fn logout(session: Session) -> Result<(), SessionError> {
    Ok(session.logout().await?)
}

#[handler]
async fn owner(CurrentOwner(owner): CurrentOwner) -> String {
    owner.to_string()
}

#[handler]
async fn silent() -> &'static str {
    "nothing asked"
}

/// The pages that every test has.
pub(crate) fn pages() -> Route {
    Route::new()
        .at("/count", RouteMethod::new().get(count).post(count))
        .at("/read", get(read))
        .at("/login", get(login))
        .at("/logout", get(logout))
        .at("/owner", get(owner))
        .at("/silent", get(silent))
}

/// The pages inside of the layer.
pub(crate) fn site(pages: Route) -> (impl Endpoint<Output = Response>, FaultyStore, SessionManager) {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    (pages.with(SessionLayer::new(manager.clone())), store, manager)
}
