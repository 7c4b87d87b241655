//! Texts that a stranger can determine, made fit for a log.

use std::{error::Error as StdError, fmt::Write, iter::successors};

use crate::Error;

/// How many bytes of a request's text an event has.
const LONGEST: usize = 256;

/// How many bytes of an error's text the log has.
const LONGEST_ERROR: usize = 1024;

/// The text with at most 256 bytes, its control characters escaped. `…` tells that there is more.
pub(crate) fn bounded(text: &str) -> String {
    fit_for_log(text, LONGEST)
}

/// The error and its sources, with at most 1024 bytes.
pub(crate) fn with_sources(error: &Error) -> String {
    let mut text = error.to_string();
    for source in successors(error.source(), |&source| StdError::source(source)) {
        if text.len() > LONGEST_ERROR {
            break;
        }
        // A `String` takes whatever is written to it.
        let _ = write!(text, ": {source}");
    }
    fit_for_log(&text, LONGEST_ERROR)
}

/// The text as one line of a log can have it: with at most this number of bytes, and its control characters
/// escaped. `…` tells that there is more.
///
/// For an adapter that writes a log of its own. Characters that turn the direction of a line (Unicode, UAX 9) are escaped, too.
///
/// # Examples
///
/// ```
/// use session_core::fit_for_log;
///
/// assert_eq!(fit_for_log("curl/8\nroot logged in", 16), r"curl/8\nroot log…");
/// ```
#[must_use]
pub fn fit_for_log(text: &str, longest: usize) -> String {
    let mut whole = String::with_capacity(text.len().min(longest));
    for character in text.chars() {
        let before = whole.len();
        if is_plain(character) {
            whole.push(character);
        } else {
            whole.extend(character.escape_default());
        }
        if whole.len() > longest {
            whole.truncate(before);
            whole.push('…');
            break;
        }
    }
    whole
}

/// Whether the character can neither end a line nor turn the direction of one (Unicode, UAX 9).
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io;

    use super::*;
    use crate::StoreError;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(bounded("/account"), "/account");
        assert_eq!(bounded(&"a".repeat(256)), "a".repeat(256));
        assert_eq!(bounded(&"a".repeat(257)), format!("{}…", "a".repeat(256)));
        assert_eq!(bounded(&"é".repeat(500)), format!("{}…", "é".repeat(128)));
        assert_eq!(bounded(&format!("{}\n", "a".repeat(255))), format!("{}…", "a".repeat(255)), "not half an escape");
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        assert_eq!(bounded("a\r\nb\u{1b}[31m\0\u{85}"), "a\\r\\nb\\u{1b}[31m\\u{0}\\u{85}");
        assert_eq!(bounded("\u{202e}txt\u{2066}\u{2028}\u{200f}"), "\\u{202e}txt\\u{2066}\\u{2028}\\u{200f}");
        assert_eq!(bounded("Zoë 宮 \"'\\"), "Zoë 宮 \"'\\");
    }

    #[test]
    fn an_error_is_told_with_its_sources_and_no_endless_text() {
        let refused = |text: &str| Error::from(StoreError::unavailable("Redis", io::Error::other(text.to_owned())));
        assert_eq!(with_sources(&refused("no\nroute")), "the session store failed: Redis is not available: no\\nroute");
        let long = with_sources(&refused(&"a".repeat(5000)));
        assert!(long.len() == 1024 + '…'.len_utf8() && long.ends_with("a…"), "{}", long.len());
    }
}
