//! Which proxies are believed.

use session_core::{ConfigError, Incoming, Peer, Policy, ProxyHeader, TrustedProxies};

use super::{address, at, believed, client, through_proxy};
use crate::support::{log::Log, *};

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
    assert_eq!(
        client(&TrustedProxies::hops(2), "1.1.1.1, _hidden").as_deref(),
        Some("1.1.1.1"),
        "the hidden one is a proxy all the same"
    );
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
