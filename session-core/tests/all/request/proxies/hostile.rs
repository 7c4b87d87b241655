//! Headers from a stranger, and how little they can cause.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use proptest::prelude::*;
use session_core::{Peer, ProxyHeader, TrustedProxies};

use super::{at, believed, client, forwarded, through_proxy};

#[test]
fn of_a_very_long_header_the_right_end_is_read() {
    let proxies = at(&["10.0.0.1", "10.0.0.2"]);
    let forged = "1.2.3.4, ".repeat(50_000);
    assert_eq!(client(&proxies, &format!("{forged}203.0.113.5")).as_deref(), Some("203.0.113.5"));
    // If this were cut in the middle, it would be another address.
    let spaces = " ".repeat(8 * 1024 - "3.0.113.5".len());
    assert_eq!(client(&proxies, &format!("203.0.113.5{spaces}")), None);
    let fits = " ".repeat(8 * 1024 - "203.0.113.5".len());
    assert_eq!(client(&proxies, &format!("203.0.113.5{fits}")).as_deref(), Some("203.0.113.5"));
    assert_eq!(client(&proxies, &format!("1.2.3.4{}", ",10.0.0.2".repeat(254))).as_deref(), Some("1.2.3.4"));
    assert_eq!(client(&proxies, &format!("1.2.3.4{}", ",10.0.0.2".repeat(255))), None, "no site has this many proxies");
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
