//! Several runtimes share a store: a server of actix-web has one for each of its workers.

use std::{sync::mpsc, thread, time::Duration};

use session_conformance::servers;
use session_core::{SessionId, Store};
use session_redis::RedisStore;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    time::timeout,
};

use crate::support::patient;

/// Nobody has a session of this id.
const NOBODY: SessionId = SessionId::from_bytes([0; 16]);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn load(store: &RedisStore) {
    let loaded = timeout(Duration::from_secs(20), store.load(&NOBODY)).await;
    let Ok(loaded) = loaded else { panic!("it waits for a runtime that is busy") };
    assert!(loaded.unwrap().is_none());
}

/// The one that was the first to ask, and then has a handler that blocks.
#[tokio::test]
async fn a_busy_runtime_holds_up_nobody_on_another() {
    let store = patient().connect(servers::redis().url()).await.unwrap();
    let ((asked, has_asked), (end, ended)) = (oneshot::channel(), mpsc::channel::<()>());
    let first = store.clone();
    let busy = thread::spawn(move || {
        runtime().block_on(async {
            load(&first).await;
            asked.send(()).unwrap();
            ended.recv().unwrap();
        });
    });
    has_asked.await.unwrap();
    load(&store).await;
    end.send(()).unwrap();
    busy.join().unwrap();
}

#[test]
fn a_store_outlives_the_runtime_that_has_made_it() {
    let url = servers::redis().url();
    let store = runtime().block_on(async {
        let store = patient().connect(url).await.unwrap();
        load(&store).await;
        store
    });
    for _ in 0..2 {
        runtime().block_on(load(&store));
    }
}
