//! A program that ends with the test process, however that ends.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a server may take until it is ready.
pub(super) const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A word a line is an order, and is answered when it is done. When the pipe of the orders is closed, which the end of the
/// test process does however it ends, the server is ended and the folder removed.
const SUPERVISOR: &str = r#"
trap '' PIPE
folder=$1 end=$2
shift 2
running=
start() {
    rm -f "$folder/pid"
    (sh -c 'echo $$ >"$0/pid"; exec "$@"' "$folder" "$@"; printf '\nended: %s\n' $?) >"$folder/log" 2>&1 </dev/null &
    until [ -s "$folder/pid" ]; do :; done
    running=yes
}
signal() { [ -z "$running" ] || kill -s "$1" "$(cat "$folder/pid")" 2>/dev/null; }
# The signal alone does not wait until each thread has stopped. Where there is no /proc it has to do.
pause() {
    [ -n "$running" ] || return
    signal STOP
    for thread in "/proc/$(cat "$folder/pid")/task/"*; do
        until [ ! -e "$thread" ] || grep -q '^State:.T' "$thread/status" 2>/dev/null; do :; done
    done
}
end() { signal "$end"; signal CONT; wait; running=; }
while read -r order; do
    case $order in
        start) start "$@" ;;
        kill) end ;;
        pause) pause ;;
        resume) signal CONT ;;
    esac
    echo "$order"
done
end
rm -rf "$folder"
"#;

/// The sentence of the supervisor's in the log.
const ENDED: &str = "\nended: ";

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

/// A server that runs under its supervisor.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) port: u16,
    folder: PathBuf,
    ready: &'static str,
    supervisor: Mutex<Supervisor>,
}

#[derive(Debug)]
struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the server in this folder, which goes with it. The error is the server's log.
    fn start(folder: PathBuf, port: u16, plan: &Plan) -> Result<Self, String> {
        let mut child = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(&folder)
            .arg(plan.end)
            .args(&plan.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own: what interrupts the tests must not end the supervisor before it has cleaned up.
            .process_group(0)
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let supervisor = Mutex::new(Supervisor { child, orders, answers });
        let process = Self { port, folder, ready: plan.ready, supervisor };
        process.order("start");
        process.wait_until_ready()?;
        Ok(process)
    }

    pub(super) fn kill(&self) {
        self.order("kill");
    }

    pub(super) fn restart(&self) {
        self.order("start");
        self.wait_until_ready().unwrap_or_else(|log| panic!("the server does not start again:\n{log}"));
    }

    pub(super) fn pause(&self) {
        self.order("pause");
    }

    pub(super) fn resume(&self) {
        self.order("resume");
    }

    fn order(&self, word: &str) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(supervisor.orders.as_mut().unwrap(), "{word}").unwrap();
        let mut answer = String::new();
        supervisor.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), word, "the supervisor of a server has ended");
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let log = fs::read(self.folder.join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            if log.contains(self.ready) {
                return Ok(());
            }
            if log.contains(ENDED) || start.elapsed() > STARTS_WITHIN {
                return Err(log.into_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        supervisor.orders = None;
        // It ends by itself now. If it cannot be waited for, nothing is lost.
        let _ = supervisor.child.wait();
    }
}

/// Starts a server on a free port: again on another one if it does not start, since the port may have been taken
/// meanwhile.
pub(super) fn start_on_a_free_port(name: &str, plan: impl Fn(&Path, u16) -> Plan) -> (Process, u16) {
    let mut log = String::new();
    for _ in 0..5 {
        let (folder, port) = (make_folder(name), free_port());
        match Process::start(folder.clone(), port, &plan(&folder, port)) {
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

fn make_folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("session-test-{name}-{}-{next}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => return folder,
            // Of an earlier process with the same number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{} cannot be made: {error}", folder.display()),
        }
    }
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

/// What goes in front of a command of a server that refuses to run as root. Its folder is given to whom it runs as.
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

/// Runs a step of the preparation to its end.
pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} has failed:\n{said}");
}
