//! How much room a session takes in each store: `cargo run -p benchmarks --example room`. It starts servers of its own.

#![allow(clippy::unwrap_used, reason = "it fails by panicking")]

use std::{fs, time::Duration};

use futures_util::{StreamExt, stream};
use session_conformance::servers::{own_mysql, own_postgres, own_redis};
use session_core::{Entry, Owner, Revision, SessionId, Store};
use session_memory::MemoryStore;
use session_mysql::MysqlStore;
use session_postgres::PostgresStore;
use session_redis::RedisStore;
use session_sqlite::SqliteStore;
use sqlx::{
    MySqlPool, PgPool, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

const SESSIONS: u64 = 100_000;
const HOUR: Duration = Duration::from_secs(3600);

/// The servers are asked by many at once, perhaps on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bytes of payload. PostgreSQL compresses those of 2 kB and more, and these are all alike.
const PAYLOADS: [usize; 2] = [300, 1_000];

#[tokio::main]
async fn main() {
    println!("bytes a session, for {PAYLOADS:?} bytes of payload, among {SESSIONS} with an owner each:");
    tell("memory", &in_memory().await);
    tell("sqlite", &sqlite().await);
    tell("postgres", &postgres().await);
    tell("mysql", &mysql().await);
    tell("redis", &redis().await);
}

fn tell(store: &str, sizes: &[u64]) {
    println!("{store:10} {:?}", sizes.iter().map(|size| size / SESSIONS).collect::<Vec<_>>());
}

/// Makes the sessions in the order of random ids, as a site does.
async fn fill(store: &impl Store, payload: usize) {
    let payload = vec![b'x'; payload];
    let create = async |number: u64| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).to_be_bytes());
        let (owner, revision) = (Owner::from(number), Revision::from_bytes(number.to_be_bytes()));
        let entry = Entry::new(revision, &payload).with_owner(Some(&owner));
        store.create(&SessionId::from_bytes(id), entry, HOUR, HOUR).await.unwrap();
    };
    stream::iter(0..SESSIONS).for_each_concurrent(32, create).await;
}

async fn in_memory() -> Vec<u64> {
    let (mut sizes, mut kept) = (Vec::new(), Vec::new());
    for payload in PAYLOADS {
        let (store, before) = (MemoryStore::new(), memory());
        fill(&store, payload).await;
        sizes.push(memory() - before);
        // Otherwise the next one would get the memory that is free again.
        kept.push(store);
    }
    sizes
}

/// The memory of this process, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn sqlite() -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    for payload in PAYLOADS {
        let path = folder.path().join(payload.to_string());
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Off);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let store = SqliteStore::builder().with_timeout(PATIENCE).with_pool(pool.clone());
        store.migrate().await.unwrap();
        fill(&store, payload).await;
        pool.close().await; // writes what is still in the log into the file
        sizes.push(fs::metadata(path).unwrap().len());
    }
    sizes
}

async fn postgres() -> Vec<u64> {
    let server = own_postgres(&["fsync=off"]);
    let pool = PgPool::connect(server.url()).await.unwrap();
    let mut sizes = Vec::new();
    for payload in PAYLOADS {
        let table = format!("of_{payload}");
        let store = PostgresStore::builder().with_timeout(PATIENCE).with_table(&table).unwrap().with_pool(pool.clone());
        store.migrate().await.unwrap();
        fill(&store, payload).await;
        let size = sqlx::query_scalar("SELECT pg_total_relation_size($1::regclass)").bind(table);
        sizes.push(size.fetch_one(&pool).await.map(i64::unsigned_abs).unwrap());
    }
    sizes
}

async fn mysql() -> Vec<u64> {
    let server = own_mysql(&["--innodb-flush-log-at-trx-commit=2"]);
    let pool = MySqlPool::connect(server.url()).await.unwrap();
    let mut sizes = Vec::new();
    for payload in PAYLOADS {
        let table = format!("of_{payload}");
        let store = MysqlStore::builder().with_timeout(PATIENCE).with_table(&table).unwrap().with_pool(pool.clone());
        store.migrate().await.unwrap();
        fill(&store, payload).await;
        let size =
            "SELECT CAST(FILE_SIZE AS UNSIGNED) FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME LIKE ?";
        sizes.push(sqlx::query_scalar(size).bind(format!("%/{table}")).fetch_one(&pool).await.unwrap());
    }
    sizes
}

async fn redis() -> Vec<u64> {
    let server = own_redis(&[]);
    let mut connection = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut used = async || {
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let mut sizes = vec![used().await];
    for payload in PAYLOADS {
        let builder = RedisStore::builder().with_timeout(PATIENCE).with_prefix(&format!("of_{payload}")).unwrap();
        fill(&builder.connect(server.url()).await.unwrap(), payload).await;
        sizes.push(used().await);
    }
    sizes.windows(2).map(|two| two[1] - two[0]).collect()
}
