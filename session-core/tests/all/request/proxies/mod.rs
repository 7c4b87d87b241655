//! The client behind proxies.

mod client;
mod header;
mod hostile;
mod trusted;

use std::net::IpAddr;

use http::Request;
use session_core::{Incoming, ProxyHeader, TrustedProxies};

use crate::support::*;

fn at(proxies: &[&str]) -> TrustedProxies {
    TrustedProxies::at(proxies.iter().copied()).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The believed address of the client, and whether it speaks TLS.
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
