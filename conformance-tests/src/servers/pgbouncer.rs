//! PgBouncer in transaction mode, in front of a PostgreSQL of its own.

use std::{fs, process::Command};

use super::{
    Server, postgres,
    process::{Plan, find, first_line, run, start_on_a_free_port, unprivileged},
};

/// It has this many connections to the server. If there are fewer than clients, they are shared all the time.
pub(super) fn start(connections: u32, settings: &[&str]) -> Server {
    let Some(program) = find(&["pgbouncer"]) else {
        panic!("PgBouncer is missing: apt-get install pgbouncer, or set SESSION_TEST_PGBOUNCER_URL")
    };
    let behind = postgres::start(&[]);
    let upstream = behind.url().rsplit([':', '/']).nth(1).unwrap().to_owned();
    let (process, port) = start_on_a_free_port("pgbouncer", |folder, port| {
        let folder = folder.path();
        let file = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={upstream} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 300\n{}\n",
            settings.join("\n")
        );
        fs::write(&file, text).unwrap();
        // It refuses to run as root.
        let mut command = unprivileged(folder);
        // The runner is another user, and keeps its log and the process number in this folder.
        run(Command::new("chmod").arg("755").arg(folder));
        command.extend([program.clone().into(), file.into()]);
        Plan { command, ready: "process up", end: "KILL" }
    });
    let mut processes = behind.into_processes();
    processes.insert(0, process);
    let url = format!("postgres+pooled://postgres@127.0.0.1:{port}/postgres");
    Server::local(url, first_line(&program, "--version"), processes)
}
