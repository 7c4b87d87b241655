//! The old sites, and how the tests ask them and the new one.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::Path as AxumPath,
    http::{
        Request, Response, StatusCode,
        header::{COOKIE, LOCATION, SET_COOKIE},
    },
    routing::{get, post},
};
use http_body_util::BodyExt;
use moving::{Moving, Old, policy};
use redis::{Client, aio::ConnectionManager};
use session_conformance::servers::{self, Server};
use session_redis::RedisStore;
use session_tower::{Owner, SessionManager};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;
use tower_sessions::{Session as OldSession, SessionManagerLayer};
use tower_sessions_redis_store::{RedisStore as OldStore, fred::prelude::*};

const SECRET: &str = "keyboard cat";

/// Answers as a browser sees them: the status, the cookies that are set, the body.
pub struct Answer {
    pub status: StatusCode,
    pub cookies: Vec<String>,
    pub location: Option<String>,
    /// Whole, with its attributes.
    pub set_cookies: Vec<String>,
    pub body: String,
}

/// The folder of the old site over express-session, with its libraries. They are installed once.
fn installed() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("old-express");
        let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).status();
        let done = npm.expect("Node.js 20 with npm is missing: see https://nodejs.org/en/download");
        assert!(done.success(), "npm could not install express-session and connect-redis");
        folder
    })
}

async fn read(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    let set_cookies = head.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned());
    let location = head.headers.get(LOCATION).map(|address| address.to_str().unwrap().to_owned());
    let body = body.collect().await.unwrap().to_bytes();
    Answer::new(head.status, set_cookies.collect(), location, String::from_utf8(body.to_vec()).unwrap())
}

pub async fn ask(site: &Router, method: &str, path: &str, cookie: &str) -> Answer {
    ask_with(site, method, path, cookie, &[]).await
}

pub async fn ask_with(site: &Router, method: &str, path: &str, cookie: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", "shop.example").header(COOKIE, cookie);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    read(site.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
}

impl Answer {
    fn new(status: StatusCode, set_cookies: Vec<String>, location: Option<String>, body: String) -> Self {
        let cookies = set_cookies.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect();
        Self { status, cookies, location, set_cookies, body }
    }

    /// What is said of our own cookie, also that it is to be forgotten. The other ones are the old cookie's end and the
    /// note that the browser was told to ask again.
    pub fn session(&self) -> Option<&str> {
        let others = ["connect.sid=", "id=", "moving="];
        self.cookies.iter().map(String::as_str).find(|cookie| !others.iter().any(|other| cookie.starts_with(other)))
    }

    /// Whether the browser is told to forget the old cookie.
    pub fn forgets(&self, old: &Old) -> bool {
        self.cookies.contains(&format!("{}=", old.cookie()))
    }
}

/// An old site, and its database.
pub struct OldSite {
    pub redis: Server,
    pub old: Old,
    pub site: Kind,
}

pub enum Kind {
    Express { program: Child, address: String },
    Tower(Router),
}

impl Drop for OldSite {
    fn drop(&mut self) {
        if let Kind::Express { program, .. } = &mut self.site {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

impl OldSite {
    pub async fn all() -> [Self; 2] {
        [Self::express(), Self::tower().await]
    }

    pub fn express() -> Self {
        let folder = installed();
        let redis = servers::own_redis(&[]);
        let mut node = Command::new("node");
        node.args(["site.mjs", redis.url(), SECRET]).current_dir(folder).stdout(Stdio::piped());
        let mut program = node.spawn().expect("Node.js 20 is missing: see https://nodejs.org/en/download");
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        let old = Old::Express { secrets: vec![SECRET.as_bytes().to_vec()] };
        Self { redis, old, site: Kind::Express { program, address } }
    }

    pub async fn tower() -> Self {
        let redis = servers::own_redis(&[]);
        let pool = Pool::new(Config::from_url(redis.url()).unwrap(), None, None, None, 2).unwrap();
        pool.connect();
        pool.wait_for_connect().await.unwrap();
        let log_in = |session: OldSession, AxumPath(user): AxumPath<String>| async move {
            session.insert("user", user).await.unwrap();
            session.insert("unread", 3).await.unwrap()
        };
        let account = |session: OldSession| async move {
            session.get::<String>("user").await.unwrap().unwrap_or("nobody".to_owned())
        };
        let site = Router::new()
            .route("/login/{user}", post(log_in))
            .route("/account", get(account))
            .layer(SessionManagerLayer::new(OldStore::new(pool)).with_secure(false));
        Self { redis, old: Old::TowerSessions { remembered: true }, site: Kind::Tower(site) }
    }

    pub async fn ask(&self, method: &str, path: &str, cookie: &str) -> Answer {
        match &self.site {
            Kind::Tower(site) => ask(site, method, path, cookie).await,
            Kind::Express { address, .. } => ask_over_http(address, method, path, cookie).await,
        }
    }

    /// The cookie of a login of user 42.
    pub async fn login(&self) -> String {
        self.login_of("42").await
    }

    pub async fn login_of(&self, user: &str) -> String {
        self.login_at(&format!("/login/{user}"), user).await
    }

    pub async fn login_at(&self, path: &str, user: &str) -> String {
        let login = self.ask("POST", path, "").await;
        assert_eq!(login.status, StatusCode::OK, "{}", login.body);
        assert_eq!(self.ask("GET", "/account", &login.cookies[0]).await.body, user);
        login.cookies[0].clone()
    }

    pub async fn moving(&self, last_day: SystemTime) -> Moving {
        let redis = ConnectionManager::new(Client::open(self.redis.url()).unwrap()).await.unwrap();
        let store = RedisStore::connect(self.redis.url()).await.unwrap();
        let manager = SessionManager::development(store).with_policy(policy().unwrap());
        Moving { old: self.old.clone(), redis, last_day, claim: Duration::from_secs(60), manager }
    }

    /// How many sessions of ours the user has.
    pub async fn sessions_of(&self, user: &str, moving: &Moving) -> u64 {
        moving.manager.session_count(&Owner::try_from(user).unwrap()).await.unwrap() as u64
    }
}

async fn ask_over_http(address: &str, method: &str, path: &str, cookie: &str) -> Answer {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let cookies = head.lines().filter_map(|line| line.strip_prefix("Set-Cookie: "));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer::new(status, cookies.map(str::to_owned).collect(), None, body.to_owned())
}
