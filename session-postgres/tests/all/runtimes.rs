//! Several runtimes share a store: a server of actix-web has one for each of its workers.

use std::{sync::mpsc, thread, time::Duration};

use futures_util::future::join_all;
use session_conformance::servers;
use session_core::{Owner, Store};
use session_postgres::{PostgresStore, sqlx::PgPool, sqlx::postgres::PgPoolOptions};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::yield_now,
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn store(table: &str) -> (PostgresStore, PgPool) {
    let pool = PgPoolOptions::new().connect(servers::postgres().url()).await.unwrap();
    let patient = PostgresStore::builder().with_table(table).unwrap().with_timeout(Duration::from_secs(20));
    let store = patient.with_pool(pool.clone());
    store.migrate().await.unwrap();
    (store, pool)
}

/// As many questions at once as the pool has connections. Lists share no trip.
async fn ask(store: &PostgresStore) {
    let owner = Owner::from(42);
    for list in join_all((0..10).map(|_| store.list(&owner))).await {
        let Ok(list) = list else { panic!("it waits for a runtime that is busy: {list:?}") };
        assert!(list.is_empty());
    }
}

/// The one that has opened the connections, and then has a handler that blocks.
#[tokio::test]
async fn a_busy_runtime_holds_up_nobody_on_another() {
    let (store, pool) = store("busy_runtime").await;
    let ((asked, has_asked), (end, ended)) = (oneshot::channel(), mpsc::channel::<()>());
    let first = store.clone();
    let busy = thread::spawn(move || {
        runtime().block_on(async {
            ask(&first).await;
            while pool.num_idle() < 10 {
                yield_now().await;
            }
            asked.send(()).unwrap();
            ended.recv().unwrap();
        });
    });
    has_asked.await.unwrap();
    ask(&store).await;
    end.send(()).unwrap();
    busy.join().unwrap();
}

#[test]
fn a_store_outlives_the_runtime_that_has_made_it() {
    let store = runtime().block_on(async {
        let (store, _) = store("outlives").await;
        ask(&store).await;
        store
    });
    for _ in 0..2 {
        runtime().block_on(ask(&store));
    }
}
