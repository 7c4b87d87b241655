//! Each example is started, and asked what it shows. Only `hello` is not, because its port is in the README.

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
        let (_, address) = line.trim().split_once("http://").unwrap_or_else(|| panic!("{path} says {line:?}"));
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

fn connect(address: &str, request: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    connection
}

fn ask(address: &str, method: &str, path: &str, cookie: &str, form: &str) -> Answer {
    ask_with(address, method, path, &format!("Cookie: {cookie}"), form)
}

/// A request with this header.
fn ask_with(address: &str, method: &str, path: &str, header: &str, form: &str) -> Answer {
    let length = form.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n{header}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    let mut connection = connect(address, &request);
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
fn one_logs_in_and_out_under_axum() {
    logs_in_and_out(env!("CARGO_BIN_EXE_axum"));
}

#[test]
fn one_logs_in_and_out_under_bare_hyper() {
    logs_in_and_out(env!("CARGO_BIN_EXE_hyper"));
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
fn one_logs_in_and_out_under_salvo() {
    logs_in_and_out(env!("CARGO_BIN_EXE_salvo"));
}

#[test]
fn one_logs_in_and_out_under_warp() {
    logs_in_and_out(env!("CARGO_BIN_EXE_warp"));
}

// The tasks.

#[test]
fn a_password_is_compared_with_its_hash_and_the_login_leads_back() {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_login"));
    for form in ["user=user+42&password=wrong", "user=user+7&password=password", "user=nobody&password=nobody%27s"] {
        let wrong = ask(&address, "POST", "/login", "", form);
        assert_eq!((wrong.status, wrong.header("location"), wrong.cookie()), (401, "", ""), "{form}");
        assert!(wrong.body.contains("<form method=post>"), "the form again, at the same address: {}", wrong.body);
    }
    assert_eq!(ask(&address, "GET", "/account", "", "").status, 401);
    let sent = ask_with(&address, "GET", "/account?page=2", "Sec-Fetch-Mode: navigate", "");
    assert_eq!((sent.status, sent.header("location")), (303, "/login?next=/account%3Fpage%3D2"));
    let login = ask(&address, "POST", sent.header("location"), "", "user=user+42&password=password");
    assert_eq!(login.header("location"), "/account?page=2");
    assert_eq!(ask(&address, "GET", "/account", login.cookie(), "").body, "the account of user 42, user 42");
    let elsewhere = ask(&address, "POST", "/login?next=//evil.example", "", "user=user+42&password=password");
    assert_eq!(elsewhere.header("location"), "/account");
    assert_eq!(ask(&address, "POST", "/logout", login.cookie(), "").header("location"), "/login");
    assert_eq!(ask(&address, "GET", "/account", login.cookie(), "").status, 401);
}

#[test]
fn a_browser_keeps_the_cookie_of_a_login_only_if_the_box_is_ticked() {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_remember_me"));
    for (form, is_kept) in [("remember=on", true), ("", false)] {
        let login = ask(&address, "POST", "/login", "", form);
        assert_eq!(login.header("set-cookie").contains("Max-Age="), is_kept, "{}", login.head);
        assert_eq!(ask(&address, "GET", "/account", login.cookie(), "").status, 200);
    }
}

#[test]
fn a_flash_message_is_said_once() {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_flash"));
    let saved = ask(&address, "POST", "/save", "", "");
    assert_eq!((saved.status, saved.header("location")), (303, "/"));
    let pages = [1, 2].map(|_| ask(&address, "GET", "/", saved.cookie(), "").body.contains("It is saved."));
    assert_eq!(pages, [true, false]);
}

#[test]
fn a_device_is_listed_and_ended_from_another_one() {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_devices"));
    let login = |agent: &str| ask_with(&address, "POST", "/login", &format!("User-Agent: {agent}/1.0"), "");
    let (here, phone, tablet) = (login("Firefox"), login("Phone"), login("Tablet"));
    let list = |of: &Answer| ask(&address, "GET", "/devices", of.cookie(), "");
    let page = list(&here).body;
    for part in ["Firefox, 0 s ago (this one)", "Phone, 0 s ago <", "Tablet, 0 s ago <"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (_, of_phone) = page.split_once("Phone").unwrap();
    let id = of_phone.split_once("value=").unwrap().1.split('>').next().unwrap();
    assert_eq!(ask(&address, "POST", "/end", here.cookie(), &format!("id={id}")).status, 303);
    assert_eq!((list(&phone).status, list(&tablet).status), (401, 200));
    assert_eq!(ask(&address, "POST", "/end-others", here.cookie(), "").status, 303);
    assert_eq!((list(&here).status, list(&tablet).status), (200, 401));
}

/// A frame of the server: its kind, and what it says (RFC 6455, section 5.2).
fn frame(connection: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    connection.read_exact(&mut head).unwrap();
    let mut said = vec![0; head[1].into()];
    connection.read_exact(&mut said).unwrap();
    (head[0] & 0x0f, said)
}

#[test]
fn a_websocket_counts_in_the_session_and_is_closed_when_its_user_logs_out_elsewhere() {
    a_websocket_counts_and_is_closed_by("/logout");
}

#[test]
fn a_websocket_is_closed_when_its_browser_logs_in_again() {
    a_websocket_counts_and_is_closed_by("/login");
}

/// A connection, and the head of the answer to this request.
fn opened(address: &str, request: &str) -> (TcpStream, String) {
    let mut connection = connect(address, request);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (connection, String::from_utf8_lossy(&head).into_owned())
}

fn a_websocket_counts_and_is_closed_by(path: &str) {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_websocket"));
    let login = ask(&address, "POST", "/login", "", "");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        login.cookie()
    );
    let foreign = upgrade.replacen("Upgrade: websocket", "Upgrade: websocket\r\nOrigin: http://evil.example", 1);
    let (_, head) = opened(&address, &foreign);
    assert!(head.starts_with("HTTP/1.1 403"), "a page of another origin has opened a socket: {head}");
    let (mut socket, head) = opened(&address, &upgrade);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    for expected in ["message 1", "message 2"] {
        // A text of two letters, under a mask that changes nothing.
        socket.write_all(b"\x81\x82\0\0\0\0hi").unwrap();
        assert_eq!(frame(&mut socket), (1, expected.into()));
    }
    ask(&address, "POST", path, login.cookie(), "");
    // It is woken. By itself it asks after a minute.
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = Vec::new();
    let ended = socket.read_to_end(&mut rest);
    assert!(ended.is_ok_and(|_| rest.is_empty() || rest[0] & 0x0f == 8), "closed, and nothing more is said: {rest:?}");
}

#[test]
fn a_client_without_cookies_logs_in_and_out_by_a_header() {
    let (_program, address) = Program::start(env!("CARGO_BIN_EXE_header_token"));
    let with = |token: &str, method: &str, path: &str| {
        ask_with(&address, method, path, &format!("Session-Token: {token}"), "password=password")
    };
    let login = with("", "POST", "/login");
    let token = login.header("session-token");
    assert!(login.status == 204 && !token.is_empty() && login.cookie().is_empty(), "{}", login.head);
    assert_eq!(with(token, "GET", "/account").body, "the account of user 42");
    assert_eq!(ask(&address, "POST", "/login", "", "password=password").header("session-token"), "", "a browser");
    let logout = with(token, "POST", "/logout");
    assert!(logout.head.to_ascii_lowercase().contains("\r\nsession-token:"), "forget it: {}", logout.head);
    assert_eq!(with(token, "GET", "/account").status, 401);
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
