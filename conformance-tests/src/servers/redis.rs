//! Redis, one node.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    Server,
    image::{Image, Ready},
    process::{Plan, find, first_line, start_on_a_free_port},
};

pub(super) const IMAGE: Image = Image {
    variable: "SESSION_TEST_REDIS_IMAGE",
    defaults: &["redis:8", "valkey/valkey:9"],
    port: 6379,
    arguments: &["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction"],
    environment: &[],
    ready: Ready::Says(READY),
    version: "redis-server --version || valkey-server --version",
    url: |address| format!("redis://{address}"),
};

pub(super) fn start(arguments: &[&str]) -> Server {
    start_program(&program("SESSION_TEST_REDIS_URL"), arguments)
}

/// Starts this program, which is Redis or another of its kind.
pub(super) fn start_program(program: &Path, arguments: &[&str]) -> Server {
    let (process, port) = start_on_a_free_port("redis", |folder, port| {
        let mut command = vec![program.as_os_str().to_owned()];
        let (port, folder) = (port.to_string(), folder.path().to_string_lossy());
        command.extend(["--port", &port, "--dir", &folder].map(Into::into));
        command.extend(SETTINGS.iter().chain(arguments).map(Into::into));
        Plan { command, ready: READY, end: "KILL" }
    });
    Server::local(format!("redis://127.0.0.1:{port}"), first_line(program, "--version"), vec![process])
}

pub(super) const READY: &str = "Ready to accept connections";

/// Settings as an operator should choose them, except that nothing is synced to the disk. A write that was answered
/// still survives a kill, because the kernel has it before the answer leaves. With `everysec` on a busy disk that would
/// not be so while a sync is under way.
pub(super) const SETTINGS: [&str; 10] = [
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "no",
    "--maxmemory-policy",
    "noeviction",
];

pub(super) fn program(variable: &str) -> PathBuf {
    find(&["redis-server", "valkey-server"])
        .unwrap_or_else(|| panic!("Redis is missing: apt-get install redis-server, or set {variable}"))
}

/// The answer of the server on this port: a line, or the text of a bulk string.
pub(super) fn ask(port: u16, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{command}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let line = line.trim_end();
    let Some(length) = line.strip_prefix('$') else { return line.to_owned() };
    let mut text = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Asks until it is so. The error says what is so instead.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> Result<(), String>) {
    let start = Instant::now();
    while let Err(instead) = is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "not in time: {what}\n{instead}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the replica on this port has all that its master had when it was asked.
pub(super) fn has_caught_up(port: u16) -> Result<(), String> {
    let info = ask(port, "INFO replication");
    let up = ["role:slave", "master_link_status:up", "master_sync_in_progress:0"];
    if up.iter().all(|it| info.contains(it)) { Ok(()) } else { Err(info) }
}
