//! How one value is encoded: a byte that names the format, then the value.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// How new values are encoded.
///
/// Each stored value names its own format, so that the format can be changed under live sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON.
    #[default]
    Json,
}

const JSON: u8 = 1;

impl Format {
    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes, Error> {
        let mut encoded = Vec::with_capacity(64);
        match self {
            Self::Json => {
                encoded.push(JSON);
                serde_json::to_writer(&mut encoded, value).map_err(|error| Error::Encode(Arc::new(error)))?;
            }
        }
        Ok(encoded.into())
    }
}

/// Decodes a value by the format that it names.
pub(crate) fn decode<T: DeserializeOwned>(encoded: &[u8]) -> Result<T, Error> {
    match encoded.split_first() {
        Some((&JSON, value)) => serde_json::from_slice(value).map_err(|error| Error::Decode(Arc::new(error))),
        _ => Err(Error::Decode(Arc::new(UnknownFormat))),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the value is in a format that this build does not have")]
struct UnknownFormat;
