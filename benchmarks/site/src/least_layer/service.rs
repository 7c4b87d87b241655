//! The layer and its service.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{extract::Request, response::Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Exchange, Session, Shared};

#[derive(Clone)]
pub(super) struct LeastLayer(pub(super) Arc<Shared>);

impl<S> Layer<S> for LeastLayer {
    type Service = LeastService<S>;

    fn layer(&self, inner: S) -> LeastService<S> {
        LeastService { inner, shared: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(super) struct LeastService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: Service<Request, Response = Response, Error = Infallible>> Service<Request> for LeastService<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let session = Session(Arc::new(Exchange::open(&self.shared, &head)));
        head.extensions.insert(session.clone());
        request = Request::from_parts(head, body);
        Answering { handler: self.inner.call(request), session: Some(session), commit: None }
    }
}

type Commit = Pin<Box<dyn Future<Output = ()> + Send>>;

pin_project! {
    pub(super) struct Answering<F> {
        #[pin]
        handler: F,
        session: Option<Session>,
        commit: Option<(Commit, Response)>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Answering<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.commit.is_none() {
            let response = ready!(this.handler.poll(context))?;
            let session = this.session.clone().unwrap();
            if session.0.is_done() {
                return Poll::Ready(Ok(finished(this.session.take().unwrap(), response)));
            }
            *this.commit = Some((Box::pin(async move { session.0.commit().await }), response));
        }
        ready!(this.commit.as_mut().unwrap().0.as_mut().poll(context));
        let (_, response) = this.commit.take().unwrap();
        Poll::Ready(Ok(finished(this.session.take().unwrap(), response)))
    }
}

fn finished(session: Session, mut response: Response) -> Response {
    session.0.finish(response.headers_mut());
    response.extensions_mut().insert(session);
    response
}
