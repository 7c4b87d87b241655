//! The real program, in a folder of its own, and browsers that talk to it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use ureq::{
    Agent,
    http::{HeaderMap, Request, header},
};

/// Makes a test of each function over each store. The function gets the flag of the store.
macro_rules! over_both_stores {
    ($($case:ident)*) => {
        mod memory { $( #[test] fn $case() { super::$case("memory") } )* }
        mod sqlite { $( #[test] fn $case() { super::$case("sqlite:./demo-data/sessions.db") } )* }
    };
}

pub(crate) const SQLITE: &str = "sqlite:./demo-data/sessions.db";

/// Lets time pass.
pub(crate) fn pass(time: Duration) {
    thread::sleep(time);
}

/// Waits until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) struct Demo {
    program: Child,
    address: String,
    log: Arc<Mutex<Vec<String>>>,
    folder: Arc<TempDir>,
    flags: Vec<String>,
}

impl Demo {
    pub(crate) fn start(store: &str, flags: &[&str]) -> Self {
        let flags = ["--store", store].iter().chain(flags).map(|&flag| flag.to_owned()).collect();
        Self::run(Arc::new(TempDir::new().unwrap()), flags)
    }

    /// Another program in the same folder with the same flags.
    pub(crate) fn another(&self) -> Self {
        Self::run(self.folder.clone(), self.flags.clone())
    }

    fn run(folder: Arc<TempDir>, flags: Vec<String>) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["--addr", "127.0.0.1:0"])
            .args(&flags)
            .current_dir(folder.path())
            .env_remove("SESSION_KEY")
            .env("RUST_LOG", "info,session=debug")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let out = BufReader::new(program.stdout.take().unwrap());
        thread::spawn({
            let log = log.clone();
            move || out.lines().map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line))
        });
        let mut demo = Self { program, address: String::new(), log, folder, flags };
        let mut address = None;
        until("the demo listens", || {
            assert!(demo.program.try_wait().unwrap().is_none(), "the demo has ended: {:?}", demo.log());
            let found = demo.log().iter().find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()));
            address = found;
            address.is_some()
        });
        demo.address = address.unwrap();
        demo
    }

    pub(crate) fn browser(&self) -> Browser {
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)));
        Browser {
            agent: config.build().into(),
            address: self.address.clone(),
            cookies: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that has all of these.
    pub(crate) fn logs(&self, words: &[&str]) {
        until(&format!("the log has {words:?}"), || self.has_logged(words));
    }

    pub(crate) fn has_logged(&self, words: &[&str]) -> bool {
        self.log().iter().any(|line| words.iter().all(|word| line.contains(word)))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many calls of the store `doing` has made.
    pub(crate) fn calls(&self, doing: impl FnOnce()) -> u64 {
        let before = self.ops();
        doing();
        self.ops() - before
    }

    /// All calls so far, except those of the task that purges: nobody knows when these come.
    pub(crate) fn ops(&self) -> u64 {
        let ops = self.browser().get("/lab/ops").json();
        let counts = ops.as_object().unwrap().iter().filter(|(method, _)| *method != "purge");
        counts.map(|(_, count)| count.as_u64().unwrap()).sum()
    }

    /// Ends the program at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }

    /// Tells the program to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> bool {
        let told = Command::new("kill").args(["-TERM", &self.program.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.program.wait().unwrap().success()
    }

    /// The same site, started again. The browsers go on with the cookies of the old one.
    pub(crate) fn restarted(mut self, browsers: &mut [&mut Browser]) -> Self {
        self.kill();
        let again = self.another();
        for browser in browsers {
            browser.address.clone_from(&again.address);
        }
        again
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A browser: cookies that it keeps, and headers that it sends with each request. A clone has the same cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    agent: Agent,
    address: String,
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Browser {
    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The origin of the pages that it shows.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// The same browser, talking to another node of the site.
    pub(crate) fn at(&self, demo: &Demo) -> Self {
        Self { address: demo.address.clone(), ..self.clone() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    pub(crate) fn post(&mut self, path: &str) -> Answer {
        self.send("POST", path, "")
    }

    pub(crate) fn put(&mut self, path: &str, json: &str) -> Answer {
        self.send("PUT", path, json)
    }

    pub(crate) fn delete(&mut self, path: &str) -> Answer {
        self.send("DELETE", path, "")
    }

    pub(crate) fn register(&mut self, user: &str) -> Answer {
        self.send("POST", "/register", &format!("user={user}&password=correct+horse"))
    }

    pub(crate) fn login(&mut self, user: &str) -> Answer {
        self.send("POST", "/login", &format!("user={user}&password=correct+horse"))
    }

    pub(crate) fn owner(&mut self) -> Value {
        self.get("/api/me").json()["owner"].clone()
    }

    pub(crate) fn session(&mut self) -> String {
        self.get("/api/me").json()["session"].as_str().unwrap().to_owned()
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if method == "POST" {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let answered = match body {
            "" => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body.to_owned()).unwrap()),
        };
        let (head, mut body) = answered.unwrap().into_parts();
        let answer =
            Answer { status: head.status.as_u16(), headers: head.headers, body: body.read_to_string().unwrap() };
        for line in answer.set_cookies() {
            let (name, rest) = line.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}
