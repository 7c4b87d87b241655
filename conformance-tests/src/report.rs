//! The report: which cases have passed, and on which server.

use std::{
    env,
    fmt::Display,
    fs::OpenOptions,
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{Subject, check};

/// Runs a case, and writes a line about it into the file that `SESSION_TEST_REPORT` names. Each test that
/// [`store_tests!`](crate::store_tests) makes calls this.
#[doc(hidden)]
pub fn run_test<S: Subject>(package: &str, module: &str, name: &str, subject: S) {
    if env::var_os("SESSION_TEST_REPORT").is_none() {
        check(name, subject);
        return;
    }
    telling([package, module, name], || {
        let server = server(&subject);
        check(name, subject).or_on(|| server)
    });
}

/// Runs a test that answers where its server comes from and what it calls itself, and tells of it once it has passed.
pub(crate) fn telling([package, module, name]: [&str; 3], test: impl FnOnce() -> (&'static str, String)) {
    let start = milliseconds();
    let (origin, version) = test();
    let Some(path) = env::var_os("SESSION_TEST_REPORT") else { return };
    let fields: [&dyn Display; 7] = [&package, &module, &name, &start, &milliseconds(), &origin, &version];
    let line = fields.map(ToString::to_string).join("\t") + "\n";
    // Many processes and threads write to the file. So each line is one call, which appends.
    let report = OpenOptions::new().append(true).create(true).open(&path);
    let written = report.and_then(|mut report| report.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("SESSION_TEST_REPORT={} cannot be written: {error}", path.display()));
}

/// Where the store's server comes from, and what it calls itself.
#[cfg(all(unix, feature = "servers"))]
fn server<S: Subject>(subject: &S) -> (&'static str, String) {
    use crate::servers::Origin;
    let Some(server) = subject.server() else { return ("none", String::new()) };
    let origin = match server.origin() {
        Origin::Url => "url",
        Origin::Container => "container",
        Origin::Local => "local",
    };
    (origin, server.version().unwrap_or("unknown").to_owned())
}

#[cfg(not(all(unix, feature = "servers")))]
fn server<S: Subject>(_: &S) -> (&'static str, String) {
    ("none", String::new())
}

/// Now, in milliseconds since 1970.
fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}
