//! Whose session it is.

use std::{convert::Infallible, fmt, sync::Arc};

mod conversion;
pub(crate) mod devices;
pub(crate) mod epoch;
pub(crate) mod limit;

pub(crate) use self::{
    epoch::{Advance, Epoch, Kept},
    limit::Eviction,
};

pub use conversion::UnexpectedOwner;
pub use devices::Device;

/// The application's user id, opaque to the sessions: 1 to 255 bytes.
///
/// Made of a number, it is the number in decimal text. Made of a `Uuid` (feature `uuid`), it is the UUID in lower case with
/// hyphens. Made of text or bytes, it is these. So a user who is called `42` is user 42: take numbers or names, and not both.
///
/// `Display` writes the text as it is, `Zoë` as `Zoë`, so that `owner.to_string()` finds the user again. Bytes that are no
/// UTF-8 are escaped. A name that a user may choose can hold a line break: for a log there is [`escaped`](Self::escaped).
///
/// # Examples
///
/// ```
/// use session_core::Owner;
///
/// let by_number = Owner::from(42);
/// let by_name = Owner::try_from("42")?;
/// assert_eq!(by_number, by_name);
/// assert_eq!(by_number.as_str(), Some("42"));
/// # Ok::<(), session_core::InvalidOwner>(())
/// ```
///
/// Back to a number, where it is the owner that this number makes:
///
/// ```
/// use session_core::{Owner, UnexpectedOwner};
///
/// let user: u64 = Owner::from(42).try_into()?;
/// assert_eq!(user, 42);
/// // Another owner than Owner::from(7).
/// assert!(u64::try_from(Owner::try_from("007").unwrap()).is_err());
/// # Ok::<(), UnexpectedOwner>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(Arc<[u8]>);

impl Owner {
    /// The longest owner, in bytes.
    pub const MAX_LENGTH: usize = 255;

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The owner as text; `None` if its bytes are no UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The owner in one line of a log: like `Display`, but what could forge or hide a line is escaped as in Rust. That is
    /// control characters, those that turn the direction of text, the backslash and the double quote.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::Owner;
    ///
    /// let owner = Owner::try_from("Zoë\nroot logged in")?;
    /// assert_eq!(owner.escaped().to_string(), r"Zoë\nroot logged in");
    /// # Ok::<(), session_core::InvalidOwner>(())
    /// ```
    #[must_use]
    pub fn escaped(&self) -> impl fmt::Display {
        Escaped(self)
    }
}

/// An owner in one line of a log.
struct Escaped<'a>(&'a Owner);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(text) = self.0.as_str() else { return self.0.fmt(f) };
        for (index, part) in text.split('\'').enumerate() {
            // An apostrophe forges nothing: O'Neill is still to be found in a log.
            write!(f, "{}{}", if index > 0 { "'" } else { "" }, part.escape_debug())?;
        }
        Ok(())
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

impl TryFrom<&String> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: &String) -> Result<Self, InvalidOwner> {
        text.as_bytes().try_into()
    }
}

impl TryFrom<String> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: String) -> Result<Self, InvalidOwner> {
        text.as_str().try_into()
    }
}

macro_rules! owner_from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Owner {
            /// The integer in decimal text.
            fn from(id: $integer) -> Self {
                Self(id.to_string().as_bytes().into())
            }
        }
    )*};
}

owner_from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.pad(text),
            None => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.escaped())
    }
}

/// An owner has 1 to 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner has 1 to 255 bytes, this one has {length}")]
pub struct InvalidOwner {
    length: usize,
}

impl From<Infallible> for InvalidOwner {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
