//! A temporary folder, and the programs that run in it. Both end when the test process ends, even if that is killed.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead, BufReader, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The script that makes the folder, and removes it when its pipe is closed. The test process holds the pipe, and so
/// does each runner of a program there. So when the pipe is closed, every program has been killed, and is at most
/// finishing its last write.
const KEEPER: &str = r#"
trap '' PIPE
folder=$1 tries=0
mkdir "$folder" || exit
echo made 2>/dev/null
while read -r _; do :; done
until rm -rf "$folder" 2>/dev/null || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
"#;

/// The script that runs the program. It reads orders, one word a line, and answers each when it is done. When the pipe
/// of the orders is closed, it ends the program, and then whatever the program has left in its process group.
const RUNNER: &str = r#"
folder=$1 end=$2
shift 2
# It is there while the program runs.
: >"$folder/pid"
signal() { [ ! -s "$folder/pid" ] || kill -s "$1" "$(cat "$folder/pid")"; }
# PostgreSQL has a process for each connection. Each is told, too, and may have ended in between.
signal_children() {
    for child in $(cat "/proc/$(cat "$folder/pid")/task/"*/children); do
        kill -s "$1" "$child"
        [ "$1" != STOP ] || has_stopped "$child"
    done
}
# The signal alone does not wait until each thread has stopped. Where there is no /proc it has to do.
has_stopped() {
    for thread in "/proc/$1/task/"*; do
        until [ ! -e "$thread" ] || grep -q '^State:.[TZ]' "$thread/status"; do :; done
    done
}
pause() {
    [ -s "$folder/pid" ] || return
    signal STOP
    has_stopped "$(cat "$folder/pid")"
    # Now it makes no others.
    signal_children STOP
}
resume() {
    [ -s "$folder/pid" ] || return
    signal_children CONT
    signal CONT
}
obey() {
    trap '' PIPE
    until [ -s "$folder/pid" ] || [ ! -e "$folder/pid" ]; do :; done
    echo started
    while read -r order; do
        case $order in
            pause) pause ;;
            resume) resume ;;
        esac
        echo "$order"
    done
    signal "$end"
    resume
}
exec 3<&0
# Not the other way round: a program that runs in the background of a shell is deaf to some signals.
obey <&3 3<&- &
sh -c 'echo $$ >"$0/pid" && exec "$@"' "$folder" "$@" >"$folder/log" 2>&1 </dev/null 3<&-
status=$?
rm -f "$folder/pid"
printf '\nended: %s\n' "$status" >>"$folder/log"
exec 3<&-
wait
kill -s KILL 0
"#;

/// The runner's sentence in the log, and its end if all went well.
const ENDED: &str = "\nended: ";
const ENDED_WELL: &str = "\nended: 0\n";

/// A folder that nobody else uses.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

/// A program that runs in a folder.
#[derive(Debug)]
pub(super) struct Program {
    runner: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Folder {
    /// Makes a folder in this one. Numbers are added to the name.
    pub(super) fn make(parent: &Path, name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = loop {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{name}-{}-{next}", std::process::id()));
            // If it exists, it is that of an earlier process with the same number.
            if !path.exists() {
                break path;
            }
        };
        let mut keeper = shell(KEEPER).arg(&path).spawn().unwrap();
        let (pipe, mut answers) = (keeper.stdin.take(), BufReader::new(keeper.stdout.take().unwrap()));
        assert_eq!(read_line(&mut answers), "made", "{} cannot be made", path.display());
        Self { path, keeper, pipe }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the program, which ends at this signal.
    pub(super) fn start(&self, command: &[OsString], end: &str) -> Program {
        let pipe = self.pipe.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
        let mut runner = shell(RUNNER).arg(&self.path).arg(end).args(command).stderr(pipe).spawn().unwrap();
        let (orders, answers) = (runner.stdin.take(), BufReader::new(runner.stdout.take().unwrap()));
        let mut program = Program { runner, orders, answers };
        program.expect("started");
        program
    }

    /// Runs a step of the preparation to its end, in this folder.
    pub(super) fn run(&self, command: &[OsString]) {
        self.try_run(command).unwrap_or_else(|log| panic!("{command:?} has failed:\n{log}"));
    }

    /// The same. The error is its log.
    pub(super) fn try_run(&self, command: &[OsString]) -> Result<(), String> {
        let there = [OsStr::new("sh"), OsStr::new("-c"), OsStr::new(r#"cd "$0" && exec "$@""#), self.path.as_os_str()];
        let there: Vec<_> = there.into_iter().map(OsStr::to_owned).chain(command.iter().cloned()).collect();
        // A program that is killed may leave shared memory, and files elsewhere. So this one is asked to end.
        let _program = self.start(&there, "TERM");
        self.wait_until(ENDED_WELL, Duration::MAX)
    }

    /// Waits until the program has written this into its log. If it ends before, or is not in time, the error is the
    /// log.
    pub(super) fn wait_until(&self, says: &str, within: Duration) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let log = fs::read(self.path.join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            if log.contains(says) {
                return Ok(());
            }
            if log.contains(ENDED) || start.elapsed() > within {
                return Err(log.into_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Program {
    /// Gives the order, and waits until it is done.
    pub(super) fn order(&mut self, word: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{word}").unwrap();
        self.expect(word);
    }

    fn expect(&mut self, answer: &str) {
        assert_eq!(read_line(&mut self.answers), answer, "the script that runs the server has ended");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.pipe = None;
        // It ends by itself now. If waiting for it fails, nothing is lost.
        let _ = self.keeper.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.orders = None;
        // The runner ends by itself, too.
        let _ = self.runner.wait();
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    // It gets a process group of its own. A signal that interrupts the tests must not end it before it has cleaned up.
    command.process_group(0);
    command
}

fn read_line(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
