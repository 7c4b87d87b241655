//! Who the client is behind proxies.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, Request};
use proptest::prelude::*;
use session_core::{ConfigError, EventKind, Incoming, Peer, Policy, ProxyHeader, TrustedProxies};

use crate::support::{log::Log, *};

fn at(proxies: &[&str]) -> TrustedProxies {
    TrustedProxies::at(proxies.iter().copied()).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What is believed: the client's address, and whether it speaks TLS.
fn believed(proxies: &TrustedProxies, incoming: Incoming) -> (Option<String>, Option<bool>) {
    let exchange = Site::new().manager.with_trusted_proxies(proxies.clone()).open(incoming);
    (exchange.peer().map(|address| address.to_string()), exchange.is_https())
}

/// A request through 10.0.0.1, with these lines of headers.
fn through_proxy(lines: &[(&str, &[u8])]) -> Incoming {
    let request = lines.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    Incoming::from(&request.body(()).unwrap()).with_peer(address("10.0.0.1"))
}

/// The client of a request through 10.0.0.1 with this `X-Forwarded-For`.
fn client(proxies: &TrustedProxies, x_forwarded_for: &str) -> Option<String> {
    believed(proxies, through_proxy(&[("x-forwarded-for", x_forwarded_for.as_bytes())])).0
}

/// The client and the scheme of a request through 10.0.0.1 with these lines of `Forwarded`.
fn forwarded(lines: &[&str]) -> (Option<String>, Option<bool>) {
    let proxies = at(&["10.0.0.1", "10.0.0.2"]).with_header(ProxyHeader::Forwarded);
    let lines: Vec<_> = lines.iter().map(|line| ("forwarded", line.as_bytes())).collect();
    believed(&proxies, through_proxy(&lines))
}

// Which address.

#[tokio::test]
async fn proxies_are_believed_from_their_addresses_only() {
    let request = |peer: &str, client: &str, proto: &str| {
        Incoming::new([]).with_peer(address(peer)).with_x_forwarded(client, proto)
    };
    for (incoming, client, https) in [
        (request("10.0.0.1", "192.0.2.7", "https"), "192.0.2.7", Some(true)),
        (request("10.0.0.1", "192.0.2.7", "http"), "192.0.2.7", Some(false)),
        // What the client itself wrote comes first, what the proxies added last.
        (request("10.0.0.1", "1.2.3.4, 192.0.2.7, 10.0.0.2", "http, https"), "192.0.2.7", Some(true)),
        (request("::ffff:10.0.0.1", "192.0.2.7", "https"), "192.0.2.7", Some(true)),
        (request("10.0.0.9", "192.0.2.7", "http"), "10.0.0.9", None),
        // A proxy that says nothing of it, or nothing that is known.
        (request("10.0.0.1", "192.0.2.7", ""), "192.0.2.7", None),
        (request("10.0.0.1", "192.0.2.7", "gopher"), "192.0.2.7", None),
        (request("10.0.0.1", "192.0.2.7", "http,  HTTPS "), "192.0.2.7", Some(true)),
        (request("10.0.0.1", "192.0.2.7", "wss"), "192.0.2.7", Some(true)),
        // Nobody says otherwise: it asks for itself.
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
        // A trusted hop in each of these forms leads on.
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

// Which proxies.

#[test]
fn networks_are_believed_as_a_whole() {
    let proxies = at(&["10.4.0.0/16", "2001:db8:4::/48", "::ffff:192.0.2.0/120"]);
    for (peer, is_believed) in [
        ("10.4.0.0", true),
        ("10.4.255.255", true),
        ("::ffff:10.4.0.1", true),
        ("10.5.0.0", false),
        ("2001:db8:4:ffff::1", true),
        ("2001:db8:5::1", false),
        ("192.0.2.9", true),
        ("192.0.3.9", false),
    ] {
        let incoming = Incoming::new([]).with_peer(address(peer)).with_x_forwarded("203.0.113.5, 10.4.7.7", "");
        let expected = if is_believed { "203.0.113.5" } else { peer };
        assert_eq!(believed(&proxies, incoming).0.as_deref(), Some(expected), "{peer}");
    }
}

#[test]
fn a_unix_socket_is_believed_where_it_is_named() {
    let unix = |header| Incoming::new([]).with_peer(Peer::Unix).with_x_forwarded(header, "https");
    assert_eq!(believed(&at(&["unix:"]), unix("203.0.113.5")), (Some("203.0.113.5".to_owned()), Some(true)));
    assert_eq!(
        believed(&at(&["unix:"]), unix("203.0.113.5, unix:")).0.as_deref(),
        Some("203.0.113.5"),
        "as nginx says it"
    );
    assert_eq!(believed(&at(&["unix:"]), unix("")).0, None, "it has no address");
    assert_eq!(believed(&at(&["10.0.0.1"]), unix("203.0.113.5")), (None, None));
    let over_tcp = Incoming::new([]).with_peer(address("10.0.0.1")).with_x_forwarded("203.0.113.5", "");
    assert_eq!(believed(&at(&["unix:"]), over_tcp).0.as_deref(), Some("10.0.0.1"));
}

#[test]
fn proxies_are_counted_from_the_right() {
    let list = "1.1.1.1, 2.2.2.2, 3.3.3.3";
    for (count, expected) in [(0, "10.0.0.1"), (1, "3.3.3.3"), (2, "2.2.2.2"), (3, "1.1.1.1"), (9, "1.1.1.1")] {
        assert_eq!(client(&TrustedProxies::hops(count), list).as_deref(), Some(expected), "{count}");
    }
    assert_eq!(client(&TrustedProxies::hops(1), "1.1.1.1, unknown"), None);
    assert_eq!(client(&TrustedProxies::hops(2), "1.1.1.1, _hidden").as_deref(), Some("1.1.1.1"), "whoever it is");
    let nobody_tells = Incoming::new([]).with_x_forwarded(list, "https");
    assert_eq!(believed(&TrustedProxies::hops(1), nobody_tells), (Some("3.3.3.3".to_owned()), Some(true)));
    let counted = TrustedProxies::hops(1).with_header(ProxyHeader::Forwarded);
    let incoming = through_proxy(&[("forwarded", b"for=1.1.1.1, for=2.2.2.2;proto=https")]);
    assert_eq!(believed(&counted, incoming), (Some("2.2.2.2".to_owned()), Some(true)));
}

#[test]
fn what_is_no_proxy_is_refused_with_what_is_wrong() {
    for (proxy, words) in [
        ("", "neither an address"),
        ("proxy.example", "neither an address"),
        ("10.0.0.1:80", "neither an address"),
        ("10.0.0.0/33", "neither an address"),
        ("[2001:db8::1]", "neither an address"),
        ("unix:/run/proxy", "neither an address"),
        ("10.4.0.1/16", "bits behind its prefix"),
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
        ("::ffff:0.0.0.0/96", "is everybody"),
    ] {
        let error = TrustedProxies::at(["10.0.0.1", proxy]).unwrap_err();
        assert!(matches!(error, ConfigError::TrustedProxy { index: 1, .. }), "{proxy}: {error:?}");
        let told = error.to_string();
        assert!(told.starts_with("the trusted proxy at index 1 ") && told.contains(words), "{proxy}: {told}");
    }
}

// Which header.

#[test]
fn the_header_that_the_site_has_not_named_is_never_read() {
    let both: [(&str, &[u8]); 3] = [
        ("x-forwarded-for", b"192.0.2.1"),
        ("x-forwarded-proto", b"https"),
        ("forwarded", b"for=192.0.2.2;proto=http"),
    ];
    let proxies = at(&["10.0.0.1"]);
    let expected = |client: &str, https| (Some(client.to_owned()), https);
    assert_eq!(believed(&proxies, through_proxy(&both)), expected("192.0.2.1", Some(true)));
    assert_eq!(believed(&proxies, through_proxy(&both[2..])), expected("10.0.0.1", None));
    let proxies = proxies.with_header(ProxyHeader::Forwarded);
    assert_eq!(believed(&proxies, through_proxy(&both)), expected("192.0.2.2", Some(false)));
    assert_eq!(believed(&proxies, through_proxy(&both[..2])), expected("10.0.0.1", None));
    let of_another_framework = Incoming::new([]).with_peer(address("10.0.0.1")).with_forwarded("for=192.0.2.2");
    assert_eq!(believed(&proxies, of_another_framework), expected("192.0.2.2", None));
}

#[test]
fn forwarded_is_read_as_rfc_7239_writes_it() {
    for (line, client, https) in [
        ("for=192.0.2.43", "192.0.2.43", None),
        ("For=192.0.2.43;Proto=HTTPS", "192.0.2.43", Some(true)),
        ("FOR=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", None),
        ("for=\"[::1]:80\"", "::1", None),
        ("for=\"192.0.2.43:47011\";by=203.0.113.43;host=shop.example;proto=http", "192.0.2.43", Some(false)),
        ("for=\"192.0.2.43:_port\"", "192.0.2.43", None),
        ("for=\"::ffff:192.0.2.43\"", "192.0.2.43", None),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17", None),
        ("for=192.0.2.43;proto=https , for=\"10.0.0.2\";proto=http", "192.0.2.43", Some(true)),
        // Text within quotes is text.
        ("for=192.0.2.43;host=\"a, for=1.2.3.4\"", "192.0.2.43", None),
        ("for=192.0.2.43;host=\"a\\\", for=1.2.3.4\"", "192.0.2.43", None),
        ("for=192.0.2.43;host=\"a\\\\\"", "192.0.2.43", None),
        ("for=192.0.2.43;host=\"a;proto=https\"", "192.0.2.43", None),
        ("host=\"\";for=\"192\\.0.2.43\"", "192.0.2.43", None),
        // Not quite by the grammar, and clear all the same.
        ("for=192.0.2.43:80 ; ;proto=https;", "192.0.2.43", Some(true)),
        ("for=[2001:db8::17]:4711", "2001:db8::17", None),
    ] {
        assert_eq!(forwarded(&[line]), (Some(client.to_owned()), https), "{line}");
    }
}

#[test]
fn a_proxy_that_hides_its_client_in_forwarded_leaves_it_unknown() {
    for (line, https) in [
        ("for=unknown;proto=https", Some(true)),
        ("for=_hidden", None),
        ("for=\"_gazonk\";proto=http", Some(false)),
        ("proto=https", Some(true)),
        ("for=1.2.3.4, by=203.0.113.43", None),
        ("for=1.2.3.4,", None),
        // Not a word of the grammar.
        ("192.0.2.43", None),
        ("for", None),
        ("for=", None),
        ("=192.0.2.43", None),
        ("for =192.0.2.43", None),
        ("for=192.0.2.43 proto=https", None),
        ("for=\"192.0.2.43", None),
        ("for=192.0.2.43\"", None),
        ("for=\"192.0.2.43\\", None),
        ("for=\"192.0.2.43\"1", None),
        ("for=192.0.2.43;for=192.0.2.44", None),
        ("for=192.0.2.43;proto=http;proto=https", None),
    ] {
        assert_eq!(forwarded(&[line]), (None, https), "{line}");
    }
}

#[test]
fn a_quote_that_the_client_leaves_open_hides_nothing() {
    for forged in ["for=\"1.2.3.4", "for=1.2.3.4;host=\"", "\"", "for=1.2.3.4;host=\"\\", "for=1.2.3.4, \"\"\"", "\\"] {
        for own in [
            "for=192.0.2.7",
            "for=\"[2001:db8::1]:4711\"",
            "for=\"192.0.2.7\";host=\"a, \\\"b\"",
            "proto=https;for=192.0.2.7",
        ] {
            let together = format!("{forged}, {own}");
            assert_eq!(forwarded(&[&together]), forwarded(&[own]), "{together}");
            assert_eq!(forwarded(&[forged, own]), forwarded(&[own]), "{forged} and {own}");
        }
    }
}

// What a stranger can cause.

#[test]
fn of_a_very_long_header_the_right_end_is_read() {
    let proxies = at(&["10.0.0.1", "10.0.0.2"]);
    let forged = "1.2.3.4, ".repeat(50_000);
    assert_eq!(client(&proxies, &format!("{forged}203.0.113.5")).as_deref(), Some("203.0.113.5"));
    // Cut through, it would be another address.
    let spaces = " ".repeat(8 * 1024 - "3.0.113.5".len());
    assert_eq!(client(&proxies, &format!("203.0.113.5{spaces}")), None);
    let fits = " ".repeat(8 * 1024 - "203.0.113.5".len());
    assert_eq!(client(&proxies, &format!("203.0.113.5{fits}")).as_deref(), Some("203.0.113.5"));
    assert_eq!(client(&proxies, &format!("1.2.3.4{}", ",10.0.0.2".repeat(254))).as_deref(), Some("1.2.3.4"));
    assert_eq!(client(&proxies, &format!("1.2.3.4{}", ",10.0.0.2".repeat(255))), None, "nobody has so many proxies");
    let long = format!("for=\"{}\", for=203.0.113.5", "\\\"".repeat(50_000));
    assert_eq!(forwarded(&[&long]).0.as_deref(), Some("203.0.113.5"));
}

/// A header's value that a stranger may send.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let of_the_grammar = prop::sample::select(vec![
        "for=",
        "proto=https",
        "\"",
        "\\",
        ",",
        ";",
        "=",
        " ",
        "10.0.0.2",
        "1.2.3.4",
        "[",
        "]",
        "::1",
        ":80",
        "unknown",
        "_x",
    ]);
    prop_oneof![
        prop::collection::vec(of_the_grammar, 0..12).prop_map(|parts| parts.concat().into_bytes()),
        prop::collection::vec(prop_oneof![Just(b'\t'), 0x20_u8..=0x7e, 0x80_u8..=0xff], 0..60),
    ]
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(lines in prop::collection::vec(any_value(), 0..4), count in 0..4_u8) {
        for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded"] {
            let name = HeaderName::from_static(name);
            let lines: Vec<_> = lines.iter().map(|line| (name.as_str(), line.as_slice())).collect();
            for proxies in [at(&["10.0.0.0/8"]), TrustedProxies::hops(count)] {
                for proxies in [proxies.clone(), proxies.with_header(ProxyHeader::Forwarded)] {
                    let _ = believed(&proxies, through_proxy(&lines));
                }
            }
        }
    }

    #[test]
    fn what_a_client_forges_on_the_left_changes_nothing(forged in any_value(), client: IpAddr, is_line: bool, via_two: bool) {
        let client = Peer::from(client);
        let Peer::Ip(address) = client else { unreachable!() };
        prop_assume!(!address.is_ipv4() || !address.to_string().starts_with("10."));
        let x_own = if via_two { format!("{address}, 10.0.0.2") } else { address.to_string() };
        let bracketed = SocketAddr::from((address, 4711));
        let second = if via_two { ", for=10.0.0.2;proto=http" } else { "" };
        let own = format!("for=\"{bracketed}\";host=\"a, b\\\"\";proto=https{second}");
        for (name, own, header) in
            [("x-forwarded-for", x_own, ProxyHeader::XForwarded), ("forwarded", own, ProxyHeader::Forwarded)]
        {
            let joined = [forged.as_slice(), b", ", own.as_bytes()].concat();
            let lines: Vec<(&str, &[u8])> =
                if is_line { vec![(name, &forged), (name, own.as_bytes())] } else { vec![(name, &joined)] };
            let (found, https) = believed(&at(&["10.0.0.0/8"]).with_header(header), through_proxy(&lines));
            prop_assert_eq!(found, Some(address.to_string()));
            prop_assert!(header == ProxyHeader::XForwarded || https == Some(true));
        }
    }
}

// Proxies that nobody can know.

fn warnings(log: &Log) -> usize {
    log.lines().iter().filter(|line| line.contains("NO PROXY IS BELIEVED")).count()
}

#[test]
fn proxies_without_a_peer_to_know_them_by_are_a_warning_once() {
    let log = Log::start();
    let site = Site::new().manager;
    let silent = || Incoming::new([]).with_x_forwarded("192.0.2.7", "https");
    let _ = site.open(silent());
    let _ = site.clone().with_trusted_proxies(TrustedProxies::hops(1)).open(silent());
    let _ = site.clone().with_trusted_proxies(at(&["10.0.0.1"])).open(silent().with_peer(address("10.0.0.9")));
    let _ = site.clone().with_trusted_proxies(at(&["unix:"])).open(silent().with_peer(Peer::Unix));
    assert_eq!(warnings(&log), 0);
    let site = site.with_trusted_proxies(at(&["10.0.0.1"]));
    for manager in [&site, &site, &site.clone().with_policy(Policy::default())] {
        assert_eq!(manager.open(silent()).peer(), None);
        assert_eq!(warnings(&log), 1);
    }
    let unix = Site::new().manager.with_trusted_proxies(at(&["unix:"]));
    let _ = unix.open(silent());
    assert_eq!(warnings(&log), 2, "another site");
}
