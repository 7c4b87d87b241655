//! The values of a statement's parameters.

use std::time::Duration;

use session_core::{Revision, StoreError};
use sqlx::{Arguments, Error, sqlite::SqliteArguments};

use crate::error::from_driver;

/// The value of a parameter: a number or bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    NoBytes,
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

impl Value<'_> {
    /// How many bytes it adds to what a statement writes.
    pub(crate) fn length(&self) -> usize {
        if let Self::Bytes(bytes) = self { bytes.len() } else { 0 }
    }
}

/// The values as the driver's arguments.
pub(crate) fn arguments(values: &[Value<'_>]) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for &value in values {
        let added = match value {
            Value::Number(number) => arguments.add(number),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::NoBytes => arguments.add(None::<&[u8]>),
        };
        added.map_err(|error| from_driver(Error::Encode(error)))?;
    }
    Ok(arguments)
}

/// Whole milliseconds, at most 2^43 of them (279 years), so that adding them to any instant never overflows.
pub(crate) fn milliseconds(time: Duration) -> Value<'static> {
    const LONGEST: i64 = 1 << 43;
    Value::Number(i64::try_from(time.as_millis()).unwrap_or(LONGEST).min(LONGEST))
}
