//! The header that is read, and how it is read.

use session_core::{Incoming, ProxyHeader};

use super::{address, at, believed, forwarded, through_proxy};

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
        // Separators within quotes are part of the text.
        ("for=192.0.2.43;host=\"a, for=1.2.3.4\"", "192.0.2.43", None),
        ("for=192.0.2.43;host=\"a\\\", for=1.2.3.4\"", "192.0.2.43", None),
        ("for=192.0.2.43;host=\"a\\\\\"", "192.0.2.43", None),
        ("for=192.0.2.43;host=\"a;proto=https\"", "192.0.2.43", None),
        ("host=\"\";for=\"192\\.0.2.43\"", "192.0.2.43", None),
        // These break the grammar a little, but are clear.
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
        // These do not follow the grammar at all.
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
