//! Conversions between the headers of actix, which are those of `http` 0.2, and those of the core.

use actix_web::http::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue, VARY},
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
        HeaderChange::Append(name, value) if *name == http::header::VARY => vary(headers, value.as_bytes()),
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

/// Adds to the list, and makes one line of it. actix-cors, which stands outside, keeps the first line and drops the others.
fn vary(headers: &mut HeaderMap, new: &[u8]) {
    let lines = headers.get_all(VARY).flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut names: Vec<_> = lines.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).collect();
    if !names.iter().any(|name| name.eq_ignore_ascii_case(new)) {
        names.push(new);
    }
    // It has no byte that was in no header before.
    if let Ok(line) = HeaderValue::from_bytes(&names.join(&b", "[..])) {
        headers.insert(VARY, line);
    }
}
