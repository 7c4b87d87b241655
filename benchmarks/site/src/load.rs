//! The client: some connections that each send one request after the other, and check each answer.
//!
//! `load PORT OPERATION CLIENTS MILLISECONDS BYTES KEYS PROCESS SERVER[,SERVER]`, where the last two are the ids of the
//! processes whose CPU time counts: the site's, and those of its database. `-` is none. The operation is `ping`, `read`,
//! `inc` (a session for each client), `inc-one` (one session for all) or `login`.
//!
//! It prints what it has measured, as `name=number` with spaces between. Times are in microseconds, and of one request.
//! `acknowledged` counts all requests, those to prepare and to warm up, too. `lost` is how many increments were
//! acknowledged and are not in the counter at the end.

use std::time::{Duration, Instant};

use benchmarks::{cpu_of, cpu_since};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    runtime::Builder,
    task::JoinSet,
};

pub(crate) fn run(arguments: &[&str]) {
    let [port, operation, clients, milliseconds, bytes, keys, process, server] = arguments else {
        panic!("`load` has other arguments")
    };
    let fill = format!("/fill/{bytes}/{keys}");
    let ids = |text: &str| text.split(',').filter_map(|id| id.parse().ok()).collect::<Vec<u32>>();
    let load = Load {
        operation: Operation::named(operation),
        clients: clients.parse().unwrap(),
        window: Duration::from_millis(milliseconds.parse().unwrap()),
        process: ids(process),
        server: ids(server),
    };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(load.run(port.parse().unwrap(), &fill));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Ping,
    Read,
    Inc,
    IncOne,
    Login,
}

struct Load {
    operation: Operation,
    clients: usize,
    window: Duration,
    process: Vec<u32>,
    server: Vec<u32>,
}

impl Operation {
    fn named(name: &str) -> Self {
        match name {
            "ping" => Self::Ping,
            "read" => Self::Read,
            "inc" => Self::Inc,
            "inc-one" => Self::IncOne,
            "login" => Self::Login,
            other => panic!("there is no operation `{other}`"),
        }
    }

    fn request(self, number: u64) -> (&'static str, String) {
        match self {
            Self::Ping => ("GET", "/ping".into()),
            Self::Read => ("GET", "/read".into()),
            Self::Inc | Self::IncOne => ("POST", "/inc".into()),
            Self::Login => ("POST", format!("/login/{number}")),
        }
    }
}

impl Load {
    async fn run(&self, port: u16, fill: &str) {
        let mut clients: Vec<Client> = Vec::new();
        for number in 0..self.clients {
            let mut client = Client::connect(port, number).await;
            match (self.operation, clients.first()) {
                (Operation::Login, _) => {}
                (Operation::IncOne, Some(first)) => client.cookie.clone_from(&first.cookie),
                _ => _ = client.call("POST", fill).await,
            }
            clients.push(client);
        }
        // To warm up.
        let mut clients = self.at_once(clients, self.window / 5).await.0;
        clients.iter_mut().for_each(|client| client.took.clear());
        let (process, server) = (cpu_of(&self.process), cpu_of(&self.server));
        let (mut clients, took) = self.at_once(clients, self.window).await;
        let (process, server) = (cpu_since(&self.process, process), cpu_since(&self.server, server));
        let acknowledged: u64 = clients.iter().map(|client| client.requests).sum();
        let lost = self.lost(&mut clients).await;
        let mut times: Vec<_> = clients.iter_mut().flat_map(|client| client.took.drain(..)).collect();
        times.sort_unstable();
        let requests = times.len() as f64;
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        println!(
            "acknowledged={acknowledged} throughput={:.1} process={:.3} server={:.3} p50={:.0} p99={:.0} lost={lost}",
            requests / took.as_secs_f64(),
            microseconds(process) / requests,
            microseconds(server) / requests,
            microseconds(times[times.len() / 2]),
            microseconds(times[times.len() * 99 / 100]),
        );
    }

    /// All clients send requests for this long.
    async fn at_once(&self, clients: Vec<Client>, window: Duration) -> (Vec<Client>, Duration) {
        let (start, operation) = (Instant::now(), self.operation);
        let mut tasks = JoinSet::new();
        for mut client in clients {
            tasks.spawn(async move {
                while start.elapsed() < window {
                    client.measure(operation).await;
                }
                client
            });
        }
        let mut clients = tasks.join_all().await;
        clients.sort_unstable_by_key(|client| client.number);
        (clients, start.elapsed())
    }

    /// Acknowledged increments, without those that the counters have. A site without sessions has no counters.
    async fn lost(&self, clients: &mut [Client]) -> i64 {
        let acknowledged: i64 = clients.iter().map(|client| client.increments).sum();
        let counters = match self.operation {
            Operation::Inc => clients.len(),
            Operation::IncOne => 1,
            _ => return 0,
        };
        if clients.iter().any(|client| client.cookie.is_empty()) {
            return 0;
        }
        let mut counted = 0;
        for client in &mut clients[..counters] {
            counted += client.call("GET", "/count").await.parse::<i64>().unwrap();
        }
        acknowledged - counted
    }
}

/// A browser with one connection.
struct Client {
    number: usize,
    stream: BufReader<TcpStream>,
    cookie: String,
    requests: u64,
    increments: i64,
    took: Vec<Duration>,
}

impl Client {
    async fn connect(port: u16, number: usize) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::new(stream);
        Self { number, stream, cookie: String::new(), requests: 0, increments: 0, took: Vec::new() }
    }

    async fn measure(&mut self, operation: Operation) {
        // No two logins are of one user.
        let user = u64::from(std::process::id()) << 36 | (self.number as u64) << 24 | self.requests;
        let (method, path) = operation.request(user);
        if operation == Operation::Login {
            self.cookie.clear();
        }
        let start = Instant::now();
        let answer = self.call(method, &path).await;
        self.took.push(start.elapsed());
        match operation {
            Operation::Ping => assert_eq!(answer, "pong"),
            Operation::Inc | Operation::IncOne => self.increments += 1,
            Operation::Login => assert_eq!(answer, "ok"),
            Operation::Read => assert!(!answer.is_empty()),
        }
    }

    /// The body of the answer. A new cookie is kept.
    async fn call(&mut self, method: &str, path: &str) -> String {
        let cookie = if self.cookie.is_empty() { String::new() } else { format!("Cookie: {}\r\n", self.cookie) };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}Content-Length: 0\r\n\r\n");
        self.requests += 1;
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        loop {
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).await.unwrap(), 0, "the site hangs up");
            match line.trim_end().split_once(": ") {
                None if line.trim_end().is_empty() => break,
                None => status = line.trim_end().to_owned(),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some((name, value)) if name.eq_ignore_ascii_case("set-cookie") => {
                    self.cookie = value.split(';').next().unwrap_or_default().to_owned();
                }
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(status.starts_with("HTTP/1.1 200 "), "{method} {path}: {status}: {body}");
        body
    }
}
