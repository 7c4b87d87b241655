//! The access log: who did what when, from what the session layer leaves in the response.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use session_tower::Exchange;

use crate::site::Site;

pub(crate) async fn log(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let client = client(peer.ip(), request.headers(), &site.proxies);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let exchange = response.extensions().get::<Exchange>();
    let session = exchange.and_then(|exchange| exchange.loaded());
    let owner = session.as_ref().and_then(|session| session.owner());
    let id = session.and_then(|session| session.id()).or_else(|| exchange?.request_cookie());
    tracing::info!(
        target: "access",
        client = %client,
        method = %method,
        path,
        status = response.status().as_u16(),
        owner = owner.as_ref().map(tracing::field::display),
        session = id.map(tracing::field::display),
    );
    response
}

/// The address that a trusted proxy names, else that at the other end of the connection.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let lines = headers.get_all("x-forwarded-for").iter().rev().filter_map(|line| line.to_str().ok());
    let mut hops = lines.flat_map(|line| line.rsplit(',')).map_while(|hop| hop.trim().parse().ok());
    let mut client = peer;
    while proxies.contains(&client.to_canonical())
        && let Some(hop) = hops.next()
    {
        client = hop;
    }
    client
}
