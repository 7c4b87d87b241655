//! The future of a response: handle, commit.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use pin_project_lite::pin_project;
use session_core::{Error, Outcome};

use crate::{Exchange, ResponseBody, SessionError};

type Commit = Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send>>;

pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<F, B, K = ()> {
        #[pin]
        state: State<F, B, K>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B, K> {
        Handling { #[pin] handler: F, exchange: Option<Exchange<K>> },
        Refused { error: Option<SessionError> },
        Committing { commit: Commit, answer: Option<(Exchange<K>, Response<B>)> },
    }
}

impl<F, B, K> ResponseFuture<F, B, K> {
    /// Without an exchange it is another layer's to commit.
    pub(crate) fn new(handler: F, exchange: Option<Exchange<K>>) -> Self {
        Self { state: State::Handling { handler, exchange } }
    }

    /// Answers without asking the service inside.
    pub(crate) fn refused(error: SessionError) -> Self {
        Self { state: State::Refused { error: Some(error) } }
    }
}

impl<F, B, K, E> Future for ResponseFuture<F, B, K>
where
    F: Future<Output = Result<Response<B>, E>>,
    K: 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Handling { handler, exchange } => {
                    let response = ready!(handler.poll(context))?;
                    let Some(exchange) = exchange.take() else {
                        return Poll::Ready(Ok(response.map(ResponseBody::new)));
                    };
                    let commit = {
                        let exchange = session_core::Exchange::clone(&exchange);
                        Box::pin(async move { exchange.commit().await })
                    };
                    state.set(State::Committing { commit, answer: Some((exchange, response)) });
                }
                StateProjection::Refused { error } => {
                    // As every future, this one is not polled again once it was ready.
                    let Some(error) = error.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(error.answer()));
                }
                StateProjection::Committing { commit, answer } => {
                    let outcome = ready!(commit.as_mut().poll(context));
                    let Some((exchange, response)) = answer.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(committed(exchange, outcome, response)));
                }
            }
        }
    }
}

/// The response as it leaves.
fn committed<B, K: 'static>(
    exchange: Exchange<K>,
    outcome: Result<Outcome, Error>,
    handled: Response<B>,
) -> Response<ResponseBody<B>> {
    let mut response = match outcome {
        Ok(outcome) => {
            let mut response = handled.map(ResponseBody::new);
            if let Outcome::Gone | Outcome::Superseded | Outcome::Withheld(_) | Outcome::Unreadable = outcome {
                response.extensions_mut().insert(outcome);
            }
            response
        }
        Err(error) => {
            let mut response = SessionError::from(error).answer();
            let (mut handled, _) = handled.into_parts();
            // What happened happened: a cookie that another layer's login has set must not be lost.
            keep(&header::SET_COOKIE, &handled.headers, response.headers_mut());
            keep(&header::VARY, &handled.headers, response.headers_mut());
            handled.extensions.extend(std::mem::take(response.extensions_mut()));
            *response.extensions_mut() = handled.extensions;
            response
        }
    };
    apply(&exchange, &mut response);
    response.extensions_mut().insert(exchange);
    response
}

/// The `Cache-Control` that a layer of another cookie, inside, has put where the handler had set none.
#[derive(Clone)]
struct CacheControlInside(HeaderValue);

/// Adds what the exchange has to say. What a layer inside has said to caches by itself gives way to what is stricter.
fn apply<B>(exchange: &session_core::Exchange, response: &mut Response<B>) {
    let inside = response.extensions_mut().remove::<CacheControlInside>();
    let headers = response.headers_mut();
    // Not if a middleware in between has put another.
    let inside = inside.filter(|CacheControlInside(inside)| headers.get(header::CACHE_CONTROL) == Some(inside));
    if inside.is_some() {
        headers.remove(header::CACHE_CONTROL);
    }
    let is_handlers = headers.contains_key(header::CACHE_CONTROL);
    exchange.apply(headers);
    if let (Some(CacheControlInside(inside)), false) = (inside, headers.contains_key(header::CACHE_CONTROL)) {
        headers.insert(header::CACHE_CONTROL, inside);
    }
    let ours = headers.get(header::CACHE_CONTROL).filter(|ours| !is_handlers && *ours != "no-store");
    if let Some(ours) = ours.cloned() {
        response.extensions_mut().insert(CacheControlInside(ours));
    }
}

fn keep(name: &HeaderName, from: &HeaderMap, to: &mut HeaderMap) {
    for value in from.get_all(name) {
        to.append(name, value.clone());
    }
}

impl<F, B, K> fmt::Debug for ResponseFuture<F, B, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
