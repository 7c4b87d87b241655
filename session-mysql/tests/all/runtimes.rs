//! Several runtimes share a store.

use std::time::Duration;

use outage_tests::runtimes;
use session_conformance::servers;
use session_mysql::{MysqlStore, sqlx::MySqlPool, sqlx::mysql::MySqlPoolOptions};

async fn store(table: &str) -> (MysqlStore, MySqlPool) {
    let pool = MySqlPoolOptions::new().connect(servers::mysql().url()).await.unwrap();
    let patient = MysqlStore::builder().with_table(table).unwrap().with_timeout(Duration::from_secs(20));
    let store = patient.with_pool(pool.clone());
    store.migrate().await.unwrap();
    (store, pool)
}

#[tokio::test]
async fn a_busy_runtime_holds_up_nobody_on_another() {
    let (store, pool) = store("busy_runtime").await;
    runtimes::busy(store, move || pool.num_idle() == 10).await;
}

#[test]
fn a_store_outlives_the_runtime_that_has_made_it() {
    runtimes::ended(async || store("outlives").await.0);
}
