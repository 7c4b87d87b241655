//! What a load costs with MariaDB, on both sides.

use std::process;

use benchmarks::cpu_of;
use session_conformance::servers;
use session_mysql::MysqlStore;
use sqlx::{MySqlPool, Row, mysql::MySqlPoolOptions};

use crate::{ID, Session, lines, print};

const READ: &str = "SELECT payload FROM sessions WHERE id = ?";

/// The least that tells a live session and its age: two times, and the clock that they are compared with.
const READ_LIVE: &str = "
    SELECT payload, revision, expires_at, ends_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
    FROM sessions WHERE id = ?
";

pub(crate) async fn measure(rounds: usize) {
    let server = servers::own_mysql(&[]);
    let pool =
        MySqlPoolOptions::new().max_connections(1).test_before_acquire(false).connect(server.url()).await.unwrap();
    let store = MysqlStore::builder().with_pool(pool.clone());
    store.migrate().await.unwrap();
    let session = Session::new(store).await;
    let mut reads = lines([
        "the payload by its id",
        "the payload, the revision, the times and the clock by the id",
        "the store's load",
    ]);
    let processes = [server.process_ids(), vec![process::id()]].concat();
    let clock = || cpu_of(&processes);
    for _ in 0..rounds {
        reads[0].window(clock, async || drop(read(&pool).await)).await;
        reads[1].window(clock, async || drop(read_live(&pool).await)).await;
        reads[2].window(clock, async || session.load().await).await;
    }
    print("MariaDB, one client: CPU of process and server of a load, in parts of the plainest", &reads);
}

async fn read(pool: &MySqlPool) -> Vec<u8> {
    sqlx::query(READ).bind(&ID.as_bytes()[..]).fetch_one(pool).await.unwrap().get(0)
}

async fn read_live(pool: &MySqlPool) -> (Vec<u8>, [i64; 4]) {
    let row = sqlx::query(READ_LIVE).bind(&ID.as_bytes()[..]).fetch_one(pool).await.unwrap();
    (row.get(0), [1, 2, 3, 4].map(|column| row.get(column)))
}
