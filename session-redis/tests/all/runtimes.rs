//! Several runtimes share a store.

use std::time::Duration;

use outage_tests::runtimes;
use session_conformance::servers;
use session_redis::RedisStore;

use crate::support::patient;

async fn store(prefix: &str) -> RedisStore {
    let patient = patient().with_prefix(prefix).unwrap().with_timeout(Duration::from_secs(20));
    patient.connect(servers::redis().url()).await.unwrap()
}

#[tokio::test]
async fn a_busy_runtime_holds_up_nobody_on_another() {
    runtimes::busy(store("busy_runtime").await, || true).await;
}

#[test]
fn a_store_outlives_the_runtime_that_has_made_it() {
    runtimes::ended(async || store("outlives").await);
}
