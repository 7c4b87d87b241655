//! The service that the layer makes.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};

use crate::{SessionLayer, future};

impl<S, B, K> Transform<S, ServiceRequest> for SessionLayer<K>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
    K: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = SessionService<S, K>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(SessionService { inner, layer: self.clone() }))
    }
}

/// The service that [`SessionLayer`] makes.
pub struct SessionService<S, K = ()> {
    inner: S,
    layer: SessionLayer<K>,
}

impl<S: fmt::Debug, K> fmt::Debug for SessionService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}

impl<S, B, K> Service<ServiceRequest> for SessionService<S, K>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
    K: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let exchange = match self.layer.enter(&request) {
            Ok(exchange) => exchange,
            Err(error) => {
                let response = request.into_response(error.answer(&Default::default())).map_into_right_body();
                return Box::pin(ready(Ok(response)));
            }
        };
        let handling = self.inner.call(request);
        Box::pin(async move {
            let handled = handling.await;
            let Some(exchange) = exchange else {
                return handled.map(ServiceResponse::map_into_left_body);
            };
            match handled {
                Ok(response) => Ok(future::commit(exchange, response).await),
                Err(error) => Err(future::commit_error(exchange, error).await),
            }
        })
    }
}
