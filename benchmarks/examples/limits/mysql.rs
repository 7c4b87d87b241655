//! What a load costs with MariaDB, on both sides.

use session_conformance::servers;
use session_mysql::MysqlStore;
use sqlx::{MySqlPool, Row, mysql::MySqlPoolOptions};

use crate::{ID, Session, measure_loads};

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
    let plain = async || drop(read(&pool).await);
    let least = async || drop(read_live(&pool).await);
    measure_loads("MariaDB", 0.94, rounds, &server.process_ids(), &session, plain, least).await;
}

async fn read(pool: &MySqlPool) -> Vec<u8> {
    sqlx::query(READ).bind(&ID.as_bytes()[..]).fetch_one(pool).await.unwrap().get(0)
}

async fn read_live(pool: &MySqlPool) -> (Vec<u8>, [i64; 4]) {
    let row = sqlx::query(READ_LIVE).bind(&ID.as_bytes()[..]).fetch_one(pool).await.unwrap();
    (row.get(0), [1, 2, 3, 4].map(|column| row.get(column)))
}
