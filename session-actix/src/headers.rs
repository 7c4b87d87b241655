//! Conversions between the headers of actix, which are those of `http` 0.2, and those of the core.

use actix_web::http::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use session_core::HeaderChange;

pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

pub(crate) fn status(status: http::StatusCode) -> StatusCode {
    // A status of one version of `http` is also one of the other.
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn change(headers: &mut HeaderMap, change: &HeaderChange) {
    match change {
        HeaderChange::Remove(name) => drop(headers.remove(name.as_str())),
        HeaderChange::Append(name, value) => append(headers, name, value),
    }
}

pub(crate) fn append(headers: &mut HeaderMap, name: &http::HeaderName, value: &http::HeaderValue) {
    // A header of one version of `http` is also one of the other.
    let name = HeaderName::from_bytes(name.as_str().as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
        headers.append(name, value);
    }
}
