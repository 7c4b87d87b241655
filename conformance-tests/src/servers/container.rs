//! A container that ends when the test process ends, even if that is killed.

use std::{
    env,
    io::Write,
    mem,
    os::unix::process::CommandExt,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use testcontainers::{
    ContainerAsync, GenericImage, ImageExt, TestcontainersError,
    bollard::models::{HostConfig, PortBinding},
    core::{ExecCommand, IntoContainerPort, WaitFor, client::docker_client_instance, logs::LogFrame},
    runners::AsyncRunner,
};
use tokio::{
    runtime,
    time::{Instant, sleep, timeout},
};

use super::{
    Server,
    image::{Image, Ready},
    process::{STARTS_WITHIN, find},
};

/// How long an engine may take to answer whether it is there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The script that removes the container. It reads a line once the container is made. Then it waits until the pipe is
/// closed, which happens whenever the test process ends. It also removes a container that the engine is still making
/// then.
const SUPERVISOR: &str = r#"
engine=$1 name=$2 tries=0
read -r made
while read -r _; do :; done
until [ "$made" ] || "$engine" container inspect "$name" || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
"$engine" container rm --force --volumes "$name"
"#;

/// Removes the container when it is dropped, or ends with the process.
#[derive(Debug)]
pub(super) struct Keeper {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    fn new(engine: &Path, host: &str, name: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(engine)
            .arg(name)
            .env("DOCKER_HOST", host)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // It gets a process group of its own. A signal that interrupts the tests must not end it before it has
            // cleaned up.
            .process_group(0)
            .spawn()
            .unwrap();
        let pipe = child.stdin.take();
        Self { child, pipe }
    }

    fn is_made(&mut self) {
        writeln!(self.pipe.as_mut().unwrap(), "made").unwrap();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.pipe = None;
        // It ends by itself now. If waiting for it fails, nothing is lost.
        let _ = self.child.wait();
    }
}

/// Starts a container of the image. Pulling the image may take this long. The error is a sentence that says why there
/// can be no container.
pub(super) fn start(image: &'static Image, pulls_within: Duration) -> Result<Server, String> {
    // This needs a thread of its own, because the caller may be in a runtime.
    let thread = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (engine, host) = find_engine().await?;
            let name = choose(image, pulls_within).await?;
            Ok(run(image, &name, &engine, &host).await)
        })
    });
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// The program that talks to the engine, and where that listens. A program alone is no engine.
async fn find_engine() -> Result<(PathBuf, String), String> {
    let host = host();
    let ping = async {
        docker_client_instance().await.map_err(|it| it.to_string())?.ping().await.map_err(|it| it.to_string())
    };
    let answer = timeout(ANSWERS_WITHIN, ping).await;
    let fault = match answer {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(format!("silent for {ANSWERS_WITHIN:?}")),
    };
    if let Some(fault) = fault {
        return Err(format!(
            "no container engine answers at {host} ({fault}): apt-get install docker.io and start it, or name another one \
             in DOCKER_HOST"
        ));
    }
    let program = find(&["docker", "podman"]);
    let program = program.ok_or("the program `docker`, which removes containers, is not on the PATH")?;
    Ok((program, host))
}

/// The address where `testcontainers` looks for the engine, too.
fn host() -> String {
    let beneath = |variable, path| Some(PathBuf::from(env::var_os(variable)?).join(path));
    let default = PathBuf::from("/var/run/docker.sock");
    let sockets = [
        Some(default.clone()),
        beneath("XDG_RUNTIME_DIR", ".docker/run/docker.sock"),
        beneath("HOME", ".docker/run/docker.sock"),
        beneath("HOME", ".docker/desktop/docker.sock"),
    ];
    env::var("DOCKER_HOST").unwrap_or_else(|_| {
        let socket = sockets.into_iter().flatten().find(|socket| socket.exists());
        format!("unix://{}", socket.unwrap_or(default).display())
    })
}

/// The image that the variable names. Otherwise the first default that the engine has, and otherwise the first that it
/// can pull.
async fn choose(image: &Image, pulls_within: Duration) -> Result<String, String> {
    let named = env::var(image.variable).ok().filter(|name| !name.is_empty());
    let names = named.map_or_else(|| image.defaults.iter().map(ToString::to_string).collect(), |name| vec![name]);
    let engine = docker_client_instance().await.map_err(|error| error.to_string())?;
    for name in &names {
        if engine.inspect_image(name).await.is_ok() {
            return Ok(name.clone());
        }
    }
    let name = names.into_iter().next().unwrap_or_default();
    let fault = match timeout(pulls_within, of(&name).pull_image()).await {
        Ok(Ok(_)) => return Ok(name),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took more than {pulls_within:?}"),
    };
    Err(format!(
        "the container engine has no image {name} and cannot pull it ({fault}): name one that it has in {}; in the \
         repository of session-core, `cargo xtask images` makes one",
        image.variable
    ))
}

async fn run(image: &'static Image, name: &str, engine: &Path, host: &str) -> Server {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let container = format!("session-test-{}-{}-{number}", image.port, std::process::id());
    let mut keeper = Keeper::new(engine, host, &container);
    let log = Arc::new(Mutex::new(Vec::new()));
    let served = serve(image, name, &container, host, &log).await;
    // Here the container is made, or never will be. Either way there is nothing more to wait for.
    keeper.is_made();
    match served {
        Ok((url, version)) => Server::container(url, version, keeper),
        Err(error) => {
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            panic!("{name} does not start in a container: {error}\n{}", String::from_utf8_lossy(&log));
        }
    }
}

/// The URL of the server once it is ready, and what it calls itself.
async fn serve(
    image: &'static Image,
    name: &str,
    container: &str,
    host: &str,
    log: &Arc<Mutex<Vec<u8>>>,
) -> Result<(String, String), TestcontainersError> {
    let is_here = is_here(host);
    let says = match image.ready {
        Ready::Says(words) => WaitFor::message_on_either_std(words),
        Ready::LetsIn(_) => WaitFor::Nothing,
    };
    let log = Arc::clone(log);
    let consume = move |frame: &LogFrame| {
        log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(frame.bytes());
    };
    let configure = move |config: &mut HostConfig| {
        config.auto_remove = Some(true);
        // The server has no password, so no other machine must reach it.
        if is_here {
            let loopback = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None };
            config.publish_all_ports = None;
            config.port_bindings = Some([(image.port.tcp().to_string(), Some(vec![loopback]))].into());
        }
    };
    let request = of(name)
        .with_exposed_port(image.port.tcp())
        .with_wait_for(says)
        .with_container_name(container)
        .with_cmd(image.arguments.iter().copied())
        .with_startup_timeout(STARTS_WITHIN)
        .with_log_consumer(consume)
        .with_host_config_modifier(configure);
    let request = image.environment.iter().fold(request, |request, (name, value)| request.with_env_var(*name, *value));
    let container = request.start().await?;
    let answers = reach(image, &container, is_here).await;
    if answers.is_ok() {
        // The keeper removes the container when the process ends.
        mem::forget(container);
    }
    answers
}

/// Waits until the server in the container lets a client in. Returns its URL and what it calls itself.
async fn reach(
    image: &Image,
    container: &ContainerAsync<GenericImage>,
    is_here: bool,
) -> Result<(String, String), TestcontainersError> {
    let host = if is_here { "127.0.0.1".into() } else { container.get_host().await?.to_string() };
    // The port is mapped for IPv4, and `localhost` may be an address of IPv6.
    let host = if host == "localhost" { "127.0.0.1" } else { &host };
    let address = format!("{host}:{}", container.get_host_port_ipv4(image.port).await?);
    if let Ready::LetsIn(lets_in) = image.ready {
        wait_until(lets_in, &address, container).await?;
    }
    Ok(((image.url)(&address), version(image, container).await?))
}

/// Whether the engine's loopback address is ours. It is not if the engine is on another machine, or if this process is
/// in a container. The file alone does not tell, because a machine that was made of an image has it, too. But in a
/// container nobody sees the engine's bridge.
fn is_here(host: &str) -> bool {
    let [in_container, bridge] = ["/.dockerenv", "/sys/class/net/docker0"].map(|path| Path::new(path).exists());
    host.starts_with("unix:") && (bridge || !in_container)
}

async fn wait_until(
    lets_in: fn(&str) -> bool,
    address: &str,
    container: &ContainerAsync<GenericImage>,
) -> Result<(), TestcontainersError> {
    let start = Instant::now();
    while !lets_in(address) {
        // A container that has ended is removed, and is then not found.
        if !container.is_running().await? || start.elapsed() > STARTS_WITHIN {
            return Err(TestcontainersError::other("it lets no client in"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn version(image: &Image, container: &ContainerAsync<GenericImage>) -> Result<String, TestcontainersError> {
    let mut answer = container.exec(ExecCommand::new(["sh", "-c", image.version])).await?;
    let said = answer.stdout_to_vec().await?;
    let line = String::from_utf8_lossy(&said).lines().next().map(str::to_owned);
    line.ok_or_else(|| TestcontainersError::other(format!("`{}` says nothing in it", image.version)))
}

fn of(name: &str) -> GenericImage {
    // After a colon comes the tag, unless it is the port of a registry.
    let parts = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (name, tag) = parts.unwrap_or((name, "latest"));
    GenericImage::new(name, tag)
}
