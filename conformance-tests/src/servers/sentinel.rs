//! A Redis master with two replicas, watched by three sentinels.

use std::{fs, iter, path::Path};

use super::{
    Server,
    process::{Plan, first_line, start_on_a_free_port},
    redis::{READY, SETTINGS, ask, has_caught_up, program, wait_until},
};

const REPLICAS: usize = 2;
const SENTINELS: usize = 3;

/// The sentinels' name for the master.
const NAME: &str = "sessions";

/// Starts all servers. If one is silent for this long, the sentinels take it for dead.
pub(super) fn start(milliseconds: u32) -> Server {
    let program = program("SESSION_TEST_REDIS_SENTINEL_URL");
    let command = |folder: &Path, port: u16, settings: &str| {
        // The sentinels make each server write its new role into this file. They write what they know into files of
        // their own.
        let file = folder.join("redis.conf");
        fs::write(&file, settings).unwrap();
        let (port, folder) = (port.to_string(), folder.to_string_lossy());
        let mut command = vec![program.clone().into_os_string(), file.into()];
        command.extend(["--port", &port, "--dir", &folder, "--bind", "127.0.0.1"].map(Into::into));
        command
    };
    let node = |settings: &str| {
        start_on_a_free_port("redis-node", |folder, port| {
            let mut command = command(folder.path(), port, settings);
            command.extend(SETTINGS.iter().chain(&["--repl-diskless-sync-delay", "0"]).map(Into::into));
            Plan { command, ready: READY, end: "KILL" }
        })
    };
    let sentinel = |settings: &str| {
        start_on_a_free_port("redis-sentinel", |folder, port| {
            let mut command = command(folder.path(), port, settings);
            command.push("--sentinel".into());
            Plan { command, ready: "Sentinel ID is", end: "KILL" }
        })
    };
    let (master, port) = node("");
    let replica = format!("replicaof 127.0.0.1 {port}\n");
    let (replicas, replica_ports): (Vec<_>, Vec<_>) = iter::repeat_with(|| node(&replica)).take(REPLICAS).unzip();
    // The sentinels learn from the master at once which replicas it has.
    replica_ports.iter().for_each(|&replica| wait_until("the replica follows", || has_caught_up(replica)));
    let watch = format!(
        "sentinel monitor {NAME} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {NAME} {milliseconds}\n\
         sentinel failover-timeout {NAME} 5000\n"
    );
    let (sentinels, ports): (Vec<_>, Vec<_>) = iter::repeat_with(|| sentinel(&watch)).take(SENTINELS).unzip();
    ports.iter().for_each(|&sentinel| wait_until("the sentinel knows all the others", || knows_all(sentinel)));
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let url = format!("redis+sentinel://{}/{NAME}", hosts.join(","));
    let processes = iter::once(master).chain(replicas).chain(sentinels).collect();
    Server::local(url, first_line(&program, "--version"), processes)
}

fn knows_all(sentinel: u16) -> Result<(), String> {
    let info = ask(sentinel, "INFO sentinel");
    let complete = format!("slaves={REPLICAS},sentinels={SENTINELS}");
    if info.contains("status=ok") && info.contains(&complete) { Ok(()) } else { Err(info) }
}
