//! The address of the client.

use session_core::{EventKind, Incoming, TrustedProxies};

use super::{address, at, believed, client, forwarded, through_proxy};
use crate::support::*;

#[tokio::test]
async fn proxies_are_believed_from_their_addresses_only() {
    let request = |peer: &str, client: &str, proto: &str| {
        Incoming::new([]).with_peer(address(peer)).with_x_forwarded(client, proto)
    };
    for (incoming, client, https) in [
        (request("10.0.0.1", "192.0.2.7", "https"), "192.0.2.7", Some(true)),
        (request("10.0.0.1", "192.0.2.7", "http"), "192.0.2.7", Some(false)),
        // The client's own text comes first. The proxies add theirs at the end.
        (request("10.0.0.1", "1.2.3.4, 192.0.2.7, 10.0.0.2", "http, https"), "192.0.2.7", Some(true)),
        (request("::ffff:10.0.0.1", "192.0.2.7", "https"), "192.0.2.7", Some(true)),
        (request("10.0.0.9", "192.0.2.7", "http"), "10.0.0.9", None),
        // The proxy says nothing of the scheme, or names one that is not known.
        (request("10.0.0.1", "192.0.2.7", ""), "192.0.2.7", None),
        (request("10.0.0.1", "192.0.2.7", "gopher"), "192.0.2.7", None),
        (request("10.0.0.1", "192.0.2.7", "http,  HTTPS "), "192.0.2.7", Some(true)),
        (request("10.0.0.1", "192.0.2.7", "wss"), "192.0.2.7", Some(true)),
        // Nobody is named, so the proxy asks for itself.
        (request("10.0.0.1", "", "https"), "10.0.0.1", Some(true)),
        (request("10.0.0.1", "10.0.0.2", "https"), "10.0.0.2", Some(true)),
    ] {
        let shown = format!("{incoming:?}");
        assert_eq!(believed(&at(&["10.0.0.1", "10.0.0.2"]), incoming), (Some(client.to_owned()), https), "{shown}");
    }
    let untrusted = Incoming::new([]).with_peer(address("10.0.0.9")).with_https(false);
    assert_eq!(believed(&at(&["10.0.0.1"]), untrusted).1, Some(false), "the connection itself is known");
    assert_eq!(believed(&TrustedProxies::default(), Incoming::new([])), (None, None));
}

#[tokio::test]
async fn events_tell_the_client_and_not_the_proxy() {
    let site = Site::new();
    let manager = site.manager.clone().with_trusted_proxies(at(&["10.0.0.1"]));
    let exchange =
        manager.open(through_proxy(&[("x-forwarded-for", b"203.0.113.5:4711"), ("x-forwarded-proto", b"http")]));
    exchange.session().await.unwrap().insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    let _ = exchange.headers();
    let events = site.events.all();
    assert!(events.iter().all(|event| event.peer == Some(address("203.0.113.5"))), "{events:?}");
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::Created)));
    assert!(events.iter().any(|event| matches!(event.kind, EventKind::InsecureTransport(_))));
}

#[test]
fn an_address_is_read_with_a_port_brackets_quotes_or_within_ipv6() {
    for (text, expected) in [
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("\"203.0.113.5\"", "203.0.113.5"),
        ("\"[2001:db8::1]:443\"", "2001:db8::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("[::ffff:203.0.113.5]:4711", "203.0.113.5"),
        (" \t203.0.113.5\t ", "203.0.113.5"),
        ("1.2.3.4,203.0.113.5", "203.0.113.5"),
        // In each of these forms a trusted hop leads to the next one.
        ("203.0.113.5, 10.0.0.2:80", "203.0.113.5"),
        ("203.0.113.5, ::ffff:10.0.0.2", "203.0.113.5"),
        ("203.0.113.5, \"[::ffff:10.0.0.2]:80\"", "203.0.113.5"),
    ] {
        assert_eq!(client(&at(&["10.0.0.1", "10.0.0.2"]), text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_names_no_address_leaves_the_client_unknown_and_is_never_the_proxy() {
    let nonsense = [
        "unknown",
        "_hidden",
        "nonsense",
        ",",
        "1.2.3.4,",
        "1.2.3.4, ,",
        "203.0.113.5:",
        "203.0.113.5:port",
        "203.0.113.5:123456",
        "203.0.113",
        "203.0.113.256",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]443",
        "[203.0.113.5]",
        "[]",
        "\"203.0.113.5",
        "203.0.113.5 1.2.3.4",
        "203.0.113.5;1.2.3.4",
        "http://203.0.113.5",
        "unix:",
        "1.2.3.4, nonsense, 10.0.0.2",
    ];
    for text in nonsense {
        assert_eq!(client(&at(&["10.0.0.1", "10.0.0.2"]), text), None, "{text}");
    }
    let not_ascii = through_proxy(&[("x-forwarded-for", b"203.0.113.5\xff")]);
    assert_eq!(believed(&at(&["10.0.0.1"]), not_ascii).0, None);
    let left = through_proxy(&[("x-forwarded-for", b"\xff, 203.0.113.5")]);
    assert_eq!(believed(&at(&["10.0.0.1"]), left).0.as_deref(), Some("203.0.113.5"), "what is left of it is not read");
}

#[test]
fn several_lines_are_one_list() {
    let lines: [(&str, &[u8]); 5] = [
        ("x-forwarded-for", b"1.2.3.4"),
        ("x-forwarded-for", b"192.0.2.7"),
        ("x-forwarded-for", b"10.0.0.2"),
        ("x-forwarded-proto", b"http"),
        ("x-forwarded-proto", b"https"),
    ];
    let expected = (Some("192.0.2.7".to_owned()), Some(true));
    assert_eq!(believed(&at(&["10.0.0.1", "10.0.0.2"]), through_proxy(&lines)), expected);
    let lines = ["for=1.2.3.4", "for=192.0.2.7;proto=https", "for=10.0.0.2;proto=http"];
    assert_eq!(forwarded(&lines), expected);
}
