//! The sites: how they are built and started.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    programs,
    step::{self, cargo},
};

/// Whose sessions a site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    Ours,
    /// Ours on actix-web, to stand beside actix-session. The other one is on axum.
    OursOnActix,
    /// Ours, in an older commit.
    Base,
    TowerSessions,
    ActixSession,
    Express,
    /// Nobody's: a layer by hand that keeps what each request is promised, over our store.
    LeastLayer,
    /// Nobody's: the plain statements of a driver, or nothing.
    Floor,
}

impl Author {
    /// With the version. Its stores stand on tower-sessions' core of version 0.14.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursOnActix => "ours, on actix-web",
            Self::Base => "ours, the base",
            Self::TowerSessions => "tower-sessions",
            Self::ActixSession => "actix-session",
            Self::Express => "express-session",
            Self::LeastLayer => "least layer",
            Self::Floor => "floor",
        }
    }
}

/// The programs of the sites.
pub(super) struct Programs {
    ours: PathBuf,
    ours_on_actix: PathBuf,
    base: Option<PathBuf>,
    peers: PathBuf,
    express: Option<PathBuf>,
}

impl Programs {
    /// Builds them all. Of the express site it says if it cannot be.
    pub(super) fn build(base: Option<&str>) -> Result<Self, String> {
        let peers = step::root().join("benchmarks/peers");
        let folder = step::target().join("peers");
        step::run_in(cargo(&["build", "--release", "--locked"]).env("CARGO_TARGET_DIR", &folder), &peers)?;
        let base = base.map(unpack).transpose()?;
        Ok(Self {
            ours: build(&step::root(), SITE)?,
            ours_on_actix: build(&step::root(), SITE_ON_ACTIX)?,
            base: base.as_deref().map(|repository| build(repository, SITE)).transpose()?,
            peers: folder.join("release"),
            express: install_express(&peers.join("express")),
        })
    }

    /// The program of this author, and the first of its arguments.
    fn of(&self, author: Author) -> Option<Command> {
        let command = match author {
            Author::Ours | Author::LeastLayer | Author::Floor => run(&self.ours),
            Author::OursOnActix => run(&self.ours_on_actix),
            Author::Base => run(self.base.as_deref()?),
            Author::TowerSessions => run(&self.peers.join("peer-tower-sessions")),
            Author::ActixSession => run(&self.peers.join("peer-actix-session")),
            Author::Express => {
                let mut command = run(Path::new("node"));
                command.arg(self.express.as_deref()?);
                command
            }
        };
        Some(command)
    }

    /// Starts the site. `None` if it cannot be here.
    pub(super) fn start(&self, author: Author, kind: &str, url: &str) -> Result<Option<Site>, String> {
        let Some(mut command) = self.of(author) else { return Ok(None) };
        let child = command.args(["serve", kind, url]).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{} cannot be started: {error}", author.name()))?;
        let mut port = String::new();
        let said = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut port));
        let site = Site { author, child, port: port.trim().to_owned() };
        match said {
            Some(Ok(_)) if !site.port.is_empty() => Ok(Some(site)),
            _ => Err(format!("the site of {} over {kind} does not start", author.name())),
        }
    }

    /// The CPU time of each operation without a network: its name, and nanoseconds.
    pub(super) fn in_process(&self, author: Author, kind: &str) -> Result<Option<Vec<(String, f64)>>, String> {
        let Some(mut command) = self.of(author) else { return Ok(None) };
        let said = step::output(command.args(["in-process", kind]))?;
        let number = |line: &str| {
            let (name, time) = line.split_once(' ')?;
            Some((name.to_owned(), time.parse().ok()?))
        };
        Ok(Some(said.lines().filter_map(number).collect()))
    }

    /// The clients of all sites.
    pub(super) fn clients(&self) -> Command {
        run(&self.ours)
    }
}

/// A command that the kernel kills with this process. It has a session of processes of its own, as a service has: Linux may
/// share a core among such sessions. So the database, which is in the session of this process, is apart from it.
fn run(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "setsid"]).arg(program);
    command
}

/// A site that answers. It ends when this is dropped.
pub(super) struct Site {
    pub(super) author: Author,
    child: Child,
    port: String,
}

impl Site {
    pub(super) fn port(&self) -> &str {
        &self.port
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // If it has ended by itself, nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A package, and its folder.
type Package = (&'static str, &'static str);

const SITE: Package = ("benchmark-site", "benchmarks/site");
const SITE_ON_ACTIX: Package = ("benchmark-site-actix", "benchmarks/site-actix");

/// Builds one of our sites in this checkout of the repository. Returns the program.
fn build(repository: &Path, (package, folder): Package) -> Result<PathBuf, String> {
    let mut command = cargo(&["build", "--release", "--package", package]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(repository.join("Cargo.toml"));
    // Other people's crates are built once for all commits.
    command.env("CARGO_TARGET_DIR", step::target());
    let messages = step::output(&mut command)?;
    step::program_of(&messages, &repository.join(folder).join("src/main.rs"))
        .ok_or_else(|| format!("cargo has not built the site of {}", repository.display()))
}

/// Unpacks this commit in the target folder, with the benchmarks of today. Git does not hear of it.
fn unpack(commit: &str) -> Result<PathBuf, String> {
    let git = |arguments: &[&str]| step::output(Command::new("git").args(arguments));
    let commit = git(&["rev-parse", "--verify", &format!("{commit}^{{commit}}")])?;
    let folder = step::target().join("bench-base").join(commit.trim());
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{} cannot be removed: {error}", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let archive = folder.with_extension("tar");
    git(&["archive", "--output", &archive.display().to_string(), commit.trim(), "--", ".", ":!benchmarks"])?;
    step::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder))?;
    step::run(Command::new("cp").arg("--recursive").arg(step::root().join("benchmarks")).arg(&folder))?;
    Ok(folder)
}

/// The program of the express site. `None`, and a sentence, where there is no Node.
fn install_express(folder: &Path) -> Option<PathBuf> {
    if !programs::is_installed("node") || !programs::is_installed("npm") {
        println!("express-session is not measured: node and npm are not there");
        return None;
    }
    // The packages are kept in the target folder, where Node finds them from the program beside them.
    let copy = step::target().join("peers/express");
    let installed = step::run(Command::new("mkdir").arg("--parents").arg(&copy))
        .and_then(|()| step::run(Command::new("cp").arg("--recursive").arg(folder.join(".")).arg(&copy)))
        .and_then(|()| step::run_in(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]), &copy));
    if let Err(reason) = &installed {
        println!("express-session is not measured: {reason}");
    }
    installed.is_ok().then(|| copy.join("app.mjs"))
}
