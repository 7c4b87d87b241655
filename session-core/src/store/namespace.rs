//! The name under which a store keeps its sessions.

use std::{borrow::Cow, fmt};

/// The name under which a store keeps its sessions: a table, a prefix of keys or a collection.
///
/// Stores with different namespaces share a database and never meet. The default is `sessions`.
///
/// A namespace has 1 to 48 bytes. It consists of `a` to `z`, `0` to `9` and `_`, and does not start with a digit. The
/// name becomes part of a statement's text, so the rule is the same for every store and stricter than any database:
///
/// - With quotes, spaces or dots in it, a name could end the place where it stands, and say something else after it.
/// - Capitals are one name or two: SQLite ignores case, PostgreSQL folds what is not quoted, and MySQL does what its
///   file system does.
/// - PostgreSQL cuts a longer name than 63 bytes and says nothing, and the names of a table's indexes are longer than
///   the table's.
///
/// # Examples
///
/// ```
/// use session_core::{InvalidNamespace, Namespace};
///
/// let namespace = Namespace::try_from("admin_sessions")?;
/// assert_eq!(namespace.as_str(), "admin_sessions");
///
/// let refused = Namespace::try_from("admin-sessions");
/// assert_eq!(refused, Err(InvalidNamespace::Character('-')));
/// # Ok::<(), InvalidNamespace>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(Cow<'static, str>);

impl Namespace {
    /// The longest namespace, in bytes.
    pub const MAX_LENGTH: usize = 48;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    /// The namespace `sessions`.
    fn default() -> Self {
        Self(Cow::Borrowed("sessions"))
    }
}

impl TryFrom<&str> for Namespace {
    type Error = InvalidNamespace;

    fn try_from(name: &str) -> Result<Self, InvalidNamespace> {
        let is_allowed = |character: &char| matches!(character, 'a'..='z' | '0'..='9' | '_');
        if let Some(character) = name.chars().find(|character| !is_allowed(character)) {
            return Err(InvalidNamespace::Character(character));
        }
        match name.as_bytes() {
            [b'0'..=b'9', ..] => Err(InvalidNamespace::LeadingDigit),
            bytes if (1..=Self::MAX_LENGTH).contains(&bytes.len()) => Ok(Self(Cow::Owned(name.into()))),
            bytes => Err(InvalidNamespace::Length(bytes.len())),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no [`Namespace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNamespace {
    /// It is empty or too long: its length in bytes.
    #[error("a namespace has 1 to {} bytes, this one has {_0}", Namespace::MAX_LENGTH)]
    Length(usize),
    /// It starts with a digit.
    #[error("a namespace does not start with a digit")]
    LeadingDigit,
    /// It has a character that is not allowed: the first of them.
    #[error("a namespace consists of a to z, 0 to 9 and _, this one has {_0:?}")]
    Character(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_letters_digits_and_underscores_make_a_namespace() {
        for name in ["sessions", "_", "a", "s_42", "azaz09__", &"a".repeat(48)] {
            assert_eq!(Namespace::try_from(name).map(|namespace| namespace.to_string()), Ok(name.to_owned()));
        }
        assert_eq!(Namespace::try_from("sessions"), Ok(Namespace::default()));
    }

    #[test]
    fn a_namespace_cannot_smuggle_anything_into_a_statement() {
        let of_statements = ['"', '\'', '`', ';', '.', ' ', '\\', '$', '-', '/', ':', '{', '}', '*', '\0', '\n'];
        for character in of_statements.into_iter().chain(['A', 'Z', '@', '[', 'é', 'ſ', '٣']) {
            for name in [format!("{character}"), format!("a{character}b"), format!("a{character}")] {
                assert_eq!(Namespace::try_from(&*name), Err(InvalidNamespace::Character(character)), "{name:?}");
            }
        }
    }

    #[test]
    fn a_namespace_has_a_length_and_no_digit_in_front() {
        for length in [0, 49, 1000] {
            assert_eq!(Namespace::try_from(&*"a".repeat(length)), Err(InvalidNamespace::Length(length)));
        }
        for name in ["4", "0a", "9_", &"1".repeat(100)] {
            assert_eq!(Namespace::try_from(name), Err(InvalidNamespace::LeadingDigit), "{name}");
        }
    }

    #[test]
    fn the_error_says_the_rule_and_what_breaks_it() {
        let error = |name: &str| Namespace::try_from(name).map_err(|error| error.to_string());
        assert_eq!(error(""), Err("a namespace has 1 to 48 bytes, this one has 0".into()));
        assert_eq!(error("2nd"), Err("a namespace does not start with a digit".into()));
        assert_eq!(error("a\nb"), Err(r"a namespace consists of a to z, 0 to 9 and _, this one has '\n'".into()));
    }
}
