//! MongoDB, or the stand-in for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Server,
    fetched::fetched,
    image::{Image, Ready},
    process::{Plan, find, first_line, start_on_a_free_port},
};

/// Both write this into their logs, because the stand-in's launcher uses the server's words.
const READY: &str = "Waiting for connections";

/// The file by which Maven fetches the stand-in, and the program that starts it.
const POM: &str = include_str!("mongodb/pom.xml");
const LAUNCHER: &str = include_str!("mongodb/Launcher.java");

/// The pom names this version, too.
const STAND_IN: &str = "mongo-java-server-1.47.0";

pub(super) const IMAGE: Image = Image {
    variable: "SESSION_TEST_MONGODB_IMAGE",
    defaults: &["mongo:8"],
    port: 27017,
    arguments: &[],
    environment: &[],
    ready: Ready::Says(READY),
    // An image of the stand-in has a file that says what it is.
    version: "mongod --version || cat /stand-in/version",
    url: |address| format!("mongodb://{address}"),
};

pub(super) fn start(arguments: &[&str]) -> Server {
    find(&["mongod"]).map_or_else(start_stand_in, |program| start_mongod(&program, arguments))
}

fn start_mongod(program: &Path, arguments: &[&str]) -> Server {
    let (process, port) = start_on_a_free_port("mongodb", |folder, port| {
        let mut command = vec![program.as_os_str().to_owned()];
        let (port, folder) = (port.to_string(), folder.path().to_string_lossy());
        command.extend(["--bind_ip", "127.0.0.1", "--port", &port, "--dbpath", &folder].map(Into::into));
        command.extend(arguments.iter().map(Into::into));
        Plan { command, ready: READY, end: "KILL" }
    });
    Server::local(format!("mongodb://127.0.0.1:{port}"), first_line(program, "--version"), vec![process])
}

fn start_stand_in() -> Server {
    // The launcher is a source file, so it needs the package with the compiler.
    let (Some(java), Some(_), Some(maven)) = (find(&["java"]), find(&["javac"]), find(&["mvn"])) else {
        panic!(
            "MongoDB is missing: put mongod on the PATH, or set SESSION_TEST_MONGODB_URL, or for the stand-in \
             apt-get install default-jdk-headless maven"
        )
    };
    let parts = fetch(&maven);
    let (process, port) = start_on_a_free_port("mongodb", |folder, port| {
        let launcher = folder.path().join("Launcher.java");
        fs::write(&launcher, LAUNCHER).unwrap();
        let mut command = vec![java.clone().into_os_string()];
        // These settings keep it small, because it shares the machine with the tests.
        command.extend(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m"].map(Into::into));
        // Without this, Java writes a file about itself for other programs, and leaves it behind.
        command.extend(["-XX:-UsePerfData", "-cp"].map(Into::into));
        command.extend([parts.join("*"), launcher].map(Into::into));
        command.push(port.to_string().into());
        Plan { command, ready: READY, end: "KILL" }
    });
    let version = format!("{STAND_IN}, a stand-in for MongoDB 4.4");
    Server::local(format!("mongodb://127.0.0.1:{port}"), version, vec![process])
}

/// The folder with the stand-in.
fn fetch(maven: &Path) -> PathBuf {
    fetched(STAND_IN, |folder| {
        fs::write(folder.path().join("pom.xml"), POM).unwrap();
        let mut command = vec![maven.as_os_str().to_owned()];
        let to = "-DoutputDirectory=fetched";
        command.extend(["--batch-mode", "--quiet", "dependency:copy-dependencies", to].map(Into::into));
        folder.run(&command);
    })
}
