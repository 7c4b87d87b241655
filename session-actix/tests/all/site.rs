//! A small site under actix, and a browser.

use actix_web::{
    App, Error, HttpResponse,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    test::TestRequest,
    web::{self, Bytes},
};
use session_actix::{CurrentOwner, Exchange, Outcome, Session, SessionError, SessionLayer, SessionManager};

use session_conformance::FaultyStore;

/// A browser: it keeps the cookies it is given.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) cause: Option<session_core::Error>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) exchange: Option<Exchange>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).map(|value| value.to_str().unwrap()).collect()
    }
}

impl Browser {
    pub(crate) async fn get<B: MessageBody + 'static>(
        &mut self,
        app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        path: &str,
    ) -> Answer {
        self.send(app, TestRequest::get().uri(path)).await
    }

    pub(crate) async fn send<B: MessageBody + 'static>(
        &mut self,
        app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        request: TestRequest,
    ) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.insert_header((header::COOKIE, cookies.join("; "))).to_request();
        let response = match app.call(request).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            // This is what the server of actix does.
            Err(error) => HttpResponse::from_error(error),
        };
        for line in response.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let (cause, outcome, exchange) = {
            let extensions = response.extensions();
            (extensions.get().cloned(), extensions.get().copied(), extensions.get().cloned())
        };
        let Ok(body) = to_bytes(response.into_body()).await else { panic!("the body fails") };
        Answer { status, headers, body, cause, outcome, exchange }
    }
}

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("count", |n: &mut u64| *n += 1)?.to_string())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u64>("count")?.unwrap_or_default().to_string())
}

async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.login(42).await?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionError> {
    session.logout().await?;
    Ok("goodbye")
}

async fn owner(CurrentOwner(owner): CurrentOwner) -> String {
    owner.to_string()
}

/// The pages that every test has.
pub(crate) fn pages(config: &mut web::ServiceConfig) {
    config
        .route("/count", web::route().to(count))
        .route("/read", web::get().to(read))
        .route("/login", web::get().to(login))
        .route("/logout", web::get().to(logout))
        .route("/owner", web::get().to(owner))
        .route("/silent", web::get().to(|| async { "nothing asked" }));
}

type Wrapped = actix_web::body::EitherBody<actix_web::body::BoxBody>;

/// The pages, and those that the test adds, inside of the layer.
#[allow(clippy::type_complexity, reason = "actix has no shorter name for an application")]
pub(crate) fn site(
    add: impl FnOnce(&mut web::ServiceConfig),
) -> (
    App<
        impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<Wrapped>, Error = Error, InitError = ()>,
    >,
    FaultyStore,
    SessionManager,
) {
    let store = FaultyStore::default();
    let manager = SessionManager::development(store.clone());
    (App::new().configure(pages).configure(add).wrap(SessionLayer::new(manager.clone())), store, manager)
}
