//! PostgreSQL.

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::{
    Server,
    image::{Image, Ready},
    process::{Plan, find, first_line, start_on_a_free_port, unprivileged},
};

/// Settings that make it fast. Nothing here has to survive a power cut. A write that was answered still survives a
/// kill.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "max_connections=300",
    "logging_collector=off",
];

pub(super) const IMAGE: Image = Image {
    variable: "SESSION_TEST_POSTGRES_IMAGE",
    defaults: &["postgres:18"],
    port: 5432,
    arguments: &["-c", "fsync=off", "-c", "max_connections=300"],
    environment: &[("POSTGRES_HOST_AUTH_METHOD", "trust")],
    // In an empty folder another server runs first, to fill it. That one writes the same words, but lets no client in.
    ready: Ready::LetsIn(lets_in),
    version: "postgres --version",
    url: |address| format!("postgres://postgres@{address}/postgres"),
};

pub(super) fn start(settings: &[&str]) -> Server {
    start_under(&[], settings)
}

/// One whose files have this many bytes at most.
pub(super) fn start_with_files_of(bytes: u32) -> Server {
    let Some(prlimit) = find(&["prlimit"]) else { panic!("`prlimit` is missing: apt-get install util-linux") };
    start_under(&[prlimit.into(), format!("--fsize={bytes}").into()], &[])
}

/// Starts it by this command, which limits what it may do.
fn start_under(limits: &[OsString], settings: &[&str]) -> Server {
    let (Some(program), Some(initdb)) = (find(&["postgres"]), find(&["initdb"])) else {
        panic!("PostgreSQL is missing: apt-get install postgresql, or set SESSION_TEST_POSTGRES_URL")
    };
    let (process, port) = start_on_a_free_port("postgres", |folder, port| {
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        // It refuses to run as root.
        let mut command = limits.to_vec();
        command.extend(unprivileged(&data));
        let before = command.len();
        command.push(initdb.clone().into());
        command.extend(
            ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres"].map(Into::into),
        );
        command.push(data.clone().into());
        folder.run(&command);
        command.truncate(before);
        command.extend([program.clone().into(), "-D".into(), data.into(), "-p".into(), port.to_string().into()]);
        command.extend(SETTINGS.iter().chain(settings).flat_map(|setting| ["-c", setting]).map(Into::into));
        // Not KILL: then the other processes of the server live on for a moment, and hold its memory.
        // A standby accepts "read-only connections".
        Plan { command, ready: "database system is ready to accept", end: "QUIT" }
    });
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    Server::local(url, first_line(&program, "--version"), vec![process])
}

/// Whether its first answer to a start-up message is a request for authentication, and not an error.
fn lets_in(address: &str) -> bool {
    const START: &[u8] = b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00";
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        // The limit is short, because the caller also looks whether the container still runs.
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(START)?;
        let mut answer = [0];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    ask().is_ok_and(|answer| answer == *b"R")
}
