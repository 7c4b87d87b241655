//! The sentinels, and a new master in the place of the old one, step by step.

use std::time::Duration;

use session_conformance::servers::Server;
use session_redis::redis::{self, InfoDict, aio::MultiplexedConnection};

use crate::support::{admin, ask, caught_up};

/// How long sentinels may take to agree on a new master, on a machine that has other things to do.
pub(crate) const FAILOVER: Duration = Duration::from_secs(90);

/// The addresses of the sentinels, and their name for the master.
pub(crate) fn watch(server: &Server) -> (Vec<&str>, &str) {
    let (hosts, name) = server.url().rsplit_once("//").unwrap().1.split_once('/').unwrap();
    (hosts.split(',').collect(), name)
}

pub(crate) async fn sentinels(server: &Server) -> Vec<MultiplexedConnection> {
    let mut sentinels = Vec::new();
    for host in watch(server).0 {
        sentinels.push(admin(&format!("redis://{host}")).await);
    }
    sentinels
}

/// The port of the master, as the first of the sentinels knows it.
pub(crate) async fn master(server: &Server) -> u16 {
    let (hosts, name) = watch(server);
    let mut sentinel = admin(&format!("redis://{}", hosts[0])).await;
    let (_, port): (String, u16) = ask(&mut sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).await;
    port
}

pub(crate) async fn node(port: u16) -> MultiplexedConnection {
    admin(&format!("redis://127.0.0.1:{port}")).await
}

/// A change of the master, step by step. The test tells the sentinels which server is the master, and they cut no
/// connection.
pub(crate) struct Succession<'a> {
    pub(crate) name: &'a str,
    pub(crate) sentinels: Vec<MultiplexedConnection>,
    pub(crate) old: MultiplexedConnection,
    pub(crate) old_port: u16,
    /// The ports of the replicas. The first of them is the successor.
    pub(crate) ports: [u16; 2],
    pub(crate) new: MultiplexedConnection,
}

impl<'a> Succession<'a> {
    /// Makes the successor a master, too. The old master does not know of it.
    pub(crate) async fn begin(server: &'a Server) -> Self {
        let (name, mut sentinels, old_port) = (watch(server).1, sentinels(server).await, master(server).await);
        let mut old = node(old_port).await;
        caught_up(&mut old).await;
        let info: InfoDict = ask(&mut old, &["INFO", "replication"]).await;
        let ports = ["slave0", "slave1"].map(|replica| {
            let replica: String = info.get(replica).unwrap();
            replica.split(',').find_map(|field| field.strip_prefix("port=")).unwrap().parse().unwrap()
        });
        for sentinel in &mut sentinels {
            ask::<()>(sentinel, &["SENTINEL", "REMOVE", name]).await;
        }
        let mut new = node(ports[0]).await;
        ask::<()>(&mut new, &["REPLICAOF", "NO", "ONE"]).await;
        Self { name, sentinels, old, old_port, ports, new }
    }

    /// Tells each sentinel which port the master has.
    pub(crate) async fn watch(&mut self, ports: [u16; 3]) {
        for (sentinel, port) in self.sentinels.iter_mut().zip(ports) {
            ask::<()>(sentinel, &["SENTINEL", "MONITOR", self.name, "127.0.0.1", &port.to_string(), "2"]).await;
        }
    }

    pub(crate) async fn complete(&mut self) {
        let successor = self.ports[0];
        ask::<()>(&mut self.old, &["REPLICAOF", "127.0.0.1", &successor.to_string()]).await;
        self.watch([successor; 3]).await;
    }
}

/// Whether the server is a replica. It connects for each question, because a server that becomes a replica cuts its
/// connections.
pub(crate) async fn is_replica(port: u16) -> bool {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let Ok(mut node) = client.get_multiplexed_async_connection().await else { return false };
    let role = redis::cmd("ROLE").query_async(&mut node).await;
    matches!(role, Ok(redis::Role::Replica { .. }))
}
