//! The layer on the kit for adapters, under poem's own server.

use std::io;

use ::poem::{
    Body, Endpoint, EndpointExt, FromRequest, OnUpgrade, Request, Response, Server,
    endpoint::BoxEndpoint,
    listener::{Acceptor, Listener, TcpListener},
};
use futures_util::stream;
use session_conformance::{
    adapter::{self, Adapter, Capability, Served, Site},
    adapter_tests, async_trait,
};
use session_poem::{Session, SessionError, SessionLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The marker of the session beside the site's own.
struct Second;

struct Poem;

struct Handler(Site);

#[async_trait]
impl Adapter for Poem {
    async fn serve(&self, site: Site) -> Served {
        let mut app: BoxEndpoint<'static, Response> = Handler(site.clone()).boxed();
        if let Some(second) = site.second_manager() {
            app = app.with(SessionLayer::new(second).named::<Second>()).boxed();
        }
        if let Some(inside) = site.manager_inside() {
            app = app.with(SessionLayer::new(inside)).boxed();
        }
        let app = app.with(SessionLayer::new(site.manager()));
        let listener = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *listener.local_addr()[0].as_socket_addr().unwrap();
        tokio::spawn(Server::new_with_acceptor(listener).run(app));
        Served::at(address)
    }

    fn lacks(&self, capability: Capability) -> Option<&'static str> {
        // The server asks its connection again after that has failed, and so the handler goes on.
        let lacks = capability == Capability::DroppedRequests;
        lacks.then_some("poem's server lets the handler of a client that has hung up go on to its end")
    }
}

impl Endpoint for Handler {
    type Output = Response;

    async fn call(&self, mut request: Request) -> ::poem::Result<Response> {
        let body = request.take_body().into_vec().await.unwrap();
        let asked = adapter::Request::new(request.method().as_str(), request.uri().path(), body);
        let first = async { <Session>::from_request_without_body(&request).await.map_err(as_session_error) };
        let second = async { Session::<Second>::from_request_without_body(&request).await.map_err(as_session_error) };
        let answer = self.0.answer_with_second(asked, first, second).await?;
        let body = match answer.body {
            adapter::Body::Whole(bytes) => Body::from(bytes),
            adapter::Body::Stream(body) => Body::from_bytes_stream(stream::unfold(body, |mut body| async {
                body.next().await.map(|chunk| (Ok::<_, io::Error>(chunk), body))
            })),
            adapter::Body::Upgrade(socket) => {
                talk(socket, request.take_upgrade().unwrap());
                Body::empty()
            }
        };
        let mut response = Response::builder().status(answer.status).body(body);
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

fn as_session_error(error: ::poem::Error) -> SessionError {
    error.downcast().unwrap()
}

/// Passes messages of the connection to the socket, and its answers back.
fn talk(mut socket: adapter::Socket, upgrade: OnUpgrade) {
    tokio::spawn(async move {
        // None comes where the save has failed.
        let Ok(mut connection) = upgrade.await else { return };
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = connection.read(&mut bytes).await {
            connection.write_all(&socket.hear(&bytes[..count]).await).await.unwrap();
            connection.flush().await.unwrap();
        }
    });
}

adapter_tests!(Poem);
