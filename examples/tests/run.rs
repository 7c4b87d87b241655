//! Each example is started, and one logs in and out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A program that is ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// Starts it at a free port, and says where it listens.
    fn start(path: &str) -> (Self, String) {
        let mut command = Command::new(path);
        command.arg("127.0.0.1:0").env_remove("SESSION_KEY").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("log in at http://").unwrap_or_else(|| panic!("{path} says {line:?}"));
        let address = address.trim_end_matches('/').to_owned();
        (Self(child), address)
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The value of a header; `""` if it is not there.
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().filter_map(|line| line.split_once(": "));
        line.filter(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
    }

    /// The cookie as a browser sends it back.
    fn cookie(&self) -> &str {
        self.header("set-cookie").split(';').next().unwrap()
    }
}

fn ask(address: &str, method: &str, path: &str, cookie: &str, form: &str) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = form.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nCookie: {cookie}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn logs_in_and_out(path: &str) {
    let (_program, address) = Program::start(path);
    assert!(ask(&address, "GET", "/", "", "").body.contains("action=/login"));
    assert_eq!(ask(&address, "GET", "/account", "", "").status, 401);

    let wrong = ask(&address, "POST", "/login", "", "user=user+42&password=wrong");
    assert_eq!((wrong.status, wrong.header("location"), wrong.cookie()), (303, "/", ""));
    let login = ask(&address, "POST", "/login", "", "user=user+42&password=password");
    assert_eq!((login.status, login.header("location")), (303, "/account"));
    assert_eq!(login.header("cache-control"), "no-store");

    let account = ask(&address, "GET", "/account", login.cookie(), "");
    assert_eq!(account.status, 200);
    assert!(account.body.contains("The account of user 42"), "{}", account.body);

    let logout = ask(&address, "POST", "/logout", login.cookie(), "");
    assert_eq!((logout.status, logout.header("location")), (303, "/"));
    assert!(logout.header("set-cookie").contains("Max-Age=0"), "{}", logout.head);
    assert_eq!(ask(&address, "GET", "/account", login.cookie(), "").status, 401);
}

#[test]
fn one_logs_in_and_out_under_actix() {
    logs_in_and_out(env!("CARGO_BIN_EXE_actix"));
}

#[test]
fn one_logs_in_and_out_under_poem() {
    logs_in_and_out(env!("CARGO_BIN_EXE_poem"));
}

#[test]
fn one_logs_in_and_out_under_bare_hyper() {
    logs_in_and_out(env!("CARGO_BIN_EXE_hyper"));
}

#[test]
fn another_service_believes_an_access_token_and_a_logout_ends_the_minting_of_them() {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_access_token"));
    let url = ask(&address, "GET", "/", "", "").body;
    let orders = url.strip_prefix("http://").unwrap().strip_suffix("/orders").unwrap();
    let with = |token: &str| ask(orders, "GET", "/orders", &format!("none\r\nAuthorization: Bearer {token}"), "");
    let token = |cookie: &str| ask(&address, "POST", "/token", cookie, "");

    let login = ask(&address, "POST", "/login", "", "password=password");
    assert_eq!(token("").status, 401);
    let minted = token(login.cookie());
    assert_eq!(minted.header("cache-control"), "no-store", "{}", minted.head);
    let text = minted.body.split('"').find(|part| part.starts_with("v4.public.")).unwrap();
    assert_eq!(with(text).body, "the orders of user 42");
    let forged = with(&format!("{text}x"));
    assert_eq!((forged.status, forged.header("www-authenticate")), (401, "Bearer error=\"invalid_token\""));
    assert_eq!(ask(&address, "GET", "/access-token-keys", "", "").header("cache-control"), "private, max-age=300");

    ask(&address, "POST", "/logout", login.cookie(), "");
    assert_eq!(token(login.cookie()).status, 401);
    assert_eq!(with(text).status, 200, "it is good until its own end");
}

#[test]
fn a_sealed_session_is_unreadable_in_the_database_and_outlives_a_change_of_the_key() {
    let ran = Command::new(env!("CARGO_BIN_EXE_sealed")).output().unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    for part in ["sealed with 2026-05\n", "user 42 is still logged in\n", "sealed with 2026-11\n", "the seal is broken"]
    {
        assert!(told.contains(part), "{told}");
    }
}
