//! The layer on the kit for adapters, under actix' own server.

use std::{net::TcpListener, thread};

use actix_web::{
    App, FromRequest, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    middleware::Condition,
    rt::System,
    web::{self, Bytes},
};
use futures_util::{StreamExt, stream};
use session_actix::{Session, SessionError, SessionLayer};
use session_conformance::{
    adapter::{self, Adapter, Capability, Served, Site},
    adapter_tests, async_trait,
};
use tokio::sync::oneshot;

/// The marker of the session beside the site's own.
struct Second;

struct Actix {
    /// Whether a handler goes on if its client has hung up, as by default.
    goes_on: bool,
}

/// actix' server has threads of its own.
struct Ended(ServerHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        // The server is told at once. Nobody waits until it has stopped.
        drop(self.0.stop(false));
    }
}

#[async_trait]
impl Adapter for Actix {
    async fn serve(&self, site: Site) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (started, handle) = oneshot::channel();
        let goes_on = self.goes_on;
        thread::spawn(move || {
            System::new().block_on(async move {
                let app = move || {
                    // Where there is none, what stands in its place is switched off.
                    let (second, inside) = (site.second_manager(), site.manager_inside());
                    let (has_second, has_inside) = (second.is_some(), inside.is_some());
                    let second = SessionLayer::new(second.unwrap_or(site.manager())).named::<Second>();
                    let inside = SessionLayer::new(inside.unwrap_or(site.manager()));
                    App::new()
                        .app_data(web::Data::new(site.clone()))
                        .default_service(web::to(handle_request))
                        .wrap(Condition::new(has_second, second))
                        .wrap(Condition::new(has_inside, inside))
                        .wrap(SessionLayer::new(site.manager()))
                };
                let server = HttpServer::new(app).workers(1).disable_signals().h1_allow_half_closed(goes_on);
                let server = server.listen(listener).unwrap().run();
                started.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Served::at(address).until_dropped(Ended(handle.await.unwrap()))
    }

    fn lacks(&self, capability: Capability) -> Option<&'static str> {
        let lacks = self.goes_on && capability == Capability::DroppedRequests;
        lacks.then_some("a client may close its half of the connection, and wait for the answer")
    }
}

async fn handle_request(
    request: HttpRequest,
    payload: web::Payload,
    site: web::Data<Site>,
) -> Result<HttpResponse, SessionError> {
    // The bytes after the head of such a request are not a body.
    let (body, connection) = match request.headers().contains_key("upgrade") {
        true => (Bytes::new(), Some(payload)),
        false => (payload.to_bytes().await.unwrap(), None),
    };
    let asked = adapter::Request::new(request.method().as_str(), request.path(), body);
    let (first, second) = (<Session>::extract(&request), Session::<Second>::extract(&request));
    let answer = site.answer_with_second(asked, first, second).await?;
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status.as_u16()).unwrap());
    for (name, value) in &answer.headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(match answer.body {
        adapter::Body::Whole(bytes) => response.body(bytes),
        adapter::Body::Stream(body) => response.streaming(stream::unfold(body, |mut body| async {
            body.next().await.map(|chunk| (Ok::<_, SessionError>(Bytes::from(chunk)), body))
        })),
        adapter::Body::Upgrade(socket) => {
            let talk = stream::unfold((connection.unwrap(), socket), |(mut connection, mut socket)| async {
                let message = connection.next().await?.ok()?;
                let answer = Bytes::from(socket.hear(&message).await);
                Some((Ok::<_, SessionError>(answer), (connection, socket)))
            });
            response.upgrade("websocket").streaming(talk)
        }
    })
}

adapter_tests!(Actix { goes_on: false });

#[test]
fn a_request_of_a_client_that_has_hung_up_is_saved_whole_where_it_goes_on() {
    for case in [
        "a_request_that_is_dropped_saves_all_or_nothing",
        "a_request_that_is_dropped_while_it_saves_saves_all_or_nothing",
    ] {
        adapter::check(case, Actix { goes_on: true });
    }
}
