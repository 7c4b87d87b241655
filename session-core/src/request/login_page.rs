//! The page where users log in, and the way back from it.

use std::fmt::Write;

use crate::{ConfigError, is_local_target};

/// Longer addresses leave out the way back, in bytes: what servers read at least (RFC 9110, section 4.1).
const LONGEST: usize = 8000;

/// The page where users log in, or prove again who they are. Its address gets the way back in its query:
/// `/login?next=%2Faccount`.
///
/// Guards of an adapter send browsers there. Only a request that opens a page is sent: a `GET` or `HEAD` with
/// `Sec-Fetch-Mode: navigate`. Browsers say so over https, and to their own machine. Without that header, the request
/// counts if its `Accept` names `text/html` and it has no `X-Requested-With`. Any other request, and a client without
/// cookies, gets the 401: a script cannot log in by following a redirect.
///
/// The way back is left out if it is not [local](is_local_target), and nobody is sent from the page to itself.
///
/// # Examples
///
/// ```
/// use session_core::{ConfigError, LoginPage, is_local_target};
///
/// fn page() -> Result<LoginPage, ConfigError> {
///     LoginPage::new("/login")
/// }
///
/// /// Where the handler of the login form sends the user. Anybody can write the
/// /// query, so it is judged each time.
/// fn way_back(next: Option<&str>) -> &str {
///     next.filter(|next| is_local_target(next)).unwrap_or("/")
/// }
/// # page().unwrap();
/// # assert_eq!(way_back(Some("//evil.example")), "/");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPage {
    path: String,
    parameter: String,
}

impl LoginPage {
    /// The page at this path of the site. The way back is called `next`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LoginPage`] if it is no path, or has a fragment.
    pub fn new(path: &str) -> Result<Self, ConfigError> {
        if !is_local_target(path) || path.contains('#') {
            return Err(ConfigError::LoginPage);
        }
        Ok(Self { path: path.to_owned(), parameter: "next".to_owned() })
    }

    /// The same with another name for the way back.
    #[must_use]
    pub fn with_parameter(self, name: &str) -> Self {
        Self { parameter: encoded(name), ..self }
    }

    /// Where to send this request. `None`: it opens no page, or the page is this one.
    pub(crate) fn location(&self, navigation: &Navigation) -> Option<String> {
        let target = navigation.target.as_deref()?;
        if path_of(target) == path_of(&self.path) {
            return None;
        }
        let Self { path, parameter } = self;
        let joint = if path.contains('?') { '&' } else { '?' };
        let whole = format!("{path}{joint}{parameter}={}", encoded(target));
        Some(if is_local_target(target) && whole.len() <= LONGEST { whole } else { path.clone() })
    }
}

/// What a request tells of the page that it opens.
///
/// # Examples
///
/// ```
/// use session_core::adapter::Navigation;
///
/// let headers = [("Sec-Fetch-Mode", &b"navigate"[..])];
/// assert!(Navigation::of("GET", "/account?page=2", headers).is_page());
/// assert!(!Navigation::of("POST", "/account", headers).is_page());
/// ```
#[derive(Clone, Debug)]
pub struct Navigation {
    /// `None`: it opens no page.
    target: Option<String>,
}

impl Navigation {
    /// A request with this method, path with query, and headers, in any case of letters.
    pub fn of<'a>(method: &str, target: &str, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let target = matches!(method, "GET" | "HEAD").then(|| target.to_owned());
        Self { target: target.filter(|_| opens_page(headers)) }
    }

    /// Whether it opens a page in a browser.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.target.is_some()
    }
}

/// Whether these are the headers of a browser that opens a page.
fn opens_page<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> bool {
    let (mut modes, mut accepts_html, mut is_script) = (Vec::new(), false, false);
    for (name, value) in headers {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("sec-fetch-mode") {
            modes.push(value);
        } else if is("accept") {
            accepts_html |= value.split(|byte| *byte == b',').any(is_html);
        } else if is("x-requested-with") {
            is_script = true;
        }
    }
    // The browser's own word counts (W3C Fetch Metadata).
    if modes.is_empty() { accepts_html && !is_script } else { modes.iter().all(|mode| *mode == b"navigate") }
}

/// Whether a range of `Accept` asks for HTML by its name. Scripts ask for anything, with `*/*`.
fn is_html(range: &[u8]) -> bool {
    let range = range.trim_ascii();
    let name = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"text/html") || name.eq_ignore_ascii_case(b"application/xhtml+xml")
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

/// Percent-encoded, to be a name or a value in a query (RFC 3986, section 3.4). Slashes may stay, and are read more easily.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte))
            }
            // A `String` takes whatever is written to it.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: (&str, &[u8]) = ("sec-fetch-mode", b"navigate");

    fn location(page: &str, target: &str) -> Option<String> {
        LoginPage::new(page).unwrap().location(&Navigation::of("GET", target, [PAGE]))
    }

    #[test]
    fn a_page_is_what_a_browser_opens_and_no_script_fetches() {
        let html: (&str, &[u8]) = ("Accept", b"application/xhtml+xml, text/html;q=0.9, */*;q=0.8");
        let opens: [&[(&str, &[u8])]; 4] =
            [&[PAGE], &[("Sec-Fetch-Mode", b"navigate"), ("accept", b"*/*")], &[html], &[("ACCEPT", b"TEXT/HTML")]];
        for headers in opens {
            for method in ["GET", "HEAD"] {
                assert!(Navigation::of(method, "/account", headers.iter().copied()).is_page(), "{headers:?}");
            }
            for method in ["POST", "PUT", "DELETE", "get", "QUERY"] {
                assert!(!Navigation::of(method, "/account", headers.iter().copied()).is_page(), "{method}");
            }
        }
        let fetches: [&[(&str, &[u8])]; 7] = [
            &[],
            &[("accept", b"*/*")],
            &[("accept", b"application/json")],
            &[("accept", b"text/htmlx, image/*")],
            &[("sec-fetch-mode", b"cors"), html],
            &[PAGE, ("sec-fetch-mode", b"cors")],
            &[html, ("x-requested-with", b"XMLHttpRequest")],
        ];
        for headers in fetches {
            assert!(!Navigation::of("GET", "/account", headers.iter().copied()).is_page(), "{headers:?}");
        }
    }

    #[test]
    fn the_way_back_is_in_the_query_and_comes_out_as_it_was() {
        assert_eq!(location("/login", "/account").unwrap(), "/login?next=/account");
        let target = "/a%20b?next=/c&d=%26e+f#g";
        let sent = location("/login?lang=de", target).unwrap();
        assert_eq!(sent, "/login?lang=de&next=/a%2520b%3Fnext%3D/c%26d%3D%2526e%2Bf%23g");
        let page = LoginPage::new("/login").unwrap().with_parameter("way&back");
        let navigation = Navigation::of("GET", "/", [PAGE]);
        assert_eq!(page.location(&navigation).unwrap(), "/login?way%26back=/");
    }

    #[test]
    fn a_way_back_that_leaves_the_site_or_is_too_long_is_left_out() {
        for target in ["//evil.example", "/\\evil.example", "/%09/evil.example", "https://evil.example/", "*", ""] {
            assert_eq!(location("/login", target).unwrap(), "/login", "{target}");
        }
        let long = format!("/{}", "?".repeat(3000));
        assert_eq!(location("/login", &long).unwrap(), "/login");
    }

    #[test]
    fn nobody_is_sent_from_the_page_to_itself() {
        for target in ["/login", "/login?next=/account", "/login#form"] {
            assert_eq!(location("/login", target), None);
            assert_eq!(location("/login?lang=de", target), None);
        }
    }

    #[test]
    fn a_page_elsewhere_is_refused() {
        for path in ["", "login", "//evil.example", "https://evil.example/login", "/login#form", "/log in"] {
            assert_eq!(LoginPage::new(path), Err(ConfigError::LoginPage), "{path}");
        }
    }
}
