//! Where a browser may be sent after a login.

/// Longer targets are refused, in bytes. Servers read request lines of 8000 bytes at least (RFC 9110, section 4.1).
const LONGEST: usize = 8000;

/// How often a target is decoded. A page's address in the query of another page's address takes two rounds.
const ROUNDS: usize = 4;

/// Whether a redirect to this text stays on our own site: a path with its query, such as `/devices?page=2`.
///
/// A login page that sends users to where they wanted to go takes the target from its query. Anybody can write that
/// query, in a link or in a form, so the target is judged each time it is read, above all right before the redirect.
/// Without that, `/login?next=//evil.example` is a link on a trusted site that ends on another one (CWE-601).
///
/// These rules hold for the text as it is, and again each time it is percent-decoded, until nothing is left to decode:
///
/// - it begins with one `/`, and the next character is neither `/` nor `\`. Browsers take `//evil.example` and
///   `/\evil.example` for other hosts (WHATWG URL, "relative slash state");
/// - it has no control character, tabs and newlines included. Browsers remove those, and `/\t/evil.example` becomes
///   `//evil.example`; a newline could end a header.
///
/// A text is also refused if it has characters that no URI has unencoded, such as a space or `é` (RFC 3986, section 2), if
/// it is longer than 8000 bytes, or if it is still encoded after four rounds.
///
/// Keep only addresses that a `GET` shows: a redirect after a login is followed by a `GET`, and `/logout` or a form's
/// `action` is no page. Whether the page exists, and who may see it, is not judged here.
///
/// # Examples
///
/// ```
/// use session_core::is_local_target;
///
/// assert!(is_local_target("/devices?page=2"));
/// assert!(!is_local_target("https://evil.example/"));
/// assert!(!is_local_target("//evil.example"));
/// assert!(!is_local_target("/%5Cevil.example"));
///
/// // In the handler of the login form:
/// let next = Some("/%09/evil.example".to_owned());
/// let target = next.filter(|next| is_local_target(next)).unwrap_or_else(|| "/".to_owned());
/// assert_eq!(target, "/");
/// ```
#[must_use]
pub fn is_local_target(target: &str) -> bool {
    if target.len() > LONGEST || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let mut text = target.as_bytes().to_owned();
    for _ in 0..ROUNDS {
        if !stays(&text) {
            return false;
        }
        let decoded = percent_decoded(&text);
        if decoded == text {
            return true;
        }
        text = decoded;
    }
    stays(&text) && percent_decoded(&text) == text
}

/// Whether a browser that reads exactly this text stays on the site.
fn stays(text: &[u8]) -> bool {
    let begins_well = text.starts_with(b"/") && !matches!(text, [_, b'/' | b'\\', ..]);
    // The control characters of Unicode that are not ASCII are two bytes, C2 and 80 to 9F. Without C2 before them, these
    // are parts of other characters.
    let has_late_control = text.windows(2).any(|pair| matches!(pair, [0xC2, 0x80..=0x9F]));
    begins_well && !has_late_control && !text.iter().any(u8::is_ascii_control)
}

/// The text with each `%` and two hexadecimal digits replaced by the byte that they mean (RFC 3986, section 2.1).
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push((digit(*high) << 4) | digit(*low));
                rest = behind;
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

/// What a hexadecimal digit is worth.
fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
