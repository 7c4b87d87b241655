//! The programs that the tests need: Chromium with its driver, and the database servers.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::step;

/// Each program, and Debian's package of it.
const PACKAGES: [(&str, &str); 8] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("redis-server", "redis-server"),
    ("postgres", "postgresql"),
    ("pgbouncer", "pgbouncer"),
    ("mariadbd", "mariadb-server"),
    // Debian has no MongoDB. These fetch and start a stand-in for it, and are not needed where there is `mongod`.
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
];

/// Installs what is missing, where that is ours to do: as root on Debian. Else says what to install.
pub(crate) fn provide() -> Result<(), String> {
    let is_provided =
        |program| is_installed(program) || (["javac", "mvn"].contains(&program) && is_installed("mongod"));
    let missing: Vec<_> = PACKAGES.into_iter().filter(|(program, _)| !is_provided(program)).collect();
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
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .chain(versions.map(|version| version.path().join("bin")));
    folders.any(|folder| folder.join(program).is_file())
}
