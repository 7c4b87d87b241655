//! How one value is encoded: a byte that names the format, then the value.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ValueError};

mod faithful;

/// How new values are encoded.
///
/// Each stored value names its own format, so that the format can be changed under live sessions.
///
/// # What comes back
///
/// What [`insert`](crate::Session::insert) and [`update`](crate::Session::update) accept, [`get`](crate::Session::get)
/// returns equal. What the format could not give back is refused. This holds for values as serde passes them on. It cannot
/// hold for a type that is written in one way and read in another. Where your `Serialize` and `Deserialize` do not mirror
/// each other, test that a value comes back:
///
/// - `skip`, and `skip_serializing_if` without a `default` that is equal to what is skipped;
/// - `untagged` enums whose variants look alike, and a `flatten`ed map that takes in its neighbours' keys;
/// - 128-bit integers inside `untagged` or `flatten`;
/// - `rename` and `with` on one of the two sides only.
///
/// A `HashMap` or a `HashSet` comes back equal, but in another order. To insert it again may count as a change. With a
/// `BTreeMap` or a `BTreeSet` it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON.
    ///
    /// It refuses NaN and infinity, a `Some` around nothing (`Some(())`, `Some(None)`), keys of maps that are not text,
    /// numbers, `bool`, `char` or variants without content, and what is nested deeper than 100 levels.
    #[default]
    Json,
}

const JSON: u8 = 1;

impl Format {
    /// Encodes the value under this key, unless [`decode`] could not give it back.
    pub(crate) fn encode<T: Serialize + ?Sized>(self, key: &[u8], value: &T) -> Result<Bytes, Error> {
        let mut encoded = Vec::with_capacity(64);
        match self {
            Self::Json => {
                encoded.push(JSON);
                faithful::write(value, &mut encoded).map_err(|error| Error::Encode(of_key(key, Arc::new(error))))?;
            }
        }
        Ok(encoded.into())
    }
}

/// Decodes the value under this key by the format that it names.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], encoded: &[u8]) -> Result<T, Error> {
    let decoded = match encoded.split_first() {
        Some((&JSON, value)) => serde_json::from_slice(value).map_err(|error| Arc::new(error) as ValueError),
        _ => Err(Arc::new(UnknownFormat) as ValueError),
    };
    decoded.map_err(|source| Error::Decode(of_key(key, source)))
}

fn of_key(key: &[u8], source: ValueError) -> ValueError {
    Arc::new(OfKey { key: String::from_utf8_lossy(key).into_owned(), source })
}

#[derive(Debug, thiserror::Error)]
#[error("the value under the key {key:?}")]
struct OfKey {
    key: String,
    source: ValueError,
}

#[derive(Debug, thiserror::Error)]
#[error("the value is in a format that this build does not have")]
struct UnknownFormat;

#[cfg(test)]
mod tests;
