//! The programs that the tests need: Chromium with its driver, the database servers, and the container engine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{engine, step};

/// A program, and Debian's package of it.
pub(crate) type Program = (&'static str, &'static str);

pub(crate) const BROWSER: [Program; 2] = [("chromium", "chromium"), ("chromedriver", "chromium-driver")];

pub(crate) const SERVERS: [Program; 4] = [
    ("redis-server", "redis-server"),
    ("postgres", "postgresql"),
    ("pgbouncer", "pgbouncer"),
    ("mariadbd", "mariadb-server"),
];

/// Debian has no MongoDB. These fetch and start a stand-in for it.
pub(crate) const STAND_IN: [Program; 2] = [("javac", "default-jdk-headless"), ("mvn", "maven")];

/// The container engine, and what makes images for it.
pub(crate) const ENGINE: [Program; 3] =
    [("docker", "docker.io"), ("dockerd", "docker.io"), ("debootstrap", "debootstrap")];

/// Installs what is missing of these, where that is ours to do: as root on Debian. Else says what to install.
pub(crate) fn provide(programs: &[Program]) -> Result<(), String> {
    let is_provided = |program| is_installed(program) || (program == "dockerd" && engine::answers());
    let missing: Vec<_> = programs.iter().copied().filter(|(program, _)| !is_provided(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (programs, packages): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
    let missing = format!("the tests need {}", programs.join(", "));
    let install = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/etc/debian_version").exists() || !is_installed("apt-get") {
        return Err(format!("{missing} on the PATH; on Debian: {install}"));
    }
    if step::output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!("{missing}: sudo {install}"));
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        // The tests start servers of their own: those that Debian would start on installation are not wanted.
        apt.env("RUNLEVEL", "1");
        apt
    };
    step::run(apt().args(["update", "--quiet"]))?;
    step::run(apt().args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(packages))
}

/// On the PATH, or where Debian keeps servers.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .chain(versions.map(|version| version.path().join("bin")));
    folders.any(|folder| folder.join(program).is_file())
}
