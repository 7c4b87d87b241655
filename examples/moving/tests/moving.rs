//! The old sites are real: their libraries have made the cookies and the sessions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
        header::{COOKIE, SET_COOKIE},
    },
    routing::{get, post},
};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use moving::{Moving, Old, in_a_month, site};
use redis::{AsyncCommands, Client, aio::ConnectionManager};
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
struct Answer {
    status: StatusCode,
    cookies: Vec<String>,
    body: String,
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
    let cookies = head.headers.get_all(SET_COOKIE).iter();
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, cookies, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn ask(site: &Router, method: &str, path: &str, cookie: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(COOKIE, cookie).body(Body::empty()).unwrap();
    read(site.clone().oneshot(request).await.unwrap()).await
}

impl Answer {
    /// Our own cookie. The other one tells the browser to forget the old one.
    fn session(&self) -> Option<&str> {
        self.cookies.iter().map(String::as_str).find(|cookie| !cookie.ends_with('='))
    }
}

/// An old site, and its database.
struct OldSite {
    redis: Server,
    old: Old,
    site: Kind,
}

enum Kind {
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
    async fn all() -> [Self; 2] {
        [Self::express(), Self::tower().await]
    }

    fn express() -> Self {
        let folder = installed();
        let redis = servers::own_redis(&[]);
        let mut node = Command::new("node");
        node.args(["site.mjs", redis.url(), SECRET]).current_dir(folder).stdout(Stdio::piped());
        let mut program = node.spawn().expect("Node.js 20 is missing: see https://nodejs.org/en/download");
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        let old = Old::Express { secret: SECRET.as_bytes().to_vec() };
        Self { redis, old, site: Kind::Express { program, address } }
    }

    async fn tower() -> Self {
        let redis = servers::own_redis(&[]);
        let pool = Pool::new(Config::from_url(redis.url()).unwrap(), None, None, None, 2).unwrap();
        pool.connect();
        pool.wait_for_connect().await.unwrap();
        let log_in = |session: OldSession, AxumPath(user): AxumPath<String>| async move {
            session.insert("user", user).await.unwrap()
        };
        let account = |session: OldSession| async move {
            session.get::<String>("user").await.unwrap().unwrap_or("nobody".to_owned())
        };
        let site = Router::new()
            .route("/login/{user}", post(log_in))
            .route("/account", get(account))
            .layer(SessionManagerLayer::new(OldStore::new(pool)).with_secure(false));
        Self { redis, old: Old::TowerSessions, site: Kind::Tower(site) }
    }

    async fn ask(&self, method: &str, path: &str, cookie: &str) -> Answer {
        match &self.site {
            Kind::Tower(site) => ask(site, method, path, cookie).await,
            Kind::Express { address, .. } => ask_over_http(address, method, path, cookie).await,
        }
    }

    /// The cookie of a login of user 42.
    async fn login(&self) -> String {
        self.login_of("42").await
    }

    async fn login_of(&self, user: &str) -> String {
        let login = self.ask("POST", &format!("/login/{user}"), "").await;
        assert_eq!(login.status, StatusCode::OK, "{}", login.body);
        assert_eq!(self.ask("GET", "/account", &login.cookies[0]).await.body, user);
        login.cookies[0].clone()
    }

    async fn moving(&self, last_day: SystemTime) -> Moving {
        let redis = ConnectionManager::new(Client::open(self.redis.url()).unwrap()).await.unwrap();
        let store = RedisStore::connect(self.redis.url()).await.unwrap();
        Moving { old: self.old.clone(), redis, last_day, manager: SessionManager::development(store) }
    }

    /// How many sessions of ours the user has.
    async fn sessions_of(&self, user: &str, moving: &Moving) -> u64 {
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
    let cookies = cookies.map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, cookies, body: body.to_owned() }
}

#[tokio::test]
async fn a_user_with_an_old_cookie_stays_logged_in_and_the_old_cookie_is_used_up() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let first = ask(&site, "GET", "/account", &cookie).await;
        assert_eq!((first.status, &*first.body), (StatusCode::OK, "the account of 42"));
        assert_eq!(ask(&site, "GET", "/account", first.session().unwrap()).await.status, StatusCode::OK);
        assert!(first.cookies.contains(&format!("{}=", old.old.cookie())), "{:?}", first.cookies);

        // The thief's copy, or a browser that has not stored the answer.
        let again = ask(&site, "GET", "/account", &cookie).await;
        assert_eq!((again.status, again.session()), (StatusCode::UNAUTHORIZED, None));
        assert_eq!(old.ask("GET", "/account", &cookie).await.body, "nobody");
        assert_eq!(old.sessions_of("42", &moving).await, 1);
    }
}

#[tokio::test]
async fn of_parallel_requests_one_is_logged_in_and_the_others_make_nothing() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let answers = join_all((0..20).map(|_| ask(&site, "GET", "/account", &cookie))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!((won.len(), lost.len()), (1, 19));
        assert!(lost.iter().all(|answer| answer.session().is_none()));
        let mut keys: Vec<String> = moving.redis.clone().keys("sessions:s:*").await.unwrap();
        keys.dedup();
        assert_eq!((keys.len(), old.sessions_of("42", &moving).await), (1, 1));
    }
}

#[tokio::test]
async fn log_out_everywhere_wins_over_old_cookies_that_are_shown_later() {
    for old in OldSite::all().await {
        let (here, elsewhere) = (old.login().await, old.login().await);
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let login = ask(&site, "GET", "/account", &here).await;
        let everywhere = ask(&site, "POST", "/log-out-everywhere", login.session().unwrap()).await;
        assert_eq!(everywhere.status, StatusCode::OK);
        for cookie in [elsewhere.as_str(), login.session().unwrap()] {
            let later = ask(&site, "GET", "/account", cookie).await;
            assert_eq!((later.status, later.session()), (StatusCode::UNAUTHORIZED, None), "{cookie}");
        }
        assert_eq!(old.sessions_of("42", &moving).await, 0);
    }
}

#[tokio::test]
async fn log_out_everywhere_at_the_same_moment_leaves_no_session() {
    for old in OldSite::all().await {
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        // One user each: a login right after a revocation is refused.
        for user in (0..20).map(|number| number.to_string()) {
            let (here, elsewhere) = (old.login_of(&user).await, old.login_of(&user).await);
            let login = ask(&site, "GET", "/account", &here).await;
            let (everywhere, _) = tokio::join!(
                ask(&site, "POST", "/log-out-everywhere", login.session().unwrap()),
                ask(&site, "GET", "/account", &elsewhere)
            );
            assert_eq!(everywhere.status, StatusCode::OK);
            assert_eq!(old.sessions_of(&user, &moving).await, 0);
        }
    }
}

#[tokio::test]
async fn a_cookie_that_the_old_site_has_not_made_and_one_after_the_last_day_open_nothing() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
        let late = site(old.moving(yesterday).await);
        assert_eq!(ask(&late, "GET", "/account", &cookie).await.status, StatusCode::UNAUTHORIZED);

        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let name = old.old.cookie();
        let (_, value) = cookie.split_once('=').unwrap();
        // With another signature, or a changed id, and texts that are none.
        let forged = [format!("{value}x"), value.replacen("s%3A", "s%3Ax", 1), "s%3A".to_owned(), "%FF".to_owned()];
        for forged in forged.iter().filter(|forged| *forged != value) {
            let answer = ask(&site, "GET", "/account", &format!("{name}={forged}")).await;
            assert_eq!((answer.status, answer.session()), (StatusCode::UNAUTHORIZED, None), "{forged}");
        }
        assert_eq!(ask(&site, "GET", "/account", &cookie).await.status, StatusCode::OK, "it is still there");
    }
}
