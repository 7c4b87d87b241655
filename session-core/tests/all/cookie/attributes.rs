//! Cookies can be configured if browsers store them and send them again.

use session_core::{ConfigError, CookieConfig, SignedToken};

fn with_path(path: &str) -> Result<CookieConfig, ConfigError> {
    CookieConfig::builder("s").path(path).build()
}

fn with_domain(domain: &str) -> Result<CookieConfig, ConfigError> {
    CookieConfig::builder("s").domain(domain).build()
}

#[test]
fn a_domain_that_no_browser_stores_is_refused_with_a_sentence() {
    let (long_label, long_host) = (format!("{}.org", "a".repeat(64)), format!("{}org", "abcdefg.".repeat(32)));
    for (domain, fault) in [
        ("", "is empty"),
        (".example.com", "starts with a dot: leave the dot out"),
        ("example.com.", "ends with a dot, and browsers refuse that"),
        (".", "starts with a dot: leave the dot out"),
        ("a..b", "has an empty label between two dots"),
        ("-a.example.com", "has a label that starts or ends with a hyphen"),
        ("b.a-.example.com", "has a label that starts or ends with a hyphen"),
        ("a.-b.example.com", "has a label that starts or ends with a hyphen"),
        (&long_label, "has a label of more than 63 characters"),
        (&long_host, "has more than the 253 characters of a host name"),
        ("a;b", "has a character that no host name has: what is not ASCII is written as xn--"),
        ("a b", "has a character that no host name has: what is not ASCII is written as xn--"),
        ("bücher.example", "has a character that no host name has: what is not ASCII is written as xn--"),
        ("example.com:8080", "has a character that no host name has: what is not ASCII is written as xn--"),
        ("[::1]", "has a character that no host name has: what is not ASCII is written as xn--"),
        ("127.1", "ends in a number but is no IPv4 address in four decimal parts"),
        ("0.0.1", "ends in a number but is no IPv4 address in four decimal parts"),
        ("a.0x7f", "ends in a number but is no IPv4 address in four decimal parts"),
    ] {
        assert_eq!(with_domain(domain).unwrap_err(), ConfigError::CookieAttribute { attribute: "Domain", fault });
    }
    // Chromium stores a cookie whose domain is an address, as one of this host alone.
    let label = format!("{}.org", "a".repeat(63));
    let longest = format!("{}{}", format!("{}.", "a".repeat(63)).repeat(3), "b".repeat(61));
    for domain in [
        "example.com",
        "Example.COM",
        "xn--bcher-kva.example",
        "a-b.example",
        "localhost",
        "127.0.0.1",
        &label,
        &longest,
    ] {
        with_domain(domain).unwrap();
    }
}

#[test]
fn a_path_that_no_browser_keeps_or_ever_asks_for_is_refused_with_a_sentence() {
    let longest = format!("/{}", "p".repeat(1023));
    with_path(&longest).unwrap();
    assert_eq!(
        with_path(&format!("{longest}p")).unwrap_err().to_string(),
        "the cookie's Path has more than the 1024 bytes that browsers read"
    );
    for path in ["", "app", "%2Fapp"] {
        assert_eq!(with_path(path).unwrap_err().to_string(), "the cookie's Path does not start with a slash");
    }
    for escaped in " \"#<>?\\^`{|};\u{7f}\n\té".chars() {
        let error = with_path(&format!("/a{escaped}b")).unwrap_err().to_string();
        assert!(error.ends_with("browsers escape in addresses, so no request ever matches it"), "{escaped:?}: {error}");
    }
    for dots in ["/.", "/..", "/a/../b", "/a/./b", "/%2e", "/a/%2E%2e/b", "/.%2E"] {
        let error = with_path(dots).unwrap_err().to_string();
        assert!(error.ends_with("which browsers resolve, so no request ever matches it"), "{dots}: {error}");
    }
    for path in ["/", "/app", "/app/", "//", "/a%20b", "/...", "/.well-known/a", "/a,b=c&d:e@f!$'()*+[]~_-"] {
        with_path(path).unwrap();
    }
}

#[test]
fn a_name_that_browsers_drop_with_its_value_is_refused_with_a_sentence() {
    let limit = 4096 - SignedToken::LENGTH;
    CookieConfig::builder(&"n".repeat(limit)).build().unwrap();
    let error = CookieConfig::builder(&"n".repeat(limit + 1)).build().unwrap_err();
    assert_eq!(error, ConfigError::CookieNameTooLong { length: limit + 1, limit });
    assert_eq!(
        error.to_string(),
        "a cookie's name has at most 3982 bytes, or browsers drop the cookie; this one has 3983"
    );
}

#[test]
fn a_public_suffix_is_refused_where_the_application_hands_in_a_list() {
    let built = |domain: &str| {
        let list = |domain: &str| ["com", "co.uk", "github.io"].contains(&domain);
        CookieConfig::builder("s").public_suffixes(list).domain(domain).build()
    };
    for suffix in ["com", "co.uk", "GitHub.io"] {
        assert_eq!(built(suffix).unwrap_err(), ConfigError::PublicSuffix, "{suffix}");
    }
    for domain in ["example.com", "shop.co.uk", "user42.github.io"] {
        built(domain).unwrap();
    }
    with_domain("co.uk").unwrap();
}
