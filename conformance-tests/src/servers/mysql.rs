//! MariaDB.

use std::fs;

use super::{
    Server,
    image::{Image, Ready},
    process::{Plan, find, first_line, start_on_a_free_port, unprivileged},
};

/// Settings that make it fast. Nothing here has to survive a power cut. A write that was answered still survives a
/// kill.
const SETTINGS: [&str; 5] = [
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--max-connections=300",
];

pub(super) const IMAGE: Image = Image {
    variable: "SESSION_TEST_MYSQL_IMAGE",
    defaults: &["mariadb:11.8", "mysql:8.4"],
    port: 3306,
    arguments: &["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", "--max-connections=300"],
    // MariaDB takes MySQL's names, too.
    environment: &[("MYSQL_ALLOW_EMPTY_PASSWORD", "yes"), ("MYSQL_DATABASE", "test")],
    // In an empty folder another server runs first, to fill it. That one has no port.
    ready: Ready::Says("  port: 3306 "),
    version: "mariadbd --version || mysqld --version",
    url: |address| format!("mysql://root@{address}/test"),
};

pub(super) fn start(arguments: &[&str]) -> Server {
    let (Some(program), Some(install)) = (find(&["mariadbd"]), find(&["mariadb-install-db"])) else {
        panic!("MariaDB is missing: apt-get install mariadb-server, or set SESSION_TEST_MYSQL_URL")
    };
    let (process, port) = start_on_a_free_port("mysql", |folder, port| {
        let (data, temporary) = (folder.path().join("data"), folder.path().join("temporary"));
        for folder in [&data, &temporary] {
            fs::create_dir(folder).unwrap();
        }
        let at = |option: &str| format!("--{option}={}", data.display());
        // A server that starts removes files from this folder that look like its own. So two servers must not share it.
        let temporary_at = format!("--tmpdir={}", temporary.display());
        // It refuses to run as root.
        unprivileged(&temporary);
        let mut command = unprivileged(&data);
        let before = command.len();
        command.push(install.clone().into());
        command.extend(["--no-defaults", "--auth-root-authentication-method=normal", &at("datadir")].map(Into::into));
        command.push(temporary_at.clone().into());
        folder.run(&command);
        command.truncate(before);
        command.push(program.clone().into());
        command.extend(SETTINGS.map(Into::into));
        let socket = format!("{}/socket", at("socket"));
        command.extend([at("datadir"), socket, format!("--port={port}")].map(Into::into));
        command.push(temporary_at.into());
        command.extend(arguments.iter().map(Into::into));
        Plan { command, ready: "ready for connections", end: "KILL" }
    });
    Server::local(format!("mysql://root@127.0.0.1:{port}/test"), first_line(&program, "--version"), vec![process])
}
