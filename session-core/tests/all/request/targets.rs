//! After a login, a browser may be sent only to pages of our own.

use proptest::prelude::*;
use session_core::is_local_target;

const OURS: [&str; 13] = [
    "/",
    "/devices",
    "/devices/",
    "/devices?page=2",
    "/devices#others",
    "/a//b",
    "/a?next=/b",
    "/a?next=//evil.example",
    "/a?next=%2Fb%3Fnext%3D%252Fc%253Fd%253De",
    "/caf%C3%A9",
    "/100%",
    "/100%25",
    "/search?q=a%20b%2Fc%3Fd",
];

const ATTACKS: [&str; 40] = [
    "",
    "devices",
    "evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "data:text/html,evil",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "/%2fevil.example",
    "/%2Fevil.example",
    "/%2f/evil.example",
    "%2f%2fevil.example",
    "%2fdevices",
    "/%5cevil.example",
    "/%5C%5Cevil.example",
    "/%252fevil.example",
    "/%25252fevil.example",
    "/%2525252fevil.example",
    "/%252525252fevil.example",
    "/%25%32%66evil.example",
    "/%%35cevil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "/%2509/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\n/evil.example",
    "/devices\r\nSet-Cookie: a=b",
    "/devices%0d%0aSet-Cookie: a=b",
    "/devices%00",
    "/devices%7f",
    "/devices%C2%85",
];

#[test]
fn pages_of_our_own_are_targets() {
    for target in OURS {
        assert!(is_local_target(target), "{target:?}");
    }
}

#[test]
fn what_may_leave_the_site_is_no_target() {
    for target in ATTACKS {
        assert!(!is_local_target(target), "{target:?}");
    }
}

#[test]
fn what_no_uri_has_unencoded_is_no_target() {
    for target in ["/a b", "/café", "/a\u{85}b", "/\u{200b}/evil.example", "/\u{2215}evil.example"] {
        assert!(!is_local_target(target), "{target:?}");
    }
}

#[test]
fn a_target_is_as_long_as_a_request_line_at_most() {
    assert!(is_local_target(&format!("/{}", "a".repeat(7999))));
    assert!(!is_local_target(&format!("/{}", "a".repeat(8000))));
}

#[test]
fn what_is_still_encoded_after_four_rounds_is_no_target() {
    assert!(is_local_target("/%25252541"));
    assert!(!is_local_target("/%2525252541"));
}

/// Each byte as `%` and two digits.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A text made of the parts of attacks.
fn suspicious() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "/", "\\", "%", "%2", "%2f", "%5C", "%25", "25", "2f", "5c", "%09", "\t", "\n", "\r", "\0", " ", ":", "@", "?",
            "#", ".", "..", "https:", "evil.example", "a", "\u{85}", "é",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn whatever_is_accepted_begins_with_one_slash_and_has_no_control_character(text in suspicious()) {
        for text in [text.clone(), format!("/{text}")] {
            if is_local_target(&text) {
                prop_assert!(text.starts_with('/'));
                prop_assert!(!text[1..].starts_with(['/', '\\']));
                prop_assert!(text.chars().all(|c| c.is_ascii() && !c.is_control() && c != ' '));
            }
        }
    }

    #[test]
    fn what_is_refused_is_refused_encoded_too(text in suspicious()) {
        prop_assume!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        if !is_local_target(&format!("/{text}")) {
            let encoded = format!("/{}", encoded(&text));
            prop_assert!(!is_local_target(&encoded));
        }
    }

    #[test]
    fn plain_paths_with_a_query_are_targets(path in "(/[a-z0-9._~-]{1,8}){1,4}", query in "[a-z0-9=&+-]{0,16}") {
        let target = format!("{path}?{query}");
        prop_assert!(is_local_target(&target));
    }
}
