//! The future of a response: it waits for the handler and then for the commit.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Response};
use pin_project_lite::pin_project;
use session_core::{
    Outcome,
    adapter::{self, Commit, Failure, SaidToCaches},
};

use crate::{Exchange, ResponseBody, SessionError};

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
    /// Without an exchange nothing is committed here: the layer outside does it.
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
                    let Some(commit) = adapter::begin_commit(&exchange) else {
                        return Poll::Ready(Ok(committed(exchange, Ok(None), response)));
                    };
                    state.set(State::Committing { commit, answer: Some((exchange, response)) });
                }
                StateProjection::Refused { error } => {
                    // `None` cannot be: like every future, this one is not polled again once it was ready.
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
    outcome: Result<Option<Outcome>, Failure>,
    handled: Response<B>,
) -> Response<ResponseBody<B>> {
    let mut response = match outcome {
        Ok(lost) => {
            let mut response = handled.map(ResponseBody::new);
            if let Some(outcome) = lost {
                response.extensions_mut().insert(outcome);
            }
            response
        }
        Err(failure) => {
            let mut response = failure.answer(pairs(handled.headers())).map(|()| ResponseBody::default());
            let (mut handled, _) = handled.into_parts();
            handled.extensions.extend(std::mem::take(response.extensions_mut()));
            *response.extensions_mut() = handled.extensions;
            response
        }
    };
    apply(&exchange, &mut response);
    response.extensions_mut().insert(exchange);
    response
}

/// Adds what the exchange has to say.
fn apply<B>(exchange: &session_core::Exchange, response: &mut Response<B>) {
    let inside = response.extensions_mut().remove::<SaidToCaches>();
    if let Some(said) = adapter::apply(exchange, response.headers_mut(), inside) {
        response.extensions_mut().insert(said);
    }
}

pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

impl<F, B, K> fmt::Debug for ResponseFuture<F, B, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
