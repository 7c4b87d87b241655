//! The container engine: the one that answers, or else Debian's, which is started and ended again.

use std::{
    env, fs,
    fs::File,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::step;

/// How long an engine may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// The script that ends the engine. It waits until the pipe is closed, which happens whenever this process ends, and
/// until nobody else uses the engine. The engine has a mount namespace of its own, so nothing of it stays mounted.
const SUPERVISOR: &str = r#"
lock=$1 log=$2
exec 3<&0
PATH=$PATH:/usr/sbin:/sbin
unshare --mount dockerd >"$log" 2>&1 </dev/null 3<&- &
engine=$!
{
    read -r _
    # Whether it can be locked or not: what was started is ended.
    if [ -r "$lock" ]; then exec 9<"$lock" && flock 9; fi
    kill "$engine"
    while kill -0 "$engine"; do sleep 0.1; done
} <&3 2>/dev/null &
exec 3<&-
wait "$engine"
"#;

/// An engine that answers. If it was started here, it ends when this is dropped.
pub(crate) struct Engine {
    started: Option<Supervisor>,
    /// A lock that says that this process uses the engine. The process that started the engine waits for the locks of
    /// all others.
    in_use: Option<File>,
}

struct Supervisor {
    child: Child,
    pipe: Option<ChildStdin>,
}

/// Whether an engine answers. The client program alone is no engine.
pub(crate) fn answers() -> bool {
    let mut docker = Command::new("docker");
    let asked = docker.args(["version", "--format", "{{.Server.Version}}"]).stdin(Stdio::null()).output();
    asked.is_ok_and(|output| output.status.success())
}

/// Starts Debian's engine if none answers.
pub(crate) fn provide() -> Result<Engine, String> {
    let lock = env::temp_dir().join("session-test-engine.lock");
    // The file may be another user's, which can be read and locked, but not written. A user who can do neither has
    // started no engine here.
    let in_use = File::open(&lock).or_else(|_| File::create_new(&lock)).ok();
    if let Some(file) = &in_use {
        file.lock_shared().map_err(|error| format!("{} cannot be locked: {error}", lock.display()))?;
    }
    if answers() {
        return Ok(Engine { started: None, in_use });
    }
    if let Ok(host) = env::var("DOCKER_HOST") {
        return Err(format!("the stores are tested in containers, too, and no engine answers at DOCKER_HOST={host}"));
    }
    if step::output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err("the stores are tested in containers, too, and no engine answers: on Debian, apt-get install \
                    docker.io, and start it, or run this as root, which starts it"
            .into());
    }
    let log = step::target().join("session-test-engine.log");
    println!("\nstarting dockerd; its log is {}", log.display());
    let child = Command::new("sh")
        .args(["-c", SUPERVISOR, "sh"])
        .args([&lock, &log])
        .stdin(Stdio::piped())
        // It gets a process group of its own. A signal that interrupts us must not end the engine before it has cleaned
        // up.
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|error| format!("no shell can be started: {error}"))?;
    let pipe = child.stdin.take();
    let mut supervisor = Supervisor { child, pipe };
    let start = Instant::now();
    while !answers() {
        let has_ended = !matches!(supervisor.child.try_wait(), Ok(None));
        if has_ended || start.elapsed() > STARTS_WITHIN {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            return Err(format!("no container engine can run here: dockerd does not start: {last}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(Engine { started: Some(supervisor), in_use })
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.in_use = None;
        if self.started.take().is_some() {
            println!("\ndockerd has ended");
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.pipe = None;
        // It ends by itself now. If waiting for it fails, nothing is lost.
        let _ = self.child.wait();
    }
}
