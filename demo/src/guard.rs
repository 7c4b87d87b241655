//! What a request has to pass before it reaches a handler.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The largest body that is read.
const LIMIT: usize = 2 << 20;

/// Reads the body before anything is decided: who is refused while still sending sees a broken connection in place of
/// the refusal.
pub(crate) async fn hear_out(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match to_bytes(body, LIMIT).await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// Refuses what a page of another site sends: the cookie's `SameSite=Lax` keeps most of it away, this the rest.
pub(crate) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_from_elsewhere(request.headers()) {
        return (StatusCode::FORBIDDEN, "this request comes from another site\n").into_response();
    }
    next.run(request).await
}

/// Browsers send both headers with every such request; what sends neither is no browser and carries nobody's cookie.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let is_other_site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    let is_other_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match (origin.as_ref().and_then(Uri::authority), host) {
            (Some(origin), Some(host)) => !origin.as_str().eq_ignore_ascii_case(host),
            _ => true,
        }
    });
    is_other_site || is_other_origin
}
