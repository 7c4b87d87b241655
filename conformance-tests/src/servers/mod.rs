//! Servers for the tests of stores: feature `servers`.
//!
//! ```no_run
//! let server = session_conformance::servers::redis();
//! println!("{} at {}", server.version().unwrap_or("a server"), server.url());
//! ```
//!
//! One server a backend and test process, started once and ready before it is handed out. For each backend it is, in this
//! order:
//!
//! 1. what `SESSION_TEST_<BACKEND>_URL` names;
//! 2. with the feature `containers`, a container, where an engine answers that has the image or can pull it within a
//!    minute. `SESSION_TEST_<BACKEND>_IMAGE` names another image than the official one;
//! 3. a program of this machine, on a free port and in a temporary folder.
//!
//! Containers and programs end with the test process, however that ends, and leave nothing behind. A cluster, and what
//! stands in front of a server, is always put together of programs.
//!
//! `SESSION_TEST_SERVERS=url`, `=container` or `=local` leaves only that one. Where there is none the test fails, and says
//! how to get one.
//!
//! | backend | `SESSION_TEST_…_URL` | `SESSION_TEST_…_IMAGE`, and which it is else |
//! | --- | --- | --- |
//! | [Redis](redis) | `REDIS` | `REDIS`: `redis:8`, or `valkey/valkey:9` if the engine has only that |
//! | [Redis Cluster](redis_cluster) | `REDIS_CLUSTER` | |
//! | [Redis Sentinel](redis_sentinel) | `REDIS_SENTINEL` | |
//! | [PostgreSQL](postgres) | `POSTGRES` | `POSTGRES`: `postgres:18` |
//! | [PgBouncer](pgbouncer) | `PGBOUNCER` | |
//! | [MariaDB or MySQL](mysql) | `MYSQL` | `MYSQL`: `mariadb:11.8`, or `mysql:8.4` if the engine has only that |
//! | [MongoDB](mongodb) | `MONGODB` | `MONGODB`: `mongo:8` |

mod cluster;
#[cfg(feature = "containers")]
mod container;
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

use std::{env, sync::OnceLock, time::Duration};

use self::{image::Image, process::Process};
pub use self::{node::Node, proxy::Proxy};

/// How long an image may take to be pulled where a program would do, and where it would not.
const PULLS_WITHIN: Duration = Duration::from_secs(60);
const PULLS_WITHIN_IF_FORCED: Duration = Duration::from_secs(600);

/// A server that answers.
///
/// # Examples
///
/// A server of one's own, to see what happens when it dies:
///
/// ```no_run
/// use session_conformance::servers;
///
/// let server = servers::own_redis(&["--maxmemory", "8mb"]);
/// server.kill();
/// server.start();
/// println!("{} answers again", server.url());
/// ```
#[derive(Debug)]
pub struct Server {
    url: String,
    version: Option<String>,
    backing: Backing,
}

/// What ends with it.
#[derive(Debug)]
enum Backing {
    Nothing,
    Processes(Vec<Process>),
    #[cfg(feature = "containers")]
    Container(#[expect(dead_code, reason = "it is held until it is dropped")] container::Keeper),
}

/// Where a [`Server`] comes from.
///
/// # Examples
///
/// ```no_run
/// use session_conformance::servers::{self, Origin};
///
/// assert_eq!(servers::own_redis(&[]).origin(), Origin::Local);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A variable of the environment names it.
    Url,
    /// A container, which was started for these tests.
    Container,
    /// A program of this machine, which was started for these tests.
    Local,
}

impl Server {
    fn at(url: String) -> Self {
        Self { url, version: None, backing: Backing::Nothing }
    }

    fn local(url: String, version: String, processes: Vec<Process>) -> Self {
        Self { url, version: Some(version), backing: Backing::Processes(processes) }
    }

    #[cfg(feature = "containers")]
    fn container(url: String, version: String, keeper: container::Keeper) -> Self {
        Self { url, version: Some(version), backing: Backing::Container(keeper) }
    }

    fn into_processes(self) -> Vec<Process> {
        match self.backing {
            Backing::Processes(processes) => processes,
            _ => Vec::new(),
        }
    }

    /// Where it listens, as drivers take it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the program calls itself; `None` if the server was named by a URL.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self.backing {
            Backing::Nothing => Origin::Url,
            Backing::Processes(_) => Origin::Local,
            #[cfg(feature = "containers")]
            Backing::Container(_) => Origin::Container,
        }
    }

    /// Ends it without a word to anybody, and waits until it has ended.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    pub fn kill(&self) {
        self.ours().iter().for_each(Process::kill);
    }

    /// Starts it again after [`kill`](Self::kill), on the same port and files, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started, or does not start.
    pub fn start(&self) {
        self.ours().iter().for_each(Process::restart);
    }

    /// Stops it where it is, and waits until it has stopped: it answers nobody, and its connections stay open.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    pub fn pause(&self) {
        self.ours().iter().for_each(Process::pause);
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    pub fn resume(&self) {
        self.ours().iter().for_each(Process::resume);
    }

    /// The one of its programs that listens on this port.
    ///
    /// # Panics
    ///
    /// If none of the programs that these tests have started does.
    #[must_use]
    pub fn node(&self, port: u16) -> Node<'_> {
        let process = self.ours().iter().find(|process| process.port == port);
        Node(process.unwrap_or_else(|| panic!("no program of {} listens on {port}", self.url)))
    }

    fn ours(&self) -> &[Process] {
        match &self.backing {
            Backing::Processes(processes) => processes,
            _ => panic!("the server at {} is not a program that these tests have started", self.url),
        }
    }
}

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

/// A Redis of one's own with these arguments, which the test may kill. It is a program of this machine, whatever the
/// environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_redis(arguments: &[&str]) -> Server {
    redis::start(arguments)
}

/// A Redis Cluster of three masters, each with a replica: `SESSION_TEST_REDIS_CLUSTER_URL`, as
/// `redis+cluster://host:port,host:port`. Of one that is started here, it names the masters.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn redis_cluster() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_REDIS_CLUSTER_URL", None, || cluster::start(NO_FAILOVER)))
}

/// A Redis Cluster of one's own, which the test may kill or take apart. It is of programs of this machine, whatever the
/// environment says. After five seconds of silence of a master, its replica takes over.
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

/// Such a master, replicas and sentinels of one's own, which the test may kill one by one: see [`node`](Server::node). They
/// are programs of this machine, whatever the environment says. After two seconds of silence of the master, the sentinels
/// make a replica the master.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_redis_sentinel() -> Server {
    sentinel::start(2000)
}

/// Milliseconds: no test is so slow that a server which all tests share is held for dead.
const NO_FAILOVER: u32 = 60_000;

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

/// A PostgreSQL of one's own with these settings (`["fsync=on"]`), which the test may kill. It is a program of this
/// machine, whatever the environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_postgres(settings: &[&str]) -> Server {
    postgres::start(settings)
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
    SERVER.get_or_init(|| provide("SESSION_TEST_PGBOUNCER_URL", None, pgbouncer::start))
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

/// A MariaDB of one's own with these arguments, which the test may kill. It is a program of this machine, whatever the
/// environment says.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn own_mysql(arguments: &[&str]) -> Server {
    mysql::start(arguments)
}

/// MongoDB 4.4 or later: `SESSION_TEST_MONGODB_URL`. Where there is no `mongod`, it is **a stand-in**, which keeps everything
/// in memory and is not MongoDB: [`version`](Server::version) says so.
///
/// Of a replica set, the URL names the primary alone, with `directConnection=true`: a driver would else go past the
/// [`Proxy`], and no answer would be lost.
///
/// # Panics
///
/// If there is none, with the sentence that says how to get one.
#[must_use]
pub fn mongodb() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| provide("SESSION_TEST_MONGODB_URL", Some(&mongodb::IMAGE), || mongodb::start(&[])))
}

/// A MongoDB of one's own with these arguments, which the test may kill. It is a program of this machine, whatever the
/// environment says; the stand-in ignores the arguments, and has forgotten everything when it is started again.
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
        ("", None, Some(image)) => image.start(PULLS_WITHIN).unwrap_or_else(|why| {
            eprintln!("A program of this machine is taken: {why}.");
            local()
        }),
        ("container", _, Some(image)) => image
            .start(PULLS_WITHIN_IF_FORCED)
            .unwrap_or_else(|why| panic!("SESSION_TEST_SERVERS is `container`, but {why}")),
        ("" | "container" | "local", ..) => local(),
        (other, ..) => panic!("SESSION_TEST_SERVERS is `url`, `container` or `local`, not `{other}`"),
    }
}
