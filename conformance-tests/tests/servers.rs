//! Servers that are started for tests, and end with them.

#![cfg(all(unix, feature = "servers"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use session_conformance::servers::{self, Origin, Server};

/// Set for a process of tests that is to be killed.
const VICTIM: &str = "SESSION_CONFORMANCE_VICTIM";

fn address(server: &Server) -> &str {
    let after_scheme = server.url().rsplit("//").next().unwrap();
    after_scheme.rsplit('@').next().unwrap().split(['/', ',']).next().unwrap()
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(address(server)).unwrap()
}

fn refuses(address: &str) -> bool {
    TcpStream::connect(address).is_err()
}

/// The temporary folders of the servers of this process.
fn folders(process: u32) -> Vec<String> {
    let names = env::temp_dir().read_dir().unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("session-test-") && name.contains(&format!("-{process}-"))).collect()
}

#[test]
fn each_server_is_ready_when_it_is_handed_out() {
    for server in [
        servers::redis(),
        servers::redis_cluster(),
        servers::redis_sentinel(),
        servers::postgres(),
        servers::mysql(),
        servers::mongodb(),
    ] {
        println!("{:?} {:?} at {}", server.origin(), server.version(), server.url());
        connect(server);
    }
    assert!(std::ptr::eq(servers::redis(), servers::redis()));
}

#[test]
fn a_server_of_ones_own_is_killed_started_again_and_paused() {
    let server = servers::own_redis(&[]);
    assert_eq!(server.origin(), Origin::Local);
    let address = address(&server).to_owned();
    let ping = |wait| {
        let mut connection = connect(&server);
        connection.set_read_timeout(Some(wait)).unwrap();
        connection.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        connection.read_exact(&mut answer).map(|()| answer)
    };
    assert_eq!(&ping(Duration::from_secs(20)).unwrap(), b"+PONG\r\n");
    server.kill();
    assert!(refuses(&address));
    server.start();
    server.pause();
    ping(Duration::from_millis(100)).unwrap_err();
    server.resume();
    assert_eq!(&ping(Duration::from_secs(20)).unwrap(), b"+PONG\r\n");
    // Also one that is paused ends.
    server.pause();
    drop(server);
    assert!(refuses(&address));
}

#[test]
fn the_other_servers_survive_being_killed_too() {
    for server in [servers::own_postgres(&[]), servers::own_mysql(&[]), servers::own_mongodb(&[])] {
        server.kill();
        assert!(refuses(address(&server)), "{}", server.url());
        server.start();
        connect(&server);
    }
}

/// How the threads of the program that listens there are, as the kernel says it: one letter each.
#[cfg(target_os = "linux")]
fn threads(server: &Server) -> String {
    let port = ports(server)[0].to_string();
    let read = |path: String| fs::read_to_string(path).unwrap();
    let of_port = |pid: &String| read(format!("/proc/{pid}/cmdline")).contains(&port);
    let pids = folders(std::process::id()).into_iter().map(|folder| env::temp_dir().join(folder).join("pid"));
    let pids = pids.filter_map(|path| Some(fs::read_to_string(path).ok()?.trim().to_owned()));
    let pid = pids.into_iter().find(of_port).unwrap();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let state = |status: String| status.split_once("State:").unwrap().1.trim_start().chars().next().unwrap();
    threads.map(|thread| state(read(thread.unwrap().path().join("status").display().to_string()))).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_is_paused_when_each_of_its_threads_has_stopped() {
    for server in [servers::own_mysql(&[]), servers::own_mongodb(&[])] {
        for _ in 0..10 {
            server.pause();
            assert_eq!(threads(&server).trim_matches('T'), "", "{}", server.url());
            server.resume();
        }
    }
}

/// The ports that the URL names.
fn ports(server: &Server) -> Vec<u16> {
    let hosts = server.url().split('/').nth(2).unwrap().split(',');
    hosts.map(|host| host.rsplit(':').next().unwrap().parse().unwrap()).collect()
}

/// What a Redis says to this.
fn ask(port: u16, command: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(connection, "{command}\r\n").unwrap();
    // It answers what it has read, and closes.
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn each_master_of_a_cluster_has_a_replica_that_follows() {
    let server = servers::own_redis_cluster();
    let ports = ports(&server);
    assert_eq!(ports.len(), 3);
    for port in ports {
        let info = ask(port, "INFO replication");
        assert!(["role:master", "connected_slaves:1", "state=online"].iter().all(|it| info.contains(it)), "{info}");
        // One dies, the others are still there.
        server.node(port).kill();
        assert!(refuses(&format!("127.0.0.1:{port}")));
        server.node(port).start();
        assert!(ask(port, "PING").contains("PONG"));
    }
}

#[test]
fn three_sentinels_watch_a_master_with_two_replicas_that_follow() {
    let server = servers::own_redis_sentinel();
    let (ports, name) = (ports(&server), server.url().rsplit('/').next().unwrap());
    assert_eq!(ports.len(), 3);
    let mut masters = ports.iter().map(|&port| {
        let quorum = ask(port, &format!("SENTINEL CKQUORUM {name}"));
        assert!(quorum.starts_with("+OK 3 usable"), "{quorum}");
        let master = ask(port, &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {name}"));
        master.lines().nth(4).unwrap().parse().unwrap()
    });
    let master: u16 = masters.next().unwrap();
    assert!(masters.all(|other| other == master));
    let info = ask(master, "INFO replication");
    assert!(["role:master", "connected_slaves:2"].iter().all(|it| info.contains(it)), "{info}");
    assert_eq!(info.matches("state=online").count(), 2, "{info}");
    server.node(master).kill();
    assert!(refuses(&format!("127.0.0.1:{master}")));
}

#[test]
fn a_test_process_that_is_killed_leaves_no_server_and_no_folder() {
    if env::var_os(VICTIM).is_some() {
        for server in [servers::own_redis(&[]), servers::own_postgres(&[])] {
            println!("\nstarted {}", address(&server));
            std::mem::forget(server);
        }
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_test_process_that_is_killed_leaves_no_server_and_no_folder", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let addresses: Vec<_> = lines.filter_map(|line| line.strip_prefix("started ").map(str::to_owned)).take(2).collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!(folders(victim.id()).len(), 2);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let start = Instant::now();
    while !(addresses.iter().all(|address| refuses(address)) && folders(victim.id()).is_empty()) {
        assert!(start.elapsed() < Duration::from_secs(20), "left behind: {addresses:?}, {:?}", folders(victim.id()));
        std::thread::yield_now();
    }
}
