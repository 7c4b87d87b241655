//! An adapter of your own, for bare hyper, and the kit that proves it: `cargo test -p guide adapter`.

use std::{convert::Infallible, net::SocketAddr, panic::Location};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Frame, body::Incoming as Received, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use session_conformance::{
    adapter::{Adapter, Body, Capability, Served, Site},
    adapter_tests, async_trait,
};
use session_core::{
    Exchange, Incoming, Session, SessionManager,
    adapter::{self, Failure, LayerName, Opened, SaidToCaches},
};
use tokio::net::TcpListener;

type Page = UnsyncBoxBody<Bytes, Infallible>;

// ANCHOR: layer
/// Puts a session around each request.
#[derive(Clone)]
struct Sessions {
    manager: SessionManager,
    made_at: LayerName,
}

impl Sessions {
    #[track_caller]
    fn new(manager: SessionManager) -> Self {
        Self { manager, made_at: LayerName::new::<()>(Location::caller()) }
    }

    async fn around(
        &self,
        mut request: Request<Received>,
        peer: SocketAddr,
        handler: impl AsyncFnOnce(Request<Received>) -> Response<Page>,
    ) -> Response<Page> {
        let mut opened = request.extensions_mut().remove::<Opened>().unwrap_or_default();
        let entered = match opened.enter(self.made_at, &self.manager, || self.incoming(&request, peer)) {
            Ok(entered) => entered,
            Err(failure) => return failure.answer([]).map(|()| Page::default()),
        };
        request.extensions_mut().insert(opened);
        request.extensions_mut().insert(entered.exchange().clone());
        let mut response = handler(request).await;
        // A layer inside another one of the same cookie leaves the rest to that one.
        let Some(exchange) = entered.to_commit() else { return response };
        match adapter::commit(&exchange).await {
            Ok(None) => {}
            Ok(Some(lost)) => drop(response.extensions_mut().insert(lost)),
            Err(failure) => response = failure.answer(pairs(&response)).map(|()| Page::default()),
        }
        finish(&exchange, &mut response);
        response
    }
    // ANCHOR_END: layer

    // ANCHOR: incoming
    /// What core has to know of the request.
    fn incoming(&self, request: &Request<Received>, peer: SocketAddr) -> Incoming {
        let incoming = Incoming::from(request).with_peer(peer);
        let Some(header) = self.manager.token_header() else { return incoming };
        let values = request.headers().get_all(header.request_name());
        incoming.with_token_header(header, values.iter().map(HeaderValue::as_bytes))
    }
    // ANCHOR_END: incoming
}

// ANCHOR: finish
/// Gives the response its cookie, and says what caches may do with it.
fn finish(exchange: &Exchange, response: &mut Response<Page>) {
    let inside = response.extensions_mut().remove::<SaidToCaches>();
    if let Some(said) = adapter::apply(exchange, response.headers_mut(), inside) {
        response.extensions_mut().insert(said);
    }
}

fn pairs(response: &Response<Page>) -> impl Iterator<Item = (&str, &[u8])> {
    response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}
// ANCHOR_END: finish

// ANCHOR: extractor
/// What a handler calls.
async fn session(request: &http::request::Parts) -> Result<Session, Failure> {
    let exchange = request.extensions.get::<Exchange>();
    let exchange = exchange.ok_or_else(|| Failure::no_layer::<()>("call the handler inside of Sessions::around"))?;
    Ok(exchange.session().await?)
}
// ANCHOR_END: extractor

// ANCHOR: kit
struct Mine;

#[async_trait]
impl Adapter for Mine {
    async fn serve(&self, site: Site) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((connection, peer)) = listener.accept().await {
                let site = site.clone();
                let service = service_fn(move |request| {
                    let site = site.clone();
                    async move { Ok::<_, Infallible>(answer(&site, request, peer).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
            }
        });
        Served::at(address)
    }

    fn lacks(&self, capability: Capability) -> Option<&'static str> {
        match capability {
            Capability::SecondSession => Some("an example with one session"),
            Capability::Upgrade => Some("an example without websockets"),
            _ => None,
        }
    }
}

/// The layers around the handler of the kit: one, or one inside another.
async fn answer(site: &Site, request: Request<Received>, peer: SocketAddr) -> Response<Page> {
    let outside = Sessions::new(site.manager());
    let inside = site.manager_inside().map(Sessions::new);
    let handler = async |request| match &inside {
        Some(inside) => inside.around(request, peer, async |request| handle(site, request).await).await,
        None => handle(site, request).await,
    };
    outside.around(request, peer, handler).await
}

async fn handle(site: &Site, request: Request<Received>) -> Response<Page> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let asked = session_conformance::adapter::Request::new(head.method.as_str(), head.uri.path(), body);
    let session = async { session(&head).await.map(Box::new) };
    let answer = match site.answer::<_, Failure>(asked, session).await {
        Ok(answer) => answer,
        Err(failure) => return failure.answer([]).map(|()| Page::default()),
    };
    let body = match answer.body {
        Body::Whole(bytes) => Full::from(bytes).boxed_unsync(),
        Body::Stream(body) => {
            let chunks = stream::unfold(body, |mut body| async { body.next().await.map(|chunk| (chunk, body)) });
            StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk.into())))).boxed_unsync()
        }
        Body::Upgrade(_) => unreachable!("the adapter lacks it"),
    };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
    response
}

adapter_tests!(Mine);
// ANCHOR_END: kit
