//! The checks that a request has to pass before it reaches a handler.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri, header,
        request::Parts,
        uri::{Authority, PathAndQuery},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

/// The largest body that is read.
const LIMIT: usize = 2 << 20;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the body before anything is decided. A client that is refused while it still sends would see a broken
/// connection in place of the refusal.
pub(crate) async fn hear_out(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match timeout(PATIENCE, to_bytes(body, LIMIT)).await {
        Ok(Ok(body)) => {
            let typed = Typed::of(&head, &body);
            let mut response = next.run(Request::from_parts(head, Body::from(body))).await;
            response.extensions_mut().insert(typed);
            response
        }
        Ok(Err(_)) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// The form that a request has sent, for the page that says why it failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Typed {
    fn of(head: &Parts, body: &[u8]) -> Self {
        let kind = head.headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        if !kind.starts_with(b"application/x-www-form-urlencoded") {
            return Self::default();
        }
        let action = head.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        Self { action, fields: form_urlencoded::parse(body).into_owned().collect() }
    }
}

/// Refuses requests that a page of another site sends. `SameSite=Lax` keeps the cookie from most of them; this refuses
/// the rest.
pub(crate) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_from_elsewhere(request.headers()) {
        return (StatusCode::FORBIDDEN, "this request comes from another site\n").into_response();
    }
    next.run(request).await
}

/// Browsers send at least one of two headers with every such request. A client that sends neither is no browser, and
/// carries nobody's cookie. `Sec-Fetch-Site` (W3C Fetch Metadata) is the browser's own judgement. `Origin` (RFC 6454)
/// has to be compared with `Host`, which a proxy may have changed. So `Origin` counts only if the other is missing.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| site != "same-origin" && site != "none");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        match (origin, &host) {
            (Some(origin), Some(host)) => !is_at(&origin, host),
            _ => true,
        }
    })
}

/// Whether the origin is of this host. Browsers leave out the port that the scheme has by default, proxies add it.
fn is_at(origin: &Uri, host: &Authority) -> bool {
    let default = match origin.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let is_same_port = origin.port_u16().unwrap_or(default) == host.port_u16().unwrap_or(default);
    is_same_port && origin.host().is_some_and(|of_origin| of_origin.eq_ignore_ascii_case(host.host()))
}
