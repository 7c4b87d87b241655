//! The values of a statement's parameters.

use std::time::Duration;

use session_core::{Revision, SessionId};

/// The value of a parameter: a number, bytes or ids.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    NoBytes,
    Ids(&'a [SessionId]),
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::NoBytes, Self::Bytes)
    }
}

impl From<Revision> for Value<'_> {
    fn from(revision: Revision) -> Self {
        Self::Number(i64::from_be_bytes(*revision.as_bytes()))
    }
}

/// Whole microseconds, at most 2^43 milliseconds (279 years): as much as the server's multiplication keeps exact.
pub(crate) fn microseconds(time: Duration) -> Value<'static> {
    const LONGEST: i64 = (1 << 43) * 1000;
    Value::Number(i64::try_from(time.as_micros()).unwrap_or(LONGEST).min(LONGEST))
}
