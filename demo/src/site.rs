//! The site: its routes, and the layers around all of them.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, FromRef},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use session_core::{SessionManager, Store};
use session_tower::{AccessLogLayer, Exchange, SessionLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    csrf::{CsrfLayer, ProtectionError},
    set_header::SetResponseHeaderLayer,
};

use crate::{account, api, counting::Counting, devices, home, lab, page, promises, sent, sorry, users::Users};

/// The state that the handlers share.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) users: Users,
    /// For the plays, whose calls do not count.
    pub(crate) store: Arc<dyn Store>,
    /// Only in the lab.
    pub(crate) counting: Option<Counting>,
}

impl FromRef<Site> for Users {
    fn from_ref(site: &Site) -> Self {
        site.users.clone()
    }
}

impl FromRef<Site> for Arc<dyn Store> {
    fn from_ref(site: &Site) -> Self {
        site.store.clone()
    }
}

impl FromRef<Site> for Option<Counting> {
    fn from_ref(site: &Site) -> Self {
        site.counting.clone()
    }
}

pub(crate) fn router(site: &Site, manager: SessionManager) -> Router {
    let mut routes = Router::new()
        .route("/", get(home::page))
        .route("/counter", post(home::count))
        .route("/cart", post(home::put_into_cart))
        .route("/note", post(home::save_note))
        .route("/login", get(account::login_page).post(account::login))
        .route("/register", get(account::register_page).post(account::register))
        .route("/logout", post(account::logout))
        .route("/devices", get(devices::page))
        .route("/devices/end", get(devices::ask_to_end).post(devices::end))
        .route("/devices/end-others", get(devices::ask_to_end_others).post(devices::end_others))
        .route("/promises", get(promises::page))
        .route("/promises/{name}", post(promises::play))
        .route("/api/ping", get(api::ping))
        .route("/api/me", get(api::me))
        .route("/api/status", get(api::status))
        .route("/api/data", get(api::data))
        .route("/api/data/{key}", put(api::insert).delete(api::remove))
        .route("/api/counter", post(api::count))
        .route("/api/take/{key}", post(api::take))
        .route("/api/sessions", get(api::sessions).delete(api::end_others))
        .route("/api/sessions/{id}", delete(api::end))
        .route("/assets/{name}", get(page::asset));
    let mut open_routes = Router::new();
    if let Some(counting) = &site.counting {
        routes = routes.route("/lab/ops", get(lab::ops).with_state(counting.clone()));
        open_routes = open_routes.route("/lab/return", get(lab::come_back).post(lab::be_sent_back));
    }
    let sessions = SessionLayer::new(manager)
        .with_peer(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0));
    let mut app = routes
        .with_state(site.clone())
        .layer(CatchPanicLayer::new()) // inside the sessions: its 500 is committed as any other answer
        .layer(CsrfLayer::new().with_rejection_response(refuse_other_sites))
        .merge(open_routes) // outside that layer: other sites may post here
        .layer(from_fn(sent::hear_out)) // inside the sessions, so that the access log knows who was refused
        .layer(sessions)
        .layer(from_fn(sorry::apologise));
    for (name, value) in SECURITY_HEADERS {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        app = app.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    app.layer(SetResponseHeaderLayer::if_not_present(header::STRICT_TRANSPORT_SECURITY, demand_https))
        .layer(AccessLogLayer::new().with_paths()) // no path of this site holds a secret
}

/// `SameSite=Lax` keeps the cookie out of most requests that a page of another site sends. The layer refuses the rest.
fn refuse_other_sites(_: ProtectionError) -> Response {
    (StatusCode::FORBIDDEN, "this request comes from another site\n").into_response()
}

/// Only over https: RFC 6797, section 7.2.
fn demand_https(response: &Response) -> Option<HeaderValue> {
    let is_https = response.extensions().get::<Exchange>().and_then(|exchange| exchange.is_https());
    (is_https == Some(true)).then(|| HeaderValue::from_static("max-age=31536000"))
}

const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // Not `no-referrer`: with that, browsers send `Origin: null` with the site's own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];
