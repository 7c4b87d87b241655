//! The body of a request, which is read before anything is decided.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header, request::Parts, uri::PathAndQuery},
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
