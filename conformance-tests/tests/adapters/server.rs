//! A small correct adapter over bare hyper, which can be broken in one sentence at a time. This is how it handles a
//! request.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, Location},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, body::Frame, body::Incoming as Received, server::conn::http1, service::service_fn, upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use session_conformance::{
    adapter::{self, Adapter, Served, Site},
    async_trait,
};
use session_core::{
    Error, Exchange, Incoming, Session, SessionManager,
    adapter::{Entered, Failure, LayerName, Opened},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Handle,
    task::block_in_place,
};

use super::fault::Fault::{self, *};

pub(crate) type Page = UnsyncBoxBody<Bytes, Infallible>;

/// The marker of the session beside the site's own.
struct Second;

thread_local! {
    /// The exchange that has entered last on this thread.
    static LAST: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

/// An adapter that is broken in this way.
#[derive(Clone, Copy)]
pub(crate) struct Broken(pub(crate) Fault);

#[async_trait]
impl Adapter for Broken {
    async fn serve(&self, site: Site) -> Served {
        let (listener, broken) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), *self);
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((connection, peer)) = listener.accept().await {
                let (site, first) = (site.clone(), Arc::new(OnceLock::new()));
                let service = service_fn(move |request| {
                    let (site, first) = (site.clone(), first.clone());
                    async move { Ok::<_, Infallible>(broken.call(&site, request, peer, &first).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service).with_upgrades());
            }
        });
        Served::at(address)
    }
}

impl Broken {
    pub(crate) fn is(self, fault: Fault) -> bool {
        self.0 == fault
    }

    /// Answers a request; `first` is the exchange of the first one on its connection.
    async fn call(
        self,
        site: &Site,
        request: Request<Received>,
        peer: SocketAddr,
        first: &OnceLock<Exchange>,
    ) -> Response<Page> {
        let (head, body) = request.into_parts();
        let (exchange, second) = self.enter_both(site, &head, peer, first);
        let second = match second {
            Ok(second) => second,
            Err(failure) => return self.refused(&failure, site, &head, &exchange).await,
        };
        let inside = site.manager_inside().and_then(|manager| self.join(&exchange, &manager, &head));
        if self.is(RefusesForgedTokens)
            && head.headers.contains_key(header::COOKIE)
            && exchange.presented_id().is_none()
        {
            return status(StatusCode::BAD_REQUEST);
        }
        if self.is(LoadsAlways) {
            drop(exchange.session().await);
        }
        LAST.set(Some(exchange.clone()));
        let body = body.collect().await.unwrap().to_bytes();
        let exchange =
            if self.is(KeepsTheExchangeOfTheThread) { LAST.with_borrow(Clone::clone).unwrap() } else { exchange };
        let handler = self.handle(
            site,
            &head,
            body,
            [inside.as_ref().unwrap_or(&exchange), second.as_ref().unwrap_or(&exchange)],
        );
        let handler = AssertUnwindSafe(handler).catch_unwind();
        let dropped = self.is(CommitsWhatIsDropped).then(|| exchange.clone());
        let handled = Guarded { dropped: OnDrop(dropped), handler: Box::pin(handler) }.await;
        let exchanges = [inside, second, Some(exchange)].into_iter().flatten().collect();
        match handled {
            Ok(response) => self.finish_all(&site.manager(), exchanges, &head, response).await,
            Err(_) => self.finish_panic(&site.manager(), exchanges, &head).await,
        }
    }

    /// Enters the layers of the two sessions: the exchange of the first, and that of the second, if there is one.
    fn enter_both(
        self,
        site: &Site,
        head: &Parts,
        peer: SocketAddr,
        first: &OnceLock<Exchange>,
    ) -> (Exchange, Result<Option<Exchange>, Failure>) {
        let (mut opened, manager) = (Opened::default(), site.manager());
        let entered = self.enter::<()>(&mut opened, &manager, || self.incoming(&manager, head, peer)).unwrap();
        let exchange = match self.is(KeepsTheExchangeOfTheConnection) {
            true => first.get_or_init(|| entered.exchange().clone()).clone(),
            false => entered.exchange().clone(),
        };
        let second = site.second_manager();
        let second = second.map(|manager| self.enter::<Second>(&mut opened, &manager, || Incoming::from(head)));
        (exchange, second.transpose().map(|second| second.and_then(Entered::to_commit)))
    }

    fn enter<K: 'static>(
        self,
        opened: &mut Opened,
        manager: &SessionManager,
        incoming: impl FnOnce() -> Incoming,
    ) -> Result<Entered, Failure> {
        let here = Location::caller();
        let layer = if self.is(ForgetsTheMarkers) { LayerName::new::<()>(here) } else { LayerName::new::<K>(here) };
        opened.enter(layer, manager, incoming)
    }

    /// The answer to a request that a layer has not let in.
    async fn refused(self, failure: &Failure, site: &Site, head: &Parts, outside: &Exchange) -> Response<Page> {
        match self.0 {
            HandlesWhatALayerRefuses => drop(self.handle(site, head, Bytes::new(), [outside, outside]).await),
            AnswersARefusalOfALayerWith200 => return status(StatusCode::OK),
            _ => {}
        }
        failure.answer([]).map(|()| Page::default())
    }

    fn incoming(self, manager: &SessionManager, head: &Parts, peer: SocketAddr) -> Incoming {
        let mut head = head.clone();
        self.forget(&mut head.headers, manager.cookie().name());
        let mut incoming =
            if self.is(ForgetsTheMethod) { Incoming::from(&head.headers) } else { Incoming::from(&head) };
        incoming = match self.0 {
            TellsTheRootForThePath => incoming.with_resource(head.method.as_str(), "/"),
            TellsThePathWithItsQuery => incoming.with_resource(head.method.as_str(), &head.uri.to_string()),
            TellsGetForTheMethod => incoming.with_resource("GET", head.uri.path()),
            _ => incoming,
        };
        if let Some(token_header) = manager.token_header() {
            let mut values: Vec<_> =
                head.headers.get_all(token_header.request_name()).iter().map(HeaderValue::as_bytes).collect();
            match self.0 {
                ForgetsTheTokenHeader => values.clear(),
                PrefersTheCookie if head.headers.contains_key(header::COOKIE) => values.clear(),
                ReadsTheFirstTokenLine => values.truncate(1),
                ReadsTheLastTokenLine => drop(values.drain(..values.len().saturating_sub(1))),
                DropsTokenLinesThatAreNoText => values.retain(|value| value.is_ascii()),
                _ => {}
            }
            incoming = incoming.with_token_header(token_header, values);
        }
        if !self.is(ForgetsThePeer) {
            incoming = incoming.with_peer(peer);
        }
        self.believe(incoming, &head.headers)
    }

    /// Tells what anybody may have written in the header that the fault believes.
    fn believe(self, incoming: Incoming, headers: &HeaderMap) -> Incoming {
        let name = match self.0 {
            BelievesAnyXRealIp => "x-real-ip",
            BelievesAnyXForwardedFor => "x-forwarded-for",
            BelievesAnyXForwardedProto => "x-forwarded-proto",
            BelievesAnyXForwardedHost => "x-forwarded-host",
            BelievesAnyForwarded => "forwarded",
            _ => return incoming,
        };
        let Some(said) = headers.get(name).map(|value| value.to_str().unwrap()) else { return incoming };
        match self.0 {
            BelievesAnyXRealIp | BelievesAnyXForwardedFor => incoming.with_peer(said.parse::<IpAddr>().unwrap()),
            BelievesAnyXForwardedHost => incoming.with_host(said),
            _ => incoming.with_https(said.ends_with("https") || said.contains("proto=https")),
        }
    }

    /// Leaves out the headers that the fault does not read.
    fn forget(self, headers: &mut HeaderMap, name: &str) {
        match self.0 {
            ForgetsTheOrigin => drop(headers.remove(header::ORIGIN)),
            ForgetsTheFetchMetadata => drop(headers.remove("sec-fetch-site")),
            ForgetsTheFetchMode => drop(headers.remove("sec-fetch-mode")),
            ForgetsXForwardedFor => drop(headers.remove("x-forwarded-for")),
            ForgetsXForwardedProto => drop(headers.remove("x-forwarded-proto")),
            ForgetsForwarded => drop(headers.remove("forwarded")),
            TellsTheFirstLineOfAHeader => keep_one_line(headers, |lines| lines.first().cloned()),
            TellsTheLastLineOfAHeader => keep_one_line(headers, |lines| lines.last().cloned()),
            _ => {}
        }
        let lines = headers.get_all(header::COOKIE).iter();
        let mut lines: Vec<_> = lines.filter_map(|line| line.to_str().ok().map(str::to_owned)).collect();
        match self.0 {
            DropsCookieLinesThatAreNoText => {}
            ReadsTheFirstCookieLine => lines.truncate(1),
            ReadsTheLastCookieLine => drop(lines.drain(..lines.len().saturating_sub(1))),
            ReadsTheFirstCookieOfAName | ReadsTheLastCookieOfAName => {
                let cookies = lines.join("; ");
                let mut of_name = cookies.split("; ").filter(|cookie| cookie.split('=').next() == Some(name));
                let one = if self.is(ReadsTheFirstCookieOfAName) { of_name.next() } else { of_name.last() };
                lines = one.map(str::to_owned).into_iter().collect();
            }
            _ => return,
        }
        headers.remove(header::COOKIE);
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::try_from(line).unwrap());
        }
    }

    /// The exchange that a middleware inside commits.
    fn join(self, exchange: &Exchange, manager: &SessionManager, head: &Parts) -> Option<Exchange> {
        match self.0 {
            NestedOpensItsOwn => return Some(manager.open(head)),
            NestedKeepsThePolicyOutside => {}
            _ => exchange.join(manager).unwrap(),
        }
        self.is(NestedCommitsToo).then(|| exchange.clone())
    }

    async fn handle(self, site: &Site, head: &Parts, body: Bytes, [first, second]: [&Exchange; 2]) -> Response<Page> {
        let body = if self.is(EatsTheBody) { Bytes::new() } else { body };
        let asked = adapter::Request::new(head.method.as_str(), head.uri.path(), body);
        let second = if self.is(GivesTheFirstForTheSecond) { first } else { second };
        let (first, second) = (self.session(site, first), self.session(site, second));
        let answer = match site.answer_with_second::<_, _, Failure>(asked, first, second).await {
            Ok(answer) => answer,
            Err(failure) => return failure.answer([]).map(|()| Page::default()),
        };
        let body = match answer.body {
            adapter::Body::Whole(bytes) => Full::from(bytes).boxed_unsync(),
            adapter::Body::Stream(body) => {
                let chunks = stream::unfold(body, |mut body| async { body.next().await.map(|chunk| (chunk, body)) });
                StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk.into())))).boxed_unsync()
            }
            adapter::Body::Upgrade(socket) => {
                talk(socket, head.extensions.get::<OnUpgrade>().unwrap().clone());
                Page::default()
            }
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
        response
    }

    async fn session(self, site: &Site, exchange: &Exchange) -> Result<Owned, Failure> {
        match exchange.session().await {
            Ok(session) => Ok(Owned(session)),
            Err(Error::Store(_)) if self.is(TakesAnOutageForAnEmptySession) => {
                Ok(Owned(site.manager().open(Incoming::default()).session().await?))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Keeps the line that this picks of each header but `Cookie`, whose lines have faults of their own.
fn keep_one_line(headers: &mut HeaderMap, pick: impl Fn(&[HeaderValue]) -> Option<HeaderValue>) {
    for name in ["x-forwarded-for", "forwarded", "sec-fetch-site", "origin", "host"] {
        let lines: Vec<_> = headers.get_all(name).iter().cloned().collect();
        if let Some(line) = pick(&lines) {
            headers.insert(name, line);
        }
    }
}

/// The session, as a framework's own type holds it.
pub(crate) struct Owned(Session);

impl std::ops::Deref for Owned {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

pub(crate) fn status(status: StatusCode) -> Response<Page> {
    let mut response = Response::new(Page::default());
    *response.status_mut() = status;
    response
}

fn talk(mut socket: adapter::Socket, upgrade: OnUpgrade) {
    tokio::spawn(async move {
        // None comes where the save has failed.
        let Ok(upgraded) = upgrade.await else { return };
        let mut connection = TokioIo::new(upgraded);
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = connection.read(&mut bytes).await {
            connection.write_all(&socket.hear(&bytes[..count]).await).await.unwrap();
        }
    });
}

/// A handler, and what happens when it is dropped before it has answered. Its fields are dropped in this order.
struct Guarded<F> {
    dropped: OnDrop,
    handler: Pin<Box<F>>,
}

struct OnDrop(Option<Exchange>);

impl<F: Future> Future for Guarded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let answered = ready!(self.handler.as_mut().poll(context));
        self.dropped.0 = None;
        Poll::Ready(answered)
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            drop(block_in_place(|| Handle::current().block_on(exchange.commit())));
        }
    }
}
