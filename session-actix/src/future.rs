//! The end of a request: the commit, and the headers of the response.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::ServiceResponse,
    error::InternalError,
    http::StatusCode,
};
use session_core::{
    Outcome,
    adapter::{self, SaidToCaches},
};

use crate::{Exchange, SessionError, headers};

/// The response as it leaves.
pub(crate) async fn commit<B: MessageBody, K: 'static>(
    exchange: Exchange<K>,
    mut handled: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B>> {
    let mut response = match judge(&exchange, handled.status()).await {
        Ok(lost) => {
            note(handled.response_mut(), lost);
            handled.map_into_left_body()
        }
        Err(error) => {
            let (request, handled) = handled.into_parts();
            ServiceResponse::new(request, replace(&error, handled)).map_into_right_body()
        }
    };
    finish(exchange, response.response_mut());
    response
}

/// The error of a middleware inside, which would become a response only outside of the layer. So its response is made
/// here.
pub(crate) async fn commit_error<K: 'static>(exchange: Exchange<K>, error: Error) -> Error {
    let judged = judge(&exchange, error.as_response_error().status_code()).await;
    if let (Ok(None), true) = (&judged, exchange.changes([]).is_empty()) {
        return error; // nothing to add, and a layer outside may know the error by its type
    }
    let mut handled = error.error_response();
    let (error, mut response) = match judged {
        Ok(lost) => {
            note(&mut handled, lost);
            (error, handled)
        }
        Err(failure) => {
            let response = replace(&failure, handled);
            (failure.into(), response)
        }
    };
    finish(exchange, &mut response);
    InternalError::from_response(error, response).into()
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

fn note<B>(response: &mut HttpResponse<B>, lost: Option<Outcome>) {
    if let Some(outcome) = lost {
        response.extensions_mut().insert(outcome);
    }
}

/// The response that leaves if the handler's must not.
fn replace<B>(error: &SessionError, mut handled: HttpResponse<B>) -> HttpResponse<BoxBody> {
    let mut response = error.answer(handled.headers());
    let cause = std::mem::take(&mut *response.extensions_mut());
    let mut extensions = std::mem::take(&mut *handled.extensions_mut());
    extensions.extend(cause);
    *response.extensions_mut() = extensions;
    response
}

/// Adds the headers of the exchange.
fn finish<B, K: 'static>(exchange: Exchange<K>, response: &mut HttpResponse<B>) {
    let inside = response.extensions_mut().remove::<SaidToCaches>();
    let (changes, said) = adapter::changes(&exchange, headers::pairs(response.headers()), inside);
    for change in &changes {
        headers::change(response.headers_mut(), change);
    }
    let mut extensions = response.extensions_mut();
    if let Some(said) = said {
        extensions.insert(said);
    }
    extensions.insert(exchange);
}
