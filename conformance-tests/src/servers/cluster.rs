//! A Redis Cluster of three masters.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Server,
    process::{Plan, first_line, free_port, start_on_a_free_port},
    redis::{READY, SETTINGS, ask, program},
};

/// The slots of each master, first and last.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

pub(super) fn start() -> Server {
    let program = program("SESSION_TEST_REDIS_CLUSTER_URL");
    let (mut processes, mut nodes) = (Vec::new(), Vec::new());
    for _ in SLOTS {
        // The nodes' own port would be the other one plus 10000, which may be taken or above the last port.
        let bus = free_port();
        let (process, port) = start_on_a_free_port("redis-cluster", |folder, port| {
            let mut command = vec![program.clone().into_os_string()];
            let (port, bus, folder) = (port.to_string(), bus.to_string(), folder.to_string_lossy());
            command.extend(["--port", &port, "--cluster-port", &bus, "--dir", &folder].map(Into::into));
            command.extend(SETTINGS.iter().chain(&["--cluster-enabled", "yes"]).map(Into::into));
            Plan { command, ready: READY, end: "KILL" }
        });
        processes.push(process);
        nodes.push((port, bus));
    }
    let must = |port, command: &str| assert_eq!(ask(port, command), "+OK", "{command}");
    for (number, (&(port, _), (first, last))) in nodes.iter().zip(SLOTS).enumerate() {
        must(port, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        must(port, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
    }
    for (port, bus) in &nodes[1..] {
        must(nodes[0].0, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
    }
    nodes.iter().for_each(|&(port, _)| wait_until_complete(port));
    let hosts: Vec<_> = nodes.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
    let version = first_line(&program, "--version");
    Server::local(format!("redis+cluster://{}", hosts.join(",")), version, processes)
}

fn wait_until_complete(port: u16) {
    let start = Instant::now();
    loop {
        let info = ask(port, "CLUSTER INFO");
        if ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"].iter().all(|it| info.contains(it)) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the cluster does not come together:\n{info}");
        thread::sleep(Duration::from_millis(10));
    }
}
