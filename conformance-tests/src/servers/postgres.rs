//! PostgreSQL.

use std::{fs, process::Command};

use super::{
    Server,
    process::{Plan, find, first_line, run, start_on_a_free_port, unprivileged},
};

/// Nothing here has to survive a power cut, and what was answered survives a kill all the same.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "max_connections=300",
    "logging_collector=off",
];

pub(super) fn start(settings: &[&str]) -> Server {
    let (Some(program), Some(initdb)) = (find(&["postgres"]), find(&["initdb"])) else {
        panic!("PostgreSQL is missing: apt-get install postgresql, or set SESSION_TEST_POSTGRES_URL")
    };
    let (process, port) = start_on_a_free_port("postgres", |folder, port| {
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        // It refuses to run as root.
        let mut command = unprivileged(&data);
        let before = command.len();
        command.push(initdb.clone().into());
        command.extend(
            ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres"].map(Into::into),
        );
        command.push(data.clone().into());
        run(Command::new(&command[0]).args(&command[1..]).current_dir(folder));
        command.truncate(before);
        command.extend([program.clone().into(), "-D".into(), data.into(), "-p".into(), port.to_string().into()]);
        command.extend(SETTINGS.iter().chain(settings).flat_map(|setting| ["-c", setting]).map(Into::into));
        // The other processes of a server that was killed outlive it for a moment, and hold its memory.
        Plan { command, ready: "database system is ready to accept connections", end: "QUIT" }
    });
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    Server::local(url, first_line(&program, "--version"), vec![process])
}
