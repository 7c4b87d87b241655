//! A server program that ends when the test process ends, even if that is killed.

use std::{
    env,
    ffi::OsString,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::folder::{Folder, Program};

/// How long a server may take until it is ready.
pub(super) const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// How a server is run.
#[derive(Debug)]
pub(super) struct Plan {
    /// The program and its arguments.
    pub(super) command: Vec<OsString>,
    /// What the server writes to its log when it is ready.
    pub(super) ready: &'static str,
    /// The signal that ends it at once.
    pub(super) end: &'static str,
}

/// A server that runs in a folder of its own.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) port: u16,
    plan: Plan,
    program: Mutex<Option<Program>>,
    folder: Folder,
}

impl Process {
    /// Starts the server in this folder, which is removed with it. The error is the server's log.
    fn start(folder: Folder, port: u16, plan: Plan) -> Result<Self, String> {
        let process = Self { port, plan, program: Mutex::new(None), folder };
        process.start_program()?;
        Ok(process)
    }

    /// `None` while it does not run.
    pub(super) fn id(&self) -> Option<u32> {
        fs::read_to_string(self.folder.path().join("pid")).ok()?.trim().parse().ok()
    }

    pub(super) fn kill(&self) {
        *self.program() = None;
    }

    pub(super) fn restart(&self) {
        self.start_program().unwrap_or_else(|log| panic!("the server does not start again:\n{log}"));
    }

    pub(super) fn pause(&self) {
        self.order("pause");
    }

    pub(super) fn resume(&self) {
        self.order("resume");
    }

    fn start_program(&self) -> Result<(), String> {
        self.kill();
        *self.program() = Some(self.folder.start(&self.plan.command, self.plan.end));
        self.folder.wait_until(self.plan.ready, STARTS_WITHIN)
    }

    fn order(&self, word: &str) {
        self.program().iter_mut().for_each(|program| program.order(word));
    }

    fn program(&self) -> MutexGuard<'_, Option<Program>> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a server on a free port. If it does not start, this tries another port, because somebody else may have taken
/// the first one.
pub(super) fn start_on_a_free_port(name: &str, plan: impl Fn(&Folder, u16) -> Plan) -> (Process, u16) {
    let mut log = String::new();
    for _ in 0..5 {
        let (folder, port) = (Folder::make(&env::temp_dir(), &format!("session-test-{name}")), free_port());
        let plan = plan(&folder, port);
        match Process::start(folder, port, plan) {
            Ok(process) => return (process, port),
            Err(said) => log = said,
        }
    }
    panic!("{name} does not start:\n{log}");
}

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The first of these programs that is on the PATH or where Debian keeps servers.
pub(super) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|it| it.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.push("/usr/sbin".into());
    let programs = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    programs.into_iter().find(|program| program.is_file())
}

/// The first line of what the program prints.
pub(super) fn first_line(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The beginning of the command for a server that refuses to run as root. The user that it runs as becomes the owner of
/// the folder.
pub(super) fn unprivileged(folder: &Path) -> Vec<OsString> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if number(&["-u"]).as_deref() != Some("0") {
        return Vec::new();
    }
    let ids = |user: &str| Some((number(&["-u", user])?, number(&["-g", user])?));
    let (user, group) = ids("postgres").or_else(|| ids("nobody")).unwrap();
    run(Command::new("chown").arg(format!("{user}:{group}")).arg(folder));
    ["setpriv", &format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups", "--"]
        .map(Into::into)
        .to_vec()
}

/// Runs a small step of the preparation to its end.
pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} has failed:\n{said}");
}
