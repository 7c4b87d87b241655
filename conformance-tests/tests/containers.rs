//! Servers in containers: which one is taken, and that none is left behind. These tests need an engine that has the
//! images. `cargo xtask test` provides one.
//!
//! They are a program of their own: some of them run this program again, with one test in it.

#![cfg(all(unix, feature = "containers"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use session_conformance::servers;

/// The variable that names the server which a process of tests asks for.
const ASKED: &str = "SESSION_CONFORMANCE_ASKED";

/// This test again, in a process of its own, with these variables.
fn process(test: &str, asked: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ASKED, asked);
    for variable in ["SESSION_TEST_REDIS_URL", "SESSION_TEST_REDIS_CLUSTER_URL", "SESSION_TEST_SERVERS"] {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied());
    command
}

/// In such a process, gets the server, prints where it is from, and waits to be killed if it shall. Returns whether
/// this is such a process.
fn serve() -> bool {
    let Ok(asked) = env::var(ASKED) else { return false };
    let (what, then) = asked.split_once(' ').unwrap_or((&asked, ""));
    let server = match what {
        "redis" => servers::redis(),
        "cluster" => servers::redis_cluster(),
        "postgres" => servers::postgres(),
        "mysql" => servers::mysql(),
        "mongodb" => servers::mongodb(),
        other => panic!("{other}?"),
    };
    println!("\n{:?} {} {}", server.origin(), server.url(), server.version().unwrap_or_default());
    if then != "stay" {
        return true;
    }
    loop {
        std::thread::park();
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The containers of the process, whatever their state, and their ports.
fn containers(process: &Child) -> Vec<String> {
    let filter = format!("name=session-test-.*-{}-", process.id());
    let mut docker = Command::new("docker");
    let output =
        docker.args(["ps", "--all", "--format", "{{.Names}} {{.Ports}}", "--filter", &filter]).output().unwrap();
    assert!(output.status.success(), "no container engine answers: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(40), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn each_server_runs_in_a_container_and_says_its_version() {
    const TEST: &str = "each_server_runs_in_a_container_and_says_its_version";
    if serve() {
        return;
    }
    // The image that `cargo xtask images` makes does not claim to be MongoDB.
    let is_stand_in = env::var("SESSION_TEST_MONGODB_IMAGE").is_ok_and(|image| image.contains("session-test"));
    for (server, scheme, version) in [
        ("redis", "redis://127.0.0.1:", "v="),
        ("postgres", "postgres://postgres@127.0.0.1:", "postgres (PostgreSQL) "),
        ("mysql", "mysql://root@127.0.0.1:", "Ver "),
        ("mongodb", "mongodb://127.0.0.1:", if is_stand_in { ", a stand-in for MongoDB" } else { "db version v" }),
    ] {
        let output = process(TEST, server, &[("SESSION_TEST_SERVERS", "container")]).output().unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        let line = said.lines().find(|line| line.starts_with("Container ")).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(scheme) && line.contains(version), "{line}");
    }
}

#[test]
fn a_container_comes_before_a_program_and_after_a_url() {
    const TEST: &str = "a_container_comes_before_a_program_and_after_a_url";
    if serve() {
        return;
    }
    let origin = |asked: &str, environment: &[(&str, &str)]| {
        let output = process(TEST, asked, environment).output().unwrap();
        let said = said(&output);
        let origins = ["Url", "Container", "Local"];
        origins.into_iter().find(|origin| said.lines().any(|line| line.starts_with(&format!("{origin} ")))).ok_or(said)
    };
    let url = ("SESSION_TEST_REDIS_URL", "redis://127.0.0.1:1");
    let no_image = ("SESSION_TEST_REDIS_IMAGE", "127.0.0.1:1/no/image:at-all");
    let no_engine = ("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let forced = ("SESSION_TEST_SERVERS", "container");
    assert_eq!(origin("redis", &[]), Ok("Container"));
    assert_eq!(origin("redis", &[url]), Ok("Url"));
    assert_eq!(origin("redis", &[url, forced]), Ok("Container"));
    assert_eq!(origin("redis", &[("SESSION_TEST_SERVERS", "local")]), Ok("Local"));
    // An image that cannot be had is passed over, unless a container is forced.
    assert_eq!(origin("redis", &[no_image]), Ok("Local"));
    assert_eq!(origin("redis", &[no_engine]), Ok("Local"));
    let sentence = origin("redis", &[no_image, forced]).unwrap_err();
    for part in ["no image 127.0.0.1:1/no/image:at-all", "SESSION_TEST_REDIS_IMAGE", "cargo xtask images"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    let sentence = origin("redis", &[no_engine, forced]).unwrap_err();
    for part in ["no container engine answers at unix:///nowhere/docker.sock", "docker.io", "DOCKER_HOST"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    // A cluster consists of programs, whatever is forced.
    assert_eq!(origin("cluster", &[forced]), Ok("Local"));
}

#[test]
fn a_test_process_that_is_killed_leaves_no_container() {
    const TEST: &str = "a_test_process_that_is_killed_leaves_no_container";
    if serve() {
        return;
    }
    let forced = ("SESSION_TEST_SERVERS", "container");
    let start = |asked| process(TEST, asked, &[forced]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut victim = start("redis stay");
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("Container ")).unwrap();
    let address = line.split_once("redis://").unwrap().1.split(' ').next().unwrap().to_owned();
    TcpStream::connect(&address).unwrap();
    let [container] = &containers(&victim)[..] else { panic!("{:?}", containers(&victim)) };
    // Only this machine reaches a server without a password.
    assert!(container.ends_with(&format!(" {address}->6379/tcp")), "{container}");
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the container is left behind", || containers(&victim).is_empty());
    TcpStream::connect(&address).unwrap_err();

    // A container that is not ready yet is not left behind either. This server is the slowest to be ready.
    let mut victim = start("mongodb stay");
    wait_until("no container is made", || !containers(&victim).is_empty());
    victim.kill().unwrap();
    let output = victim.stdout.take().unwrap();
    victim.wait().unwrap();
    let is_ready = BufReader::new(output).lines().any(|line| line.unwrap().starts_with("Container "));
    assert!(!is_ready, "it was killed too late");
    wait_until("the container is left behind", || containers(&victim).is_empty());
}

#[test]
fn a_container_that_ends_early_fails_at_once_and_leaves_nothing() {
    const TEST: &str = "a_container_that_ends_early_fails_at_once_and_leaves_nothing";
    if serve() {
        return;
    }
    // Each refuses the arguments of the other.
    let image = |variable, default: &str| env::var(variable).unwrap_or_else(|_| default.into());
    let redis = image("SESSION_TEST_REDIS_IMAGE", "redis:8");
    let postgres = image("SESSION_TEST_POSTGRES_IMAGE", "postgres:18");
    for (asked, variable, image, log) in [
        ("redis", "SESSION_TEST_REDIS_IMAGE", &postgres, "--save requires a value"),
        ("postgres", "SESSION_TEST_POSTGRES_IMAGE", &redis, "FATAL CONFIG FILE ERROR"),
    ] {
        let start = Instant::now();
        let environment = [("SESSION_TEST_SERVERS", "container"), (variable, image.as_str())];
        let mut process = process(TEST, asked, &environment);
        let child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        let output = child.wait_with_output().unwrap();
        let said = said(&output);
        assert!(!output.status.success() && said.contains("does not start in a container"), "{said}");
        assert!(said.contains(log), "{said}");
        // The failure is noticed at once, and not after the minute that a server may take.
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
        // The engine may still be taking it away.
        wait_until("the container is left behind", || {
            let names = Command::new("docker").args(["ps", "--all", "--format", "{{.Names}}"]).output().unwrap();
            !String::from_utf8_lossy(&names.stdout).contains(&format!("-{id}-"))
        });
    }
}
