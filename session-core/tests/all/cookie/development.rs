//! The development cookie: one for each program, because ports do not keep cookies apart (RFC 6265, section 8.5).

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use http::header;
use session_core::{CookieConfig, Incoming, SessionManager};
use session_memory::MemoryStore;

const MARK: &str = "the development cookie is ";

/// This program again, under another path. It is a link, because a copy could not be run while it is still being
/// written.
struct Linked(PathBuf);

impl Linked {
    fn new() -> io::Result<Self> {
        let own = env::current_exe()?;
        let link = own.with_file_name(format!("another-program-{}", std::process::id()));
        fs::hard_link(own, &link)?;
        Ok(Self(link))
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        // If it stays, a leftover in the folder of the build does no harm.
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs the test below in a program of its own.
fn name_in(program: &Path) -> String {
    let test =
        ["--exact", "cookie::development::the_development_cookie_is_called_session_and_eight_digits", "--nocapture"];
    let ran = Command::new(program).args(test).output().unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}");
    let (_, name) = told.split_once(MARK).unwrap();
    name.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_development_cookie_is_called_session_and_eight_digits() {
    let manager = SessionManager::development(MemoryStore::new());
    let name = manager.cookie().name().to_owned();
    println!("{MARK}{name}");
    let digits = name.strip_prefix("session-").unwrap();
    assert_eq!(digits.len(), 8);
    assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{digits}");
    assert_eq!(CookieConfig::development().name(), name, "the same, however it is asked for");
    let exchange = manager.open(Incoming::default());
    exchange.session().await.unwrap().insert("n", &1).unwrap();
    exchange.commit().await.unwrap();
    let cookie = exchange.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.starts_with(&format!("{name}=")), "{cookie}");
}

#[test]
fn two_programs_on_one_host_have_two_development_cookies_and_one_program_has_one() {
    let (own, other) = (env::current_exe().unwrap(), Linked::new().unwrap());
    let name = name_in(&own);
    assert_eq!(name_in(&own), name, "it logs nobody out when it is started again");
    assert_ne!(name_in(&other.0), name);
}

#[test]
fn a_development_cookie_that_is_named_is_called_that() {
    let cookie = CookieConfig::builder("shop").secure(false).build().unwrap();
    assert_eq!(SessionManager::development(MemoryStore::new()).with_cookie(cookie).cookie().name(), "shop");
}

const WARNING: &str = "SESSIONS ARE IN DEVELOPMENT MODE";

/// How often the warning is on stdout and on stderr of a program that runs only this test.
fn warnings_in(test: &str) -> (usize, usize) {
    let program = env::current_exe().unwrap();
    let ran = Command::new(program).args(["--exact", test, "--nocapture"]).env("LISTENS", "yes").output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let count = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches(WARNING).count();
    (count(&ran.stdout), count(&ran.stderr))
}

#[test]
fn where_nobody_listens_to_tracing_the_development_warning_reaches_stderr_once() {
    assert_eq!(warnings_in("cookie::development::a_development_cookie_that_is_named_is_called_that"), (0, 1));
}

#[test]
fn where_somebody_listens_to_tracing_the_development_warning_is_in_the_log_alone() {
    if env::var_os("LISTENS").is_some() {
        tracing_subscriber::fmt().init();
        let _managers = [(); 2].map(|()| SessionManager::development(MemoryStore::new()));
        return;
    }
    let this = "cookie::development::where_somebody_listens_to_tracing_the_development_warning_is_in_the_log_alone";
    assert_eq!(warnings_in(this), (1, 0));
}
