//! The layer under axum, with its extractors.

use std::net::SocketAddr;

use axum::{
    RequestPartsExt, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::Extensions,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use hyper::upgrade::OnUpgrade;
use session_conformance::{
    adapter::{self, Adapter, Served, Site},
    adapter_tests, async_trait,
};
use session_tower::{Session, SessionError, SessionLayer};
use tokio::net::TcpListener;

use crate::{Second, chunks, talk};

struct Axum;

#[async_trait]
impl Adapter for Axum {
    async fn serve(&self, site: Site) -> Served {
        let mut app = Router::new().fallback(handle).with_state(site.clone());
        if let Some(second) = site.second_manager() {
            app = app.layer(SessionLayer::new(second).named::<Second>());
        }
        if let Some(inside) = site.manager_inside() {
            app = app.layer(SessionLayer::new(inside));
        }
        let peer = |extensions: &Extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        let app = app.layer(SessionLayer::new(site.manager()).with_peer(peer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async { axum::serve(listener, app).await });
        Served::at(address)
    }
}

async fn handle(State(site): State<Site>, request: Request) -> Result<Response, SessionError> {
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let asked = adapter::Request::new(head.method.as_str(), head.uri.path(), body);
    let mut beside = head.clone();
    let (first, second) = (head.extract::<Session>(), beside.extract::<Session<Second>>());
    let answer = site.answer_with_second(asked, first, second).await?;
    let body = match answer.body {
        adapter::Body::Whole(bytes) => Body::from(bytes),
        adapter::Body::Stream(body) => Body::from_stream(chunks(body).map(Ok::<_, SessionError>)),
        adapter::Body::Upgrade(socket) => {
            talk(socket, head.extensions.remove::<OnUpgrade>().unwrap());
            Body::empty()
        }
    };
    Ok((answer.status, answer.headers, body).into_response())
}

adapter_tests!(Axum);
