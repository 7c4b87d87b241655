//! Why a configuration is refused, and why a payload does not open.

use std::fmt;

use session_core::RandomnessError;

use crate::KeyId;

/// Why keys or a context are refused. Nothing is built from a half of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealConfigError {
    /// A key is too short or too long.
    #[error("a key that seals has 32 bytes, this one has {length}")]
    KeyLength {
        /// How many bytes it has.
        length: usize,
    },
    /// A key is nothing but zeros, as a buffer is that nobody has filled. Everybody can guess it.
    #[error("the key is all zeros")]
    KeyIsZero,
    /// A key is not base64.
    #[error("the key is neither base64 nor base64url")]
    KeyNotBase64,
    /// The id of a key is empty, too long, or has other characters. It is not repeated here, because it may be the key.
    #[error("the id of a key has 1 to 32 letters, digits, dots, hyphens and underscores")]
    KeyId,
    /// Two keys have one id.
    #[error("two keys have the id {id}")]
    TwoKeysOfOneId {
        /// The id.
        id: KeyId,
    },
    /// There is no randomness to make a key from.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The context has no name.
    #[error("the context of sealed sessions needs a name")]
    NoContext,
}

/// Why a payload does not open: the source of the [`StoreError::Corrupt`](session_core::StoreError::Corrupt) that
/// [`SealedStore`](crate::SealedStore) answers.
///
/// # Examples
///
/// ```
/// use session_core::StoreError;
/// use session_sealed::OpenError;
///
/// /// The id of the key that is missing, if that is what is wrong.
/// fn missing_key(error: &StoreError) -> Option<String> {
///     let StoreError::Corrupt { source, .. } = error else { return None };
///     match source.downcast_ref()? {
///         OpenError::UnknownKey { id } => Some(id.to_string()),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was never sealed, or by a later version of this crate.
    #[error("the payload is not sealed, or in a later format")]
    NotSealed,
    /// The key is not there.
    #[error("the payload is sealed with the key {id}, which is not one of the keys here")]
    UnknownKey {
        /// The id of the key, as the payload says.
        id: KeyId,
    },
    /// It was changed, or it was sealed for another place: another context, session or revision.
    #[error(
        "the seal is broken: the payload was changed, or is of another context, session or revision, or was sealed with \
         another key of the id {id}"
    )]
    Broken {
        /// The id of the key, as the payload says.
        id: KeyId,
    },
}

/// What is wrong with the cipher's input. No payload of a session is that long.
#[derive(Debug)]
pub(crate) struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payload is too long to be sealed")
    }
}

impl std::error::Error for TooLong {}
