//! The layer under bare hyper, without a framework.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Extensions, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Frame, body::Incoming, server::conn::http1, upgrade::OnUpgrade};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use session_conformance::{
    adapter::{self, Adapter, Served, Site},
    adapter_tests, async_trait,
};
use session_tower::{ResponseBody, Session, SessionError, SessionLayer};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

use crate::{Second, chunks, talk};

type Page = UnsyncBoxBody<Bytes, Infallible>;
type Pages = BoxCloneService<Request<Incoming>, Response<Page>, Infallible>;

struct Hyper;

#[async_trait]
impl Adapter for Hyper {
    async fn serve(&self, site: Site) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = pages(&site);
        tokio::spawn(async move {
            while let Ok((connection, peer)) = listener.accept().await {
                let with_peer = move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer);
                    request
                };
                let service = TowerToHyperService::new(pages.clone().map_request(with_peer));
                let served = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
                tokio::spawn(served.with_upgrades());
            }
        });
        Served::at(address)
    }
}

/// The handler, with the layers around it.
fn pages(site: &Site) -> Pages {
    let handler = site.clone();
    let mut pages = BoxCloneService::new(service_fn(move |request| handle(handler.clone(), request)));
    if let Some(second) = site.second_manager() {
        pages = around(&SessionLayer::new(second).named::<Second>(), pages);
    }
    if let Some(inside) = site.manager_inside() {
        pages = around(&SessionLayer::new(inside), pages);
    }
    let peer = |extensions: &Extensions| extensions.get::<SocketAddr>().copied();
    around(&SessionLayer::new(site.manager()).with_peer(peer), pages)
}

fn around<K: 'static>(layer: &SessionLayer<K>, pages: Pages) -> Pages {
    let boxed = |response: Response<ResponseBody<Page>>| response.map(BodyExt::boxed_unsync);
    BoxCloneService::new(layer.layer(pages).map_response(boxed))
}

async fn handle(site: Site, request: Request<Incoming>) -> Result<Response<Page>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let asked = adapter::Request::new(head.method.as_str(), head.uri.path(), body);
    let (first, second) = (Session::of(&head.extensions), Session::<Second>::named(&head.extensions));
    let answer = match site.answer_with_second::<_, _, SessionError>(asked, first, second).await {
        Ok(answer) => answer,
        Err(error) => return Ok(error.answer()),
    };
    let body = match answer.body {
        adapter::Body::Whole(bytes) => Full::from(bytes).boxed_unsync(),
        adapter::Body::Stream(body) => {
            StreamBody::new(chunks(body).map(|chunk| Ok(Frame::data(chunk.into())))).boxed_unsync()
        }
        adapter::Body::Upgrade(socket) => {
            talk(socket, head.extensions.remove::<OnUpgrade>().unwrap());
            Page::default()
        }
    };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
    Ok(response)
}

adapter_tests!(Hyper);
