//! The endpoint that the layer makes.

use std::fmt;

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::{SessionLayer, future};

impl<E: Endpoint, K: 'static> Middleware<E> for SessionLayer<K> {
    type Output = SessionEndpoint<E, K>;

    fn transform(&self, inner: E) -> Self::Output {
        SessionEndpoint { inner, layer: self.clone() }
    }
}

/// The endpoint that [`SessionLayer`] makes.
pub struct SessionEndpoint<E, K = ()> {
    inner: E,
    layer: SessionLayer<K>,
}

impl<E: fmt::Debug, K> fmt::Debug for SessionEndpoint<E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEndpoint").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}

impl<E: Endpoint, K: 'static> Endpoint for SessionEndpoint<E, K> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let exchange = self.layer.enter(&mut request)?;
        let handled = self.inner.call(request).await.map(IntoResponse::into_response);
        let Some(exchange) = exchange else { return handled };
        match handled {
            Ok(response) => Ok(future::commit(exchange, response).await),
            Err(error) => Err(future::commit_error(exchange, error).await),
        }
    }
}
