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
    /// MessagePack, with the names of fields: smaller than JSON, and bytes (`serde_bytes`) as they are.
    ///
    /// It refuses a `Some` around nothing (`Some(())`, `Some(None)`), and what is nested deeper than 100 levels.
    #[cfg(feature = "messagepack")]
    #[cfg_attr(docsrs, doc(cfg(feature = "messagepack")))]
    MessagePack,
    /// Bincode 2, without the names of fields: the smallest.
    ///
    /// **No version of the crate is maintained** (RUSTSEC-2025-0141). Take [`MessagePack`](Self::MessagePack) unless you need
    /// this very format.
    ///
    /// It refuses what is nested deeper than 100 levels, and sequences of unknown length. It does not describe what it holds,
    /// so it is stricter than the others about your types:
    ///
    /// - a value that is read as another type may be an error, or another value without an error. A `Cart` is not even an
    ///   `Option<Cart>`;
    /// - so may a struct that has got a field, lost one, or whose fields have changed places;
    /// - it cannot read what has to be looked at before its type is known: `untagged` or internally tagged enums, `flatten`,
    ///   `serde_json::Value`.
    #[cfg(feature = "bincode")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bincode")))]
    Bincode,
}

const JSON: u8 = 1;
#[cfg(feature = "messagepack")]
const MESSAGE_PACK: u8 = 2;
#[cfg(feature = "bincode")]
const BINCODE: u8 = 3;

/// How many bytes a reader of bincode may claim at once. A value of another type may ask for any number, and a session holds
/// at most 1 MiB.
#[cfg(feature = "bincode")]
const MOST_BYTES: usize = 1 << 20;

/// How many bytes there is room for before a value is encoded. Few values are longer, and have to be moved.
const ROOM: usize = 256;

impl Format {
    /// Encodes the value under this key, unless [`decode`] could not give it back.
    pub(crate) fn encode<T: Serialize + ?Sized>(self, key: &[u8], value: &T) -> Result<Bytes, Error> {
        let mut encoded = Vec::with_capacity(ROOM);
        let written = match self {
            Self::Json => {
                encoded.push(JSON);
                let mut json = serde_json::Serializer::new(&mut encoded);
                faithful::write(value, &faithful::JSON, &mut json).map_err(|error| Arc::new(error) as ValueError)
            }
            #[cfg(feature = "messagepack")]
            Self::MessagePack => {
                encoded.push(MESSAGE_PACK);
                let mut message_pack = rmp_serde::Serializer::new(&mut encoded).with_struct_map();
                faithful::write(value, &faithful::MESSAGE_PACK, &mut message_pack)
                    .map_err(|error| Arc::new(error) as ValueError)
            }
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                encoded.push(BINCODE);
                let part = faithful::part(value, &faithful::BINCODE);
                let written = bincode::serde::encode_into_std_write(part, &mut encoded, bincode::config::standard());
                written.map(drop).map_err(|error| Arc::new(error) as ValueError)
            }
        };
        written.map_err(|error| Error::Encode(of_key(key, error)))?;
        Ok(encoded.into())
    }
}

/// Decodes the value under this key by the format that it names.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], encoded: &[u8]) -> Result<T, Error> {
    let decoded = match encoded.split_first() {
        Some((&JSON, value)) => serde_json::from_slice(value).map_err(|error| Arc::new(error) as ValueError),
        #[cfg(feature = "messagepack")]
        Some((&MESSAGE_PACK, value)) => decode_message_pack(value),
        #[cfg(feature = "bincode")]
        Some((&BINCODE, value)) => decode_bincode(value),
        _ => Err(Arc::new(UnknownFormat) as ValueError),
    };
    decoded.map_err(|source| Error::Decode(of_key(key, source)))
}

#[cfg(feature = "messagepack")]
fn decode_message_pack<T: DeserializeOwned>(mut value: &[u8]) -> Result<T, ValueError> {
    let decoded = rmp_serde::from_read(&mut value).map_err(|error| Arc::new(error) as ValueError)?;
    if value.is_empty() { Ok(decoded) } else { Err(Arc::new(Trailing)) }
}

#[cfg(feature = "bincode")]
fn decode_bincode<T: DeserializeOwned>(value: &[u8]) -> Result<T, ValueError> {
    let config = bincode::config::standard().with_limit::<MOST_BYTES>();
    let decoded = bincode::serde::decode_from_slice(value, config);
    let (decoded, length) = decoded.map_err(|error| Arc::new(error) as ValueError)?;
    if length == value.len() { Ok(decoded) } else { Err(Arc::new(Trailing)) }
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

/// The other formats end where their value ends.
#[cfg(any(feature = "bincode", feature = "messagepack"))]
#[derive(Debug, thiserror::Error)]
#[error("bytes follow after the value, so it was written as another type")]
struct Trailing;

#[cfg(test)]
mod tests;
