//! The access log: who did what when, from what the session layer leaves in the response.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request},
    middleware::Next,
    response::Response,
};
use session_tower::Exchange;

pub(crate) async fn log(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let exchange = response.extensions().get::<Exchange>();
    let client = exchange.and_then(|exchange| exchange.peer()).unwrap_or(peer.ip());
    let session = exchange.and_then(|exchange| exchange.loaded());
    // After a logout: who has logged out.
    let owner = session.as_ref().and_then(|session| session.owner()).or_else(|| exchange?.request_owner());
    let id = session.and_then(|session| session.id()).or_else(|| exchange?.request_cookie());
    tracing::info!(
        target: "access",
        client = %client,
        method = %method,
        path,
        status = response.status().as_u16(),
        owner = owner.as_ref().map(|owner| tracing::field::display(owner.escaped())),
        session = id.map(tracing::field::display),
    );
    response
}
