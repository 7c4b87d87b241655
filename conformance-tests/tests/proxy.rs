//! The proxy harms connections as networks do.

#![cfg(all(unix, feature = "servers"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use session_conformance::servers::{self, Proxy};

fn connect(url: &str) -> TcpStream {
    let connection = TcpStream::connect(url.strip_prefix("redis://").unwrap()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection
}

fn ask(connection: &mut TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 100];
    let length = connection.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn the_answer_to_one_request_is_lost_and_what_it_asked_for_is_done() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let mut connection = connect(proxy.url());
    assert_eq!(ask(&mut connection, "INCR other\r\n"), ":1\r\n");
    proxy.lose_the_answer(b"INCR counted");
    assert_eq!(ask(&mut connection, "INCR other\r\n"), ":2\r\n");
    // The answer is also lost if the request comes in two parts.
    connection.write_all(b"INCR cou").unwrap();
    while proxy.sent() < 3 {}
    assert_eq!(ask(&mut connection, "nted\r\n"), "", "the connection is cut");
    assert_eq!(proxy.lost(), 1);
    let mut next = connect(proxy.url());
    assert_eq!(ask(&mut next, "INCR counted\r\n"), ":2\r\n", "the server has not done what it was asked");
    assert_eq!(proxy.lost(), 1);
}

#[test]
fn a_silent_connection_stays_open_and_new_ones_work() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let mut old = connect(proxy.url());
    assert_eq!(ask(&mut old, "PING\r\n"), "+PONG\r\n");
    proxy.silence();
    let mut new = connect(proxy.url());
    assert_eq!(ask(&mut new, "PING\r\n"), "+PONG\r\n");
    old.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    old.write_all(b"PING\r\n").unwrap();
    let error = old.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
}

#[test]
fn a_proxy_can_be_silent_on_new_connections_too() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let mut old = connect(proxy.url());
    assert_eq!(ask(&mut old, "PING\r\n"), "+PONG\r\n");
    proxy.silence_all();
    for mut connection in [old, connect(proxy.url())] {
        connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        connection.write_all(b"PING\r\n").unwrap();
        let error = connection.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
    }
}

#[test]
fn new_connections_lead_to_another_server_and_old_ones_stay() {
    let (one, other) = (servers::own_redis(&[]), servers::own_redis(&[]));
    let proxy = Proxy::before(one.url());
    let mut old = connect(proxy.url());
    assert_eq!(ask(&mut old, "SET key old\r\n"), "+OK\r\n");
    proxy.lead_to(other.url());
    let mut new = connect(proxy.url());
    assert_eq!(ask(&mut new, "GET key\r\n"), "$-1\r\n");
    assert_eq!(ask(&mut old, "GET key\r\n"), "$3\r\nold\r\n");
}

#[test]
fn a_proxy_ends_with_its_connections() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let url = proxy.url().to_owned();
    let mut connection = connect(&url);
    assert_eq!(ask(&mut connection, "PING\r\n"), "+PONG\r\n");
    drop(proxy);
    assert_eq!(connection.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
#[should_panic(expected = "1 answers were to be lost, and no request was theirs")]
fn an_answer_that_was_to_be_lost_and_is_not_fails_the_test() {
    let server = servers::own_redis(&[]);
    let proxy = Proxy::before(server.url());
    let mut connection = connect(proxy.url());
    proxy.lose_the_answer(b"INCR counted");
    assert_eq!(ask(&mut connection, "INCR other\r\n"), ":1\r\n");
}
