//! Whose session it is; devices, ending, revoking, and the limit of sessions.

use std::fmt;

/// The application's user id, opaque to the sessions: 1 to 255 bytes.
///
/// # Examples
///
/// ```
/// use session_core::Owner;
///
/// let by_number = Owner::from(42);
/// let by_name = Owner::try_from("42")?;
/// assert_eq!(by_number, by_name);
/// # Ok::<(), session_core::InvalidOwner>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Box<[u8]>);

impl Owner {
    /// The longest owner, in bytes.
    pub const MAX_LENGTH: usize = 255;

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Owner {
    type Error = InvalidOwner;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidOwner> {
        match bytes.len() {
            1..=Self::MAX_LENGTH => Ok(Self(bytes.into())),
            length => Err(InvalidOwner { length }),
        }
    }
}

impl TryFrom<&str> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: &str) -> Result<Self, InvalidOwner> {
        text.as_bytes().try_into()
    }
}

macro_rules! owner_from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Owner {
            /// The integer in decimal text.
            fn from(id: $integer) -> Self {
                Self(id.to_string().into_bytes().into())
            }
        }
    )*};
}

owner_from_integer!(i32 i64 i128 u32 u64 u128);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({self})")
    }
}

/// An owner has 1 to 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner has 1 to 255 bytes, this one has {length}")]
pub struct InvalidOwner {
    length: usize,
}
