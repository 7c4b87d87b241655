//! Servers that are started for tests, and end with them.
//!
//! They are a program of their own: some of them run this program again, with one test in it, and kill it.

#![cfg(all(unix, feature = "servers"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use session_conformance::servers::{self, Origin, Server};

/// The variable that marks a process of tests which is to be killed.
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
    // A paused server ends, too.
    server.pause();
    drop(server);
    assert!(refuses(&address));
}

/// PostgreSQL has a process for each connection.
#[test]
fn a_paused_server_is_silent_on_the_connections_that_are_there() {
    const START: &[u8] = b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00";
    const QUERY: &[u8] = b"Q\x00\x00\x00\x0eSELECT 42\x00";
    let server = servers::own_postgres(&[]);
    let mut connection = connect(&server);
    let mut wait_until_ready = |wait, message: &[u8]| {
        connection.set_read_timeout(Some(wait)).unwrap();
        connection.write_all(message).unwrap();
        let mut answer = vec![0];
        while !answer.ends_with(b"Z\x00\x00\x00\x05I") {
            answer.push(0);
            connection.read_exact(std::slice::from_mut(answer.last_mut().unwrap()))?;
        }
        std::io::Result::Ok(())
    };
    wait_until_ready(Duration::from_secs(20), START).unwrap();
    wait_until_ready(Duration::from_secs(20), QUERY).unwrap();
    server.pause();
    wait_until_ready(Duration::from_millis(100), QUERY).unwrap_err();
    server.resume();
    wait_until_ready(Duration::from_secs(20), b"").unwrap();
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

/// The states of the threads of the program that listens there, as the kernel tells them: one letter each.
#[cfg(target_os = "linux")]
fn threads(server: &Server) -> String {
    let port = ports(server)[0].to_string();
    let read = |path: String| fs::read_to_string(path).unwrap();
    let is_port = |argument: &str| argument.rsplit('=').next() == Some(&*port);
    // A server of another test may end at the same time.
    let line = |pid: &String| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let of_port = |pid: &String| line(pid).split('\0').any(is_port);
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

/// The answer of a Redis to this command.
fn ask(port: u16, command: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(connection, "{command}\r\n").unwrap();
    // The server answers what it has read, and closes the connection.
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
        // One program dies, and the others are still there.
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

/// A process of tests that does what only the victim in the test of this name does.
fn victim(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(VICTIM, "1").stdout(Stdio::piped());
    // It gets a process group of its own, as from a shell. So it can be interrupted with all that it has started.
    command.process_group(0);
    command
}

/// The victim's lines about what it has started.
fn started(victim: &mut Child, number: usize) -> Vec<String> {
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<_> = lines.filter_map(|line| Some(line.strip_prefix("started ")?.to_owned())).take(number).collect();
    assert_eq!(lines.len(), number);
    lines
}

/// Sends this signal to the process and to all that it has started. If the process lives on, it is killed, and the test
/// fails.
fn signal(victim: &mut Child, signal: &str) {
    let group = format!("-{}", victim.id());
    let send =
        |signal: &str| Command::new("sh").args(["-c", "kill -s $0 -- $1", signal, &group]).status().unwrap().success();
    assert!(send(signal));
    let start = Instant::now();
    while victim.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            send("KILL");
            panic!("the victim lives on after {signal}");
        }
        std::thread::yield_now();
    }
}

/// A signal that a process may handle, and one that it may not. A terminal sends INT, which would do the same here. But
/// a program that a shell runs in the background ignores INT, and so do the programs that it starts.
const ENDS: [&str; 2] = ["TERM", "KILL"];

/// The processes whose folder or command line names the servers of this process.
#[cfg(target_os = "linux")]
fn programs(process: u32) -> Vec<String> {
    let infix = format!("-{process}-");
    let of_process = |text: &str| text.split("session-test-").skip(1).any(|name| name.contains(&infix));
    let describe = |path: PathBuf| {
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let folder = fs::read_link(path.join("cwd")).unwrap_or_default();
        format!("{}: {} in {}", path.display(), String::from_utf8_lossy(&words), folder.display())
    };
    let numbers = fs::read_dir("/proc").unwrap().map(|it| it.unwrap().path());
    let numbers = numbers.filter(|it| it.file_name().unwrap().to_string_lossy().parse::<u32>().is_ok());
    numbers.map(describe).filter(|it| of_process(it)).collect()
}

/// Without `/proc` nothing tells.
#[cfg(not(target_os = "linux"))]
fn programs(_: u32) -> Vec<String> {
    Vec::new()
}

/// Waits until nothing of the servers of this process is left.
fn wait_until_nothing_is_left(process: u32) {
    let start = Instant::now();
    loop {
        let left = [folders(process), programs(process)].concat();
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "left behind: {left:#?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_test_process_that_is_killed_leaves_no_server_and_no_folder() {
    if env::var_os(VICTIM).is_some() {
        for server in [servers::own_redis(&[]), servers::own_postgres(&[]), servers::own_mongodb(&[])] {
            println!("\nstarted {}", address(&server));
            std::mem::forget(server);
        }
        loop {
            std::thread::park();
        }
    }
    for end in ENDS {
        let mut victim = victim("a_test_process_that_is_killed_leaves_no_server_and_no_folder").spawn().unwrap();
        let addresses = started(&mut victim, 3);
        assert_eq!(folders(victim.id()).len(), 3);
        signal(&mut victim, end);
        wait_until_nothing_is_left(victim.id());
        assert!(addresses.iter().all(|address| refuses(address)), "{addresses:?}");
    }
}

/// Kills the victim in the test of this name once one of its folders is as `is_so` demands. The script runs in place of
/// the program, and finds its own folder in `$place`.
fn kill_while(test: &str, program: &str, script: &str, is_so: impl Fn(PathBuf) -> bool) {
    let place = env::temp_dir().join(format!("session-place-of-{program}-{}", std::process::id()));
    fs::create_dir(&place).unwrap();
    let path = place.join(program);
    fs::write(&path, format!("#!/bin/sh\nplace='{}'\n{script}", place.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let before = env::var_os("PATH").unwrap();
    let path = env::join_paths([place.clone()].into_iter().chain(env::split_paths(&before))).unwrap();
    for end in ENDS {
        let mut victim = victim(test).env("PATH", &path).env("PATH_BEFORE", &before).spawn().unwrap();
        let start = Instant::now();
        while !folders(victim.id()).iter().any(|folder| is_so(env::temp_dir().join(folder))) {
            assert!(start.elapsed() < Duration::from_secs(20), "{program} is not run");
            std::thread::yield_now();
        }
        signal(&mut victim, end);
        fs::write(place.join("ended"), "").unwrap();
        wait_until_nothing_is_left(victim.id());
        fs::remove_file(place.join("ended")).unwrap();
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_test_process_that_is_killed_while_a_server_is_prepared_leaves_nothing() {
    if env::var_os(VICTIM).is_some() {
        drop(servers::own_postgres(&[]));
    }
    let name = "a_test_process_that_is_killed_while_a_server_is_prepared_leaves_nothing";
    // This script does not end, and makes its folder again whenever that is removed.
    let script = "for data; do :; done\nwhile :; do mkdir -p \"$data/endless\"; done\n";
    kill_while(name, "initdb", script, |folder| folder.join("data/endless").exists());
}

#[test]
fn a_test_process_that_is_killed_while_a_folder_is_made_leaves_nothing() {
    if env::var_os(VICTIM).is_some() {
        drop(servers::own_redis(&[]));
    }
    let name = "a_test_process_that_is_killed_while_a_folder_is_made_leaves_nothing";
    // This script has made its folder when the victim has ended.
    let script = "PATH=$PATH_BEFORE\nmkdir \"$@\"\nuntil [ -e \"$place/ended\" ]; do :; done\n";
    kill_while(name, "mkdir", script, |_| true);
}

#[test]
fn a_test_process_that_is_killed_while_its_redis_has_forked_leaves_nothing() {
    if env::var_os(VICTIM).is_some() {
        // The delay for each key is in microseconds. With it the rewriting would outlive the test.
        let server = servers::own_redis(&["--rdb-key-save-delay", "60000000"]);
        let port = ports(&server)[0];
        assert!(ask(port, "SET one key").contains("OK"));
        // The forked process holds the connection, too, so the connection is not closed.
        let (mut connection, mut answer) = (connect(&server), String::new());
        connection.write_all(b"BGREWRITEAOF\r\n").unwrap();
        BufReader::new(connection).read_line(&mut answer).unwrap();
        assert!(answer.contains("started"), "{answer}");
        while !ask(port, "INFO persistence").contains("aof_rewrite_in_progress:1") {}
        println!("\nstarted {port}");
        std::mem::forget(server);
        loop {
            std::thread::park();
        }
    }
    let mut victim = victim("a_test_process_that_is_killed_while_its_redis_has_forked_leaves_nothing").spawn().unwrap();
    started(&mut victim, 1);
    signal(&mut victim, "KILL");
    wait_until_nothing_is_left(victim.id());
}

/// Java keeps a file about itself there, and leaves it when it is killed.
#[test]
fn the_stand_in_for_mongodb_writes_into_no_folder_but_its_own() {
    let server = servers::own_mongodb(&[]);
    let pids = folders(std::process::id()).into_iter().filter(|name| name.contains("-mongodb-"));
    let pids: Vec<_> =
        pids.filter_map(|name| fs::read_to_string(env::temp_dir().join(name).join("pid")).ok()).collect();
    let elsewhere = env::temp_dir().read_dir().unwrap().map(|it| it.unwrap().path());
    let elsewhere = elsewhere.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("hsperfdata_"));
    let files: Vec<_> = elsewhere.flat_map(|folder| pids.iter().map(move |pid| folder.join(pid.trim()))).collect();
    assert!(!files.iter().any(|file| file.exists()), "{} writes into {files:?}", server.url());
}

/// If others could write into the folder, they could put a program there that the tests would then run.
#[test]
fn the_stand_in_for_mongodb_is_not_kept_among_temporary_files() {
    if env::var_os(VICTIM).is_some() {
        drop(servers::own_mongodb(&[]));
        return;
    }
    let place = env::temp_dir().join(format!("session-stand-in-{}", std::process::id()));
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o1777)).unwrap();
    let program = place.join("tests");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut victim = Command::new(program);
    victim.args(["--exact", "the_stand_in_for_mongodb_is_not_kept_among_temporary_files"]);
    victim.env(VICTIM, "1").env("TMPDIR", &place).output().unwrap();
    let names: Vec<_> = place.read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    fs::remove_dir_all(place).unwrap();
    assert_eq!(names, ["tests"]);
}
