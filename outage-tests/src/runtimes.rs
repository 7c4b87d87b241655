//! Several runtimes share a store: a server of actix-web has one for each of its workers.

use std::{sync::mpsc, thread};

use futures_util::future::join_all;
use session_core::{Owner, Store};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::yield_now,
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// As many questions at once as a pool has connections by default. Lists share no trip.
async fn ask(store: &impl Store) {
    let owner = Owner::from(42);
    for list in join_all((0..10).map(|_| store.list(&owner))).await {
        let Ok(list) = list else { panic!("it waits for a runtime that is busy or has ended: {list:?}") };
        assert!(list.is_empty());
    }
}

/// One has made all connections, and then has a handler that blocks. It holds up nobody on another. `has_all_back` says
/// whether the pool has its connections again.
pub async fn busy<S: Store + Clone>(store: S, has_all_back: impl Fn() -> bool + Send + 'static) {
    let ((asked, has_asked), (end, ended)) = (oneshot::channel(), mpsc::channel::<()>());
    let first = store.clone();
    let busy = thread::spawn(move || {
        runtime().block_on(async {
            ask(&first).await;
            while !has_all_back() {
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

/// The one that has made the store has ended. The store goes on, on others.
pub fn ended<S: Store>(make: impl AsyncFnOnce() -> S) {
    let store = runtime().block_on(async {
        let store = make().await;
        ask(&store).await;
        store
    });
    for _ in 0..2 {
        runtime().block_on(ask(&store));
    }
}
