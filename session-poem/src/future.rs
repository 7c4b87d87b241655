//! The end of a request: the commit, and the headers of the response.

use http::{HeaderMap, StatusCode};
use poem::{Error, PathPattern, Response, error::ResponseError};
use session_core::{
    Outcome,
    adapter::{self, SaidToCaches},
};

use crate::{Exchange, SessionError};

/// The response as it leaves.
pub(crate) async fn commit<K: 'static>(exchange: Exchange<K>, mut handled: Response) -> Response {
    let mut response = match judge(&exchange, handled.status()).await {
        Ok(lost) => {
            note(&mut handled, lost);
            handled
        }
        Err(error) => replace(&error, handled),
    };
    finish(exchange, &mut response);
    response
}

/// The error of a handler, which would become a response only outside of the layer. So its response is made here.
pub(crate) async fn commit_error<K: 'static>(exchange: Exchange<K>, mut error: Error) -> Error {
    let judged = judge(&exchange, error.status()).await;
    if let (Ok(None), true) = (&judged, exchange.changes([]).is_empty()) {
        error.set_data(exchange);
        return error; // nothing to add, and a layer outside may know the error by its type
    }
    if let Some(cause) = error.downcast_ref().and_then(SessionError::cause).cloned() {
        error.set_data(cause);
    }
    let mut handled = error.into_response();
    let mut response = match judged {
        Ok(lost) => {
            note(&mut handled, lost);
            handled
        }
        Err(failure) => replace(&failure, handled),
    };
    finish(exchange, &mut response);
    with_data::<K>(response)
}

/// The response as an error. It has the data of the error. Data that is not taken over is lost.
fn with_data<K: 'static>(response: Response) -> Error {
    let exchange = response.data::<Exchange<K>>().cloned();
    let cause = response.data::<session_core::Error>().cloned();
    let (outcome, said) = (response.data::<Outcome>().copied(), response.data::<SaidToCaches>().cloned());
    let route = response.data::<PathPattern>().cloned();
    let mut error = Error::from_response(response);
    exchange.into_iter().for_each(|exchange| error.set_data(exchange));
    cause.into_iter().for_each(|cause| error.set_data(cause));
    outcome.into_iter().for_each(|outcome| error.set_data(outcome));
    said.into_iter().for_each(|said| error.set_data(said));
    route.into_iter().for_each(|route| error.set_data(route));
    error
}

/// Commits. Returns whether the response may leave.
async fn judge<K>(exchange: &Exchange<K>, status: StatusCode) -> Result<Option<Outcome>, SessionError> {
    let committed = adapter::commit(exchange).await?;
    match exchange.failed() {
        // The handler has taken the error for no session.
        Some(error) if error.status().is_server_error() && status.as_u16() < 400 => Err(error.clone()),
        _ => Ok(committed),
    }
}

fn note(response: &mut Response, lost: Option<Outcome>) {
    if let Some(outcome) = lost {
        response.set_data(outcome);
    }
}

/// The response that leaves if the handler's must not.
fn replace(error: &SessionError, mut handled: Response) -> Response {
    let mut response = error.answer(handled.headers());
    let mut extensions = std::mem::take(handled.extensions_mut());
    extensions.extend(std::mem::take(response.extensions_mut()));
    *response.extensions_mut() = extensions;
    response
}

/// Adds the headers of the exchange.
fn finish<K: 'static>(exchange: Exchange<K>, response: &mut Response) {
    let inside = response.extensions_mut().remove::<SaidToCaches>();
    if let Some(said) = adapter::apply(&exchange, response.headers_mut(), inside) {
        response.set_data(said);
    }
    response.set_data(exchange);
}

pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}
