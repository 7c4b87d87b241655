//! A Redis Cluster of three masters, each with a replica.

use super::{
    Server,
    process::{Plan, Process, first_line, free_port, start_on_a_free_port},
    redis::{READY, SETTINGS, ask, has_caught_up, program, wait_until},
};

/// The slots of each master, first and last.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// Starts all nodes. If a node is silent for this long, the others take it for dead.
pub(super) fn start(milliseconds: u32) -> Server {
    let program = program("SESSION_TEST_REDIS_CLUSTER_URL");
    let patience = milliseconds.to_string();
    let node = || {
        // By default the bus port is the node's port plus 10000, which may be taken or above the last port.
        let bus = free_port();
        let (process, port) = start_on_a_free_port("redis-cluster", |folder, port| {
            let mut command = vec![program.clone().into_os_string()];
            let (port, bus, folder) = (port.to_string(), bus.to_string(), folder.path().to_string_lossy());
            command.extend(["--port", &port, "--cluster-port", &bus, "--dir", &folder].map(Into::into));
            let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", &patience];
            command.extend(SETTINGS.iter().chain(&cluster).map(Into::into));
            command.extend(["--repl-diskless-sync-delay", "0"].map(Into::into));
            Plan { command, ready: READY, end: "KILL" }
        });
        (process, (port, bus))
    };
    let (mut processes, masters): (Vec<Process>, Vec<_>) = SLOTS.map(|_| node()).into_iter().unzip();
    let (others, replicas): (Vec<Process>, Vec<_>) = SLOTS.map(|_| node()).into_iter().unzip();
    processes.extend(others);
    let must = |port, command: &str| assert_eq!(ask(port, command), "+OK", "{command}");
    for (number, (&(port, _), (first, last))) in masters.iter().zip(SLOTS).enumerate() {
        must(port, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        must(port, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
    }
    for (port, bus) in masters[1..].iter().chain(&replicas) {
        must(masters[0].0, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
    }
    let nodes: Vec<u16> = masters.iter().chain(&replicas).map(|&(port, _)| port).collect();
    nodes.iter().for_each(|&port| wait_until("the node knows the cluster", || is_complete(port)));
    for (&(master, _), &(replica, _)) in masters.iter().zip(&replicas) {
        let follow = format!("CLUSTER REPLICATE {}", ask(master, "CLUSTER MYID"));
        // For a while after the nodes have met, they know each other by temporary names.
        wait_until("the replica knows its master", || is_done(ask(replica, &follow)));
    }
    replicas.iter().for_each(|&(replica, _)| wait_until("the replica follows", || has_caught_up(replica)));
    // A master that does not know its replica would not let it take over.
    nodes.iter().for_each(|&port| wait_until("the node knows the replicas", || knows_replicas(port)));
    let hosts: Vec<_> = masters.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
    let version = first_line(&program, "--version");
    Server::local(format!("redis+cluster://{}", hosts.join(",")), version, processes)
}

fn is_done(answer: String) -> Result<(), String> {
    if answer == "+OK" { Ok(()) } else { Err(answer) }
}

fn is_complete(port: u16) -> Result<(), String> {
    let info = ask(port, "CLUSTER INFO");
    let complete = ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:6"];
    if complete.iter().all(|it| info.contains(it)) { Ok(()) } else { Err(info) }
}

fn knows_replicas(port: u16) -> Result<(), String> {
    let nodes = ask(port, "CLUSTER NODES");
    let replicas = nodes.lines().filter(|node| node.contains("slave ")).count();
    if replicas == SLOTS.len() && !nodes.contains("fail") { Ok(()) } else { Err(nodes) }
}
