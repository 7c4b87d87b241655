//! `cargo xtask servers`: the servers that the stores are tested on, to work with by hand.

use std::{
    io::{Write, stdout},
    thread,
};

use session_conformance::servers::{self, Server};

use crate::programs;

type Provide = fn() -> &'static Server;

const SERVERS: [(&str, Provide); 8] = [
    ("SESSION_TEST_REDIS_URL", servers::redis),
    ("SESSION_TEST_REDIS_CLUSTER_URL", servers::redis_cluster),
    ("SESSION_TEST_REDIS_SENTINEL_URL", servers::redis_sentinel),
    ("SESSION_TEST_VALKEY_URL", servers::valkey),
    ("SESSION_TEST_POSTGRES_URL", servers::postgres),
    ("SESSION_TEST_PGBOUNCER_URL", servers::pgbouncer),
    ("SESSION_TEST_MYSQL_URL", servers::mysql),
    ("SESSION_TEST_MONGODB_URL", servers::mongodb),
];

/// Prints each server's variable as soon as the server is ready, and serves until it is interrupted. The servers end
/// with this process, even if it is killed.
pub(crate) fn run() -> Result<(), String> {
    programs::provide(&programs::SERVERS)?;
    if !programs::is_installed("mongod") {
        programs::provide(&programs::STAND_IN)?;
    }
    if !programs::is_installed("valkey-server") {
        programs::provide(&programs::VALKEY)?;
    }
    for (variable, provide) in SERVERS {
        let line = format!("{variable}={}\n", provide().url());
        stdout().write_all(line.as_bytes()).and_then(|()| stdout().flush()).map_err(|error| error.to_string())?;
    }
    loop {
        thread::park();
    }
}
