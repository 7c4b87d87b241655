//! An axum server behind a proxy.

use axum::{Router, routing::get};
use session_conformance::FaultyStore;
use session_core::{Peer, SessionManager, TrustedProxies};
use session_tower::{Exchange, SessionLayer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

async fn client(exchange: axum::Extension<Exchange>) -> String {
    format!("{:?} {:?}", exchange.peer(), exchange.is_https())
}

/// What a server on a Unix socket believes about the client of a request through its proxy.
async fn believed(layer: SessionLayer) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let served = tokio::spawn(axum::serve(listener, Router::new().route("/", get(client)).layer(layer)).into_future());
    let mut proxy = UnixStream::connect(&path).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\
                   X-Forwarded-For: 1.2.3.4, 203.0.113.5:4711\r\nX-Forwarded-Proto: https\r\n\r\n";
    proxy.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    proxy.read_to_string(&mut answer).await.unwrap();
    served.abort();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_proxy_is_believed_through_a_unix_socket() {
    let manager = |proxies| SessionManager::development(FaultyStore::default()).with_trusted_proxies(proxies);
    let unix = || TrustedProxies::at(["unix:"]).unwrap();
    let told = believed(SessionLayer::new(manager(unix())).with_peer(|_| Some(Peer::Unix))).await;
    assert_eq!(told, "Some(203.0.113.5) Some(true)");
    let counted = believed(SessionLayer::new(manager(TrustedProxies::hops(1)))).await;
    assert_eq!(counted, "Some(203.0.113.5) Some(true)", "without a peer, too");
    assert_eq!(believed(SessionLayer::new(manager(unix()))).await, "None None", "the layer was not told the peer");
}
